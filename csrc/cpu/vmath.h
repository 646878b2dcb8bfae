// Elementary functions of vectors: branch-free, without tables, for float and double.
//
// The error bounds, in units in the last place, were measured against double (float, every 61st bit pattern
// of the whole range) and long double (double, 10^7 random arguments) with and without FMA. They hold with
// denormals enabled; where the processor flushes them, subnormal results are zero.
#pragma once

#include "cpu/vmath_constants.h"

namespace nnx::cpu::NNX_ISA {

template <class T, int N>
NNX_INLINE Vec<T> polynomial(Vec<T> x, const T (&coefficients)[N]) {
  Vec<T> sum = broadcast(coefficients[N - 1]);
#pragma GCC unroll 24
  for (int i = N - 2; i >= 0; --i) sum = sum * x + coefficients[i];
  return sum;
}

template <class T>
NNX_INLINE Vec<T> copy_sign(Vec<T> magnitude, Vec<T> sign) {
  const IntVec<T> sign_bit = (IntVec<T>)broadcast(T(-0.0));
  return (Vec<T>)(((IntVec<T>)magnitude & ~sign_bit) | ((IntVec<T>)sign & sign_bit));
}

// 2^n for n in the range of normal numbers, modulo 2^32 or 2^64 as everywhere here: NaN has an n as well.
template <class T>
NNX_INLINE Vec<T> power_of_two(UintVec<T> n) {
  return (Vec<T>)((n + MathConstants<T>::kBias) << MathConstants<T>::kMantissaBits);
}

// x + low = n ln 2 + r with |r| <= ln 2 / 2; returns e^r - 1. `low` may be a correction to x.
template <class T>
NNX_INLINE Vec<T> reduced_expm1(Vec<T> x, Vec<T> low, UintVec<T>& n) {
  using C = MathConstants<T>;
  const Vec<T> shifted = x * T(1.44269504088896340736) + C::kRound;
  const Vec<T> whole = shifted - C::kRound;
  n = (UintVec<T>)shifted - (UintVec<T>)broadcast(C::kRound);
  const Vec<T> r = (x - whole * C::kLn2High) + (low - whole * C::kLn2Low);
  return r + r * r * polynomial(r, C::kExp);
}

// exp(x + low) where low is small beside x. Two steps of scaling reach both subnormals and the largest
// numbers.
template <class T>
NNX_INLINE Vec<T> exp_sum(Vec<T> x, Vec<T> low) {
  using C = MathConstants<T>;
  x = x > C::kExpHigh ? broadcast(C::kExpHigh) : x;
  x = x < C::kExpLow ? broadcast(C::kExpLow) : x;
  UintVec<T> n;
  const Vec<T> e = reduced_expm1<T>(x, low, n) + 1;
  const UintVec<T> half = ((n + 4096) >> 1) - 2048;
  return e * power_of_two<T>(half) * power_of_two<T>(n - half);
}

// <= 1.1 ulp
template <class T>
NNX_INLINE Vec<T> exp(Vec<T> x) {
  return exp_sum<T>(x, Vec<T>{});
}

// exp(x - max) for x <= max, <= 1.1 ulp: with the rounding error of the difference, which would be multiplied
// by it.
template <class T>
NNX_INLINE Vec<T> exp_below(Vec<T> x, Vec<T> max) {
  const Vec<T> difference = x - max;
  const Vec<T> back = difference + max;
  const Vec<T> lost = (x - back) - (max - (back - difference));
  return exp_sum<T>(difference, difference < MathConstants<T>::kExpLow ? Vec<T>{} : lost);
}

// <= 2.5 ulp
template <class T>
NNX_INLINE Vec<T> expm1(Vec<T> x) {
  using C = MathConstants<T>;
  x = x > C::kExpHigh ? broadcast(C::kExpHigh) : x;
  x = x < C::kExpm1Low ? broadcast(C::kExpm1Low) : x;
  UintVec<T> n;
  const Vec<T> e = reduced_expm1<T>(x, Vec<T>{}, n);
  const Vec<T> scale = power_of_two<T>(n - 1);  // halved, so that the largest results do not overflow early
  const Vec<T> sum = (scale * e + (scale - T(0.5))) * 2;
  return n == 0 ? e : sum;
}

// <= 3 ulp
template <class T>
NNX_INLINE Vec<T> tanh(Vec<T> x) {
  const Vec<T> e = expm1<T>(absolute<T>(x) * -2);
  return copy_sign<T>(e / (e + 2), x);
}

// 1 / (1 + exp(-x)), <= 2.5 ulp
template <class T>
NNX_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp<T>(-absolute<T>(x));
  return (x < 0 ? e : broadcast(T(1))) / (e + 1);
}

// log(2^k (1 + f)) + low, for sqrt(1/2) <= 1 + f < sqrt(2)
template <class T>
NNX_INLINE Vec<T> log_of_parts(Vec<T> k, Vec<T> f, Vec<T> low) {
  using C = MathConstants<T>;
  const Vec<T> s = f / (f + 2);
  const Vec<T> z = s * s;
  const Vec<T> half_square = f * f * T(0.5);
  const Vec<T> rest = s * (half_square + z * polynomial(z, C::kLog));
  return k * C::kLn2High - ((half_square - (rest + (k * C::kLn2Low + low))) - f);
}

// x = 2^k (1 + f) for a positive, normal x
template <class T>
NNX_INLINE void split_exponent(Vec<T> x, Vec<T>& k, Vec<T>& f) {
  using C = MathConstants<T>;
  const IntVec<T> one = (IntVec<T>)broadcast(T(1));
  const IntVec<T> bits = (IntVec<T>)((UintVec<T>)x + (UintVec<T>)(one - C::kSqrtHalf));
  const IntVec<T> exponent = (IntVec<T>)((UintVec<T>)bits >> C::kMantissaBits) - C::kBias;
  k = (Vec<T>)((IntVec<T>)broadcast(C::kRound) + exponent) - C::kRound;
  const IntVec<T> mantissa_mask = ((IntVec<T>{} + 1) << C::kMantissaBits) - 1;
  f = (Vec<T>)((bits & mantissa_mask) + C::kSqrtHalf) - 1;
}

// log(0), log of negative numbers, of infinity and NaN
template <class T>
NNX_INLINE Vec<T> log_special(Vec<T> x, Vec<T> result) {
  const T infinity = __builtin_inf();
  result = x < infinity ? result : x;
  result = x == 0 ? broadcast(-infinity) : result;
  return x < 0 ? broadcast(T(__builtin_nan(""))) : result;
}

// <= 1 ulp
template <class T>
NNX_INLINE Vec<T> log(Vec<T> x) {
  using C = MathConstants<T>;
  const IntVec<T> tiny = x < C::kMinNormal;
  Vec<T> k, f;
  split_exponent<T>(tiny ? x * C::kRaise : x, k, f);
  k = tiny ? k - C::kRaiseBits : k;
  return log_special<T>(x, log_of_parts<T>(k, f, Vec<T>{}));
}

// log(1 + x), <= 1 ulp
template <class T>
NNX_INLINE Vec<T> log1p(Vec<T> x) {
  const Vec<T> sum = x + 1;
  Vec<T> k, f;
  split_exponent<T>(sum, k, f);
  const Vec<T> lost = (x > 1 ? 1 - (sum - x) : x - (sum - 1)) / sum;
  const Vec<T> small = log_of_parts<T>(Vec<T>{}, x, Vec<T>{});
  const Vec<T> large = log_of_parts<T>(k, f, lost);
  return log_special<T>(sum, k == 0 ? small : large);
}

#if defined(__AVX512F__)
NNX_INLINE Vec<float> square_root(Vec<float> x) {
  return (Vec<float>)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)x);
}
NNX_INLINE Vec<double> square_root(Vec<double> x) {
  return (Vec<double>)_mm512_maskz_sqrt_pd(0xFF, (__m512d)x);
}
#elif defined(__AVX__)
NNX_INLINE Vec<float> square_root(Vec<float> x) { return (Vec<float>)_mm256_sqrt_ps((__m256)x); }
NNX_INLINE Vec<double> square_root(Vec<double> x) { return (Vec<double>)_mm256_sqrt_pd((__m256d)x); }
#elif defined(__SSE2__)
NNX_INLINE Vec<float> square_root(Vec<float> x) { return (Vec<float>)_mm_sqrt_ps((__m128)x); }
NNX_INLINE Vec<double> square_root(Vec<double> x) { return (Vec<double>)_mm_sqrt_pd((__m128d)x); }
#else
NNX_INLINE Vec<float> square_root(Vec<float> x) {
  for (int lane = 0; lane < kLanes<float>; ++lane) x[lane] = __builtin_sqrtf(x[lane]);
  return x;
}
NNX_INLINE Vec<double> square_root(Vec<double> x) {
  for (int lane = 0; lane < kLanes<double>; ++lane) x[lane] = __builtin_sqrt(x[lane]);
  return x;
}
#endif

}  // namespace nnx::cpu::NNX_ISA
