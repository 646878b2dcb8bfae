// The normal distribution on vectors: gelu's.
#pragma once

#include "cpu/vmath.h"

namespace nnx::cpu::NNX_ISA {

// exp(-x^2 / 2), <= 2.5 ulp: the square in two parts, since its rounding error would be multiplied by it.
template <class T>
NNX_INLINE Vec<T> exp_half_square(Vec<T> x) {
  const Vec<T> high = (Vec<T>)((IntVec<T>)x & MathConstants<T>::kUpperHalf);
  return exp_sum<T>(high * high * T(-0.5), (x - high) * (x + high) * T(-0.5));
}

// The normal distribution beyond a >= 0, given exp(-a^2 / 2): (1 - erf(a / sqrt(2))) / 2, <= 8 ulp
// (double from a = 30 on: <= 24 ulp)
template <class T>
NNX_INLINE Vec<T> normal_tail(Vec<T> a, Vec<T> exp_half_square_of_a) {
  using C = MathConstants<T>;
  return exp_half_square_of_a * polynomial((a - C::kTailCenter) / (a + C::kTailCenter), C::kTail);
}

// Phi(x) = (1 + erf(x / sqrt(2))) / 2 and its derivative; x within +-kTailHigh
template <class T>
NNX_INLINE void normal_distribution(Vec<T> x, Vec<T>& phi, Vec<T>& density) {
  using C = MathConstants<T>;
  Vec<T> a = absolute<T>(x);
  a = a > C::kTailHigh ? broadcast(C::kTailHigh) : a;
  const Vec<T> e = exp_half_square<T>(a);
  const Vec<T> tail = normal_tail<T>(a, e);
  phi = x < 0 ? tail : 1 - tail;
  density = e * T(0.398942280401432677940);
}

}  // namespace nnx::cpu::NNX_ISA
