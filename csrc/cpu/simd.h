// Vectors of one instruction set, by the compilers' vector extensions.
//
// Every file that includes this is compiled once per instruction set with NNX_ISA naming it, and keeps all it
// defines inside namespace nnx::cpu::NNX_ISA or static: a function with external linkage instantiated here
// could be the copy the linker keeps, and crash an older processor. So: nothing of the standard library's
// inline code.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifndef NNX_ISA
#error "compile the files of csrc/cpu with -DNNX_ISA=<name of the instruction set>"
#endif

#define NNX_INLINE static inline __attribute__((always_inline))

namespace nnx::cpu::NNX_ISA {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class T>
struct Simd;

template <>
struct Simd<float> {
  using Int = int32_t;
  typedef float vec __attribute__((vector_size(kVectorBytes)));
  typedef float unaligned __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  typedef int32_t ivec __attribute__((vector_size(kVectorBytes)));
  typedef uint32_t uvec __attribute__((vector_size(kVectorBytes)));
};

template <>
struct Simd<double> {
  using Int = int64_t;
  typedef double vec __attribute__((vector_size(kVectorBytes)));
  typedef double unaligned __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  typedef int64_t ivec __attribute__((vector_size(kVectorBytes)));
  typedef uint64_t uvec __attribute__((vector_size(kVectorBytes)));
};

template <class T>
using Vec = typename Simd<T>::vec;
template <class T>
using IntVec = typename Simd<T>::ivec;  // also the result of a comparison: lanes of 0 or -1
template <class T>
using UintVec = typename Simd<T>::uvec;
template <class T>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
NNX_INLINE Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename Simd<T>::unaligned*>(p);
}

template <class T>
NNX_INLINE void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename Simd<T>::unaligned*>(p) = v;
}

template <class T>
NNX_INLINE Vec<T> broadcast(T value) {
  return value - Vec<T>{};  // not 0 + value: that turns -0 into 0
}

// A window that slides over this table is the mask of the first lanes.
alignas(64) static const int32_t kFirstLanes[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                    -1, -1, -1, -1, -1, 0,  0,  0,  0,  0,  0,
                                                    0,  0,  0,  0,  0,  0,  0,  0,  0,  0};

// -1 in the first `count` lanes, 0 behind them.
template <class T>
NNX_INLINE IntVec<T> first_lanes(int64_t count) {
  IntVec<T> mask;
  __builtin_memcpy(&mask, kFirstLanes + 16 - count * static_cast<int64_t>(sizeof(T) / 4), sizeof mask);
  return mask;
}

// The first `count` lanes from memory, zeros behind them; reads nothing past p + count.
template <class T>
NNX_INLINE Vec<T> load_partial(const T* p, int64_t count) {
#if defined(__AVX512F__)
  const unsigned mask = (1u << count) - 1;
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), p);
  if constexpr (sizeof(T) == 8) return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>(mask), p);
#elif defined(__AVX2__)
  const __m256i mask = (__m256i)first_lanes<T>(count);
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm256_maskload_ps(p, mask);
  if constexpr (sizeof(T) == 8) return (Vec<T>)_mm256_maskload_pd(p, mask);
#else
  Vec<T> v{};
  for (int lane = 0; lane < kLanes<T>; ++lane) {
    if (lane >= count) break;
    T element;
    __builtin_memcpy(&element, p + lane, sizeof element);
    v[lane] = element;
  }
  return v;
#endif
}

template <class T>
NNX_INLINE void store_partial(T* p, Vec<T> v, int64_t count) {
#if defined(__AVX512F__)
  const unsigned mask = (1u << count) - 1;
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(p, static_cast<__mmask16>(mask), (__m512)v);
  if constexpr (sizeof(T) == 8) _mm512_mask_storeu_pd(p, static_cast<__mmask8>(mask), (__m512d)v);
#elif defined(__AVX2__)
  const __m256i mask = (__m256i)first_lanes<T>(count);
  if constexpr (sizeof(T) == 4) _mm256_maskstore_ps(p, mask, (__m256)v);
  if constexpr (sizeof(T) == 8) _mm256_maskstore_pd(p, mask, (__m256d)v);
#else
  for (int lane = 0; lane < kLanes<T>; ++lane) {
    if (lane >= count) break;
    const T element = v[lane];
    __builtin_memcpy(p + lane, &element, sizeof element);
  }
#endif
}

// Lane by lane: where mask is set a, else b.
template <class T>
NNX_INLINE Vec<T> select(IntVec<T> mask, Vec<T> a, Vec<T> b) {
  return mask ? a : b;
}

// a where a > b or a is NaN: a NaN in `a` survives.
template <class T>
NNX_INLINE Vec<T> maximum(Vec<T> a, Vec<T> b) {
  return !(a <= b) ? a : b;
}

template <class T>
NNX_INLINE Vec<T> minimum(Vec<T> a, Vec<T> b) {
  return !(a >= b) ? a : b;
}

template <class T>
NNX_INLINE Vec<T> absolute(Vec<T> a) {
  return a < 0 ? -a : a;
}

NNX_INLINE int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
NNX_INLINE int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }
NNX_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
NNX_INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Calls body(i, lanes) for i = 0, kLanes, ...; `lanes` is kLanes but for the last call. With load_some and
// store_some a kernel is written once for whole vectors and the rest.
template <class T, class F>
NNX_INLINE void for_vectors(int64_t begin, int64_t end, const F& body) {
  int64_t i = begin;
  for (; i + kLanes<T> <= end; i += kLanes<T>) body(i, int64_t{kLanes<T>});
  if (i < end) body(i, end - i);
}

template <class T>
NNX_INLINE Vec<T> load_some(const T* p, int64_t lanes) {
  return lanes == kLanes<T> ? load(p) : load_partial(p, lanes);
}

template <class T>
NNX_INLINE void store_some(T* p, Vec<T> v, int64_t lanes) {
  if (lanes == kLanes<T>) {
    store(p, v);
  } else {
    store_partial(p, v, lanes);
  }
}

}  // namespace nnx::cpu::NNX_ISA
