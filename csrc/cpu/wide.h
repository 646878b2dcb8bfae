// Sums in double of what lies in float or double vectors.
#pragma once

#include "cpu/simd.h"
#include "cpu/simd_reduce.h"

namespace nnx::cpu::NNX_ISA {

// As many doubles as a Vec<T> has lanes.
template <class T>
struct Wide {
  static constexpr int kParts = sizeof(double) / sizeof(T);
  Vec<double> part[kParts];
};

typedef float HalfFloats __attribute__((vector_size(kVectorBytes / 2)));

template <class T>
NNX_INLINE Wide<T> widen(Vec<T> v) {
  Wide<T> wide;
  if constexpr (sizeof(T) == 8) {
    wide.part[0] = v;
  } else {
    HalfFloats half[2];
    __builtin_memcpy(half, &v, sizeof v);
    wide.part[0] = __builtin_convertvector(half[0], Vec<double>);
    wide.part[1] = __builtin_convertvector(half[1], Vec<double>);
  }
  return wide;
}

template <class T>
NNX_INLINE Vec<T> narrow(const Wide<T>& wide) {
  if constexpr (sizeof(T) == 8) {
    return wide.part[0];
  } else {
    const HalfFloats half[2] = {__builtin_convertvector(wide.part[0], HalfFloats),
                                __builtin_convertvector(wide.part[1], HalfFloats)};
    Vec<T> v;
    __builtin_memcpy(&v, half, sizeof v);
    return v;
  }
}

template <class T>
NNX_INLINE Wide<T> wide_zero() {
  Wide<T> wide;
  for (auto& part : wide.part) part = Vec<double>{};
  return wide;
}

template <class T>
NNX_INLINE void add_to(Wide<T>& sum, const Wide<T>& v) {
  for (int i = 0; i < Wide<T>::kParts; ++i) sum.part[i] += v.part[i];
}

template <class T>
NNX_INLINE void add_product_to(Wide<T>& sum, const Wide<T>& a, const Wide<T>& b) {
  for (int i = 0; i < Wide<T>::kParts; ++i) sum.part[i] += a.part[i] * b.part[i];
}

template <class T>
NNX_INLINE double sum_of_wide(const Wide<T>& wide) {
  Vec<double> sum = wide.part[0];
  for (int i = 1; i < Wide<T>::kParts; ++i) sum += wide.part[i];
  return sum_of<double>(sum);
}

// Adds `count` lanes to an array of doubles.
template <class T>
NNX_INLINE void add_to_memory(double* p, const Wide<T>& wide, int64_t count) {
  for (int i = 0; i < Wide<T>::kParts; ++i) {
    const int64_t here = min_of(count - i * kLanes<double>, kLanes<double>);
    if (here <= 0) return;
    double* at = p + i * kLanes<double>;
    store_some(at, load_some(at, here) + wide.part[i], here);
  }
}

}  // namespace nnx::cpu::NNX_ISA
