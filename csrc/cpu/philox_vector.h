// Philox4x32-10 for a batch of consecutive blocks at once, one per 64-bit lane; the same words as
// core/philox.h.
#pragma once

#include "core/philox.h"
#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

using Lanes64 = UintVec<double>;
inline constexpr int kBlocks = kLanes<double>;
inline constexpr int kBatchWords = 4 * kBlocks;

// The lower 32 bits of each lane times `factor`.
NNX_INLINE Lanes64 multiply_low(Lanes64 v, uint32_t factor) {
#if defined(__AVX512F__)
  return (Lanes64)_mm512_maskz_mul_epu32(0xFF, (__m512i)v, _mm512_set1_epi64(factor));
#elif defined(__AVX2__)
  return (Lanes64)_mm256_mul_epu32((__m256i)v, _mm256_set1_epi64x(factor));
#elif defined(__SSE2__)
  return (Lanes64)_mm_mul_epu32((__m128i)v, _mm_set1_epi64x(factor));
#else
  return (v & 0xFFFFFFFFu) * uint64_t{factor};
#endif
}

#if defined(__AVX512F__)
#define NNX_INTERLEAVE_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define NNX_INTERLEAVE_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif defined(__AVX__)
#define NNX_INTERLEAVE_LOW 0, 4, 1, 5
#define NNX_INTERLEAVE_HIGH 2, 6, 3, 7
#else
#define NNX_INTERLEAVE_LOW 0, 2
#define NNX_INTERLEAVE_HIGH 1, 3
#endif

// a0 b0 a1 b1 ...
NNX_INLINE void interleave(Lanes64 a, Lanes64 b, Lanes64 (&to)[2]) {
#if defined(__clang__) || __GNUC__ >= 12
  to[0] = __builtin_shufflevector(a, b, NNX_INTERLEAVE_LOW);
  to[1] = __builtin_shufflevector(a, b, NNX_INTERLEAVE_HIGH);
#else
  to[0] = __builtin_shuffle(a, b, Lanes64{NNX_INTERLEAVE_LOW});
  to[1] = __builtin_shuffle(a, b, Lanes64{NNX_INTERLEAVE_HIGH});
#endif
}

#undef NNX_INTERLEAVE_LOW
#undef NNX_INTERLEAVE_HIGH

// Words 4 * block .. 4 * block + kBatchWords - 1 of a stream. Only the lower half of a lane counts.
NNX_INLINE void philox_batch(uint64_t block, uint64_t seed, uint32_t layer, uint64_t step, uint32_t* words) {
  Lanes64 c0;
  for (int lane = 0; lane < kBlocks; ++lane) c0[lane] = static_cast<uint64_t>(lane);
  c0 += block;
  Lanes64 c1 = c0 >> 32;
  Lanes64 c2 = Lanes64{} + (step & 0xFFFFFFFFu),
          c3 = Lanes64{} + (uint64_t{layer} << 16 | (step >> 32 & 0xFFFFu));
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const Lanes64 product0 = multiply_low(c0, 0xD2511F53u), product1 = multiply_low(c2, 0xCD9E8D57u);
    c0 = (product1 >> 32) ^ c1 ^ uint64_t{key0};
    c2 = (product0 >> 32) ^ c3 ^ uint64_t{key1};
    c1 = product1;
    c3 = product0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  const Lanes64 first = (c0 & 0xFFFFFFFFu) | c1 << 32, second = (c2 & 0xFFFFFFFFu) | c3 << 32;
  Lanes64 halves[2];
  interleave(first, second, halves);
  __builtin_memcpy(words, halves, sizeof halves);
}

}  // namespace nnx::cpu::NNX_ISA
