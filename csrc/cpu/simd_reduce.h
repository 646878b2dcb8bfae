// Sums and maxima over the lanes of a vector.
#pragma once

#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

// Adds the upper half of the lanes to the lower half until few are left.
template <class T, int N, class V>
NNX_INLINE T sum_halves(V v) {
  if constexpr (N == 2) {
    return v[0] + v[1];
  } else if constexpr (N == 4) {
    return (v[0] + v[2]) + (v[1] + v[3]);
  } else {
    typedef T Half __attribute__((vector_size(N / 2 * sizeof(T))));
    Half low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return sum_halves<T, N / 2>(static_cast<Half>(low + high));
  }
}

template <class T>
NNX_INLINE T sum_of(Vec<T> v) {
  return sum_halves<T, kLanes<T>>(v);
}

// The larger; a NaN in `a` survives.
template <class T>
NNX_INLINE T larger(T a, T b) {
  return !(a <= b) ? a : b;
}

template <class T, int N, class V>
NNX_INLINE T max_halves(V v) {
  if constexpr (N == 2) {
    return larger<T>(v[0], v[1]);
  } else if constexpr (N == 4) {
    return larger<T>(larger<T>(v[0], v[2]), larger<T>(v[1], v[3]));
  } else {
    typedef T Half __attribute__((vector_size(N / 2 * sizeof(T))));
    Half low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return max_halves<T, N / 2>(static_cast<Half>(low > high ? low : high));
  }
}

// The largest lane; which, when some are NaN, is unspecified.
template <class T>
NNX_INLINE T max_of(Vec<T> v) {
  return max_halves<T, kLanes<T>>(v);
}

}  // namespace nnx::cpu::NNX_ISA
