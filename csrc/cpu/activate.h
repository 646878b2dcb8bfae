// Activations and their gradients on vectors, for whoever applies them: the element-wise kernels and the
// epilogues of dense and conv2d.
#pragma once

#include "cpu/normal_distribution.h"
#include "kernels/activation.h"

namespace nnx::cpu::NNX_ISA {

// Below this x sigmoid(x) and Phi(x) are zero; cut there, x times zero is zero at minus infinity too.
template <class T>
NNX_INLINE Vec<T> cut_below(Vec<T> x) {
  return x < MathConstants<T>::kExpLow ? broadcast(MathConstants<T>::kExpLow) : x;
}

template <ActivationKind kind, class T>
NNX_INLINE Vec<T> activate(Vec<T> x, T alpha) {
  (void)alpha;
  if constexpr (kind == ActivationKind::identity) return x;
  if constexpr (kind == ActivationKind::step) {
    const Vec<T> at_least = x >= 0 ? broadcast(T(1)) : Vec<T>{};
    return x == x ? at_least : x;
  }
  if constexpr (kind == ActivationKind::sigmoid) return sigmoid<T>(x);
  if constexpr (kind == ActivationKind::tanh) return tanh<T>(x);
  if constexpr (kind == ActivationKind::relu) return x <= 0 ? Vec<T>{} : x;  // NaN stays
  if constexpr (kind == ActivationKind::leaky_relu) return x <= 0 ? x * alpha : x;
  if constexpr (kind == ActivationKind::elu) return x <= 0 ? expm1<T>(x) * alpha : x;
  if constexpr (kind == ActivationKind::gelu) {
    Vec<T> phi, density;
    normal_distribution<T>(x, phi, density);
    return cut_below<T>(x) * phi;
  }
  if constexpr (kind == ActivationKind::silu) {
    // Where sigmoid is below the normal numbers x sigmoid(x) may not be yet: e^(x + 16) there, and e^-16
    // last.
    const IntVec<T> low = x < 10 - MathConstants<T>::kExpHigh;
    const Vec<T> e = exp<T>((low ? broadcast(T(16)) : Vec<T>{}) - absolute<T>(x));
    const Vec<T> above = x * ((x < 0 ? e : broadcast(T(1))) / (e + 1));
    return low ? cut_below<T>(x) * e * T(1.12535174719259114514e-7) : above;
  }
}

// dy act'(x); `saved` is the activation's output, or x itself where gradient_reads_input. What a selection
// drops does not come back as a NaN, whatever dy is.
template <ActivationKind kind, class T>
NNX_INLINE Vec<T> activation_gradient(Vec<T> dy, Vec<T> saved, T alpha) {
  (void)saved, (void)alpha;
  if constexpr (kind == ActivationKind::identity) return dy;
  if constexpr (kind == ActivationKind::step) return Vec<T>{};
  if constexpr (kind == ActivationKind::sigmoid) return dy * (saved * (1 - saved));
  if constexpr (kind == ActivationKind::tanh) return dy * ((1 - saved) * (1 + saved));
  if constexpr (kind == ActivationKind::relu) return saved > 0 ? dy : Vec<T>{};
  if constexpr (kind == ActivationKind::leaky_relu) return saved > 0 ? dy : dy * alpha;
  if constexpr (kind == ActivationKind::elu) return saved > 0 ? dy : dy * (saved + alpha);
  if constexpr (kind == ActivationKind::gelu) {
    Vec<T> phi, density;
    normal_distribution<T>(saved, phi, density);
    const Vec<T> x = cut_below<T>(minimum<T>(saved, broadcast(-MathConstants<T>::kExpLow)));
    return dy * (phi + x * density);
  }
  if constexpr (kind == ActivationKind::silu) {
    const Vec<T> s = sigmoid<T>(saved);
    return dy * (s * (1 + cut_below<T>(saved) * (saved > 0 ? sigmoid<T>(-saved) : 1 - s)));
  }
}

template <ActivationKind kind>
struct KindConstant {
  static constexpr ActivationKind value = kind;
};

// Calls body(KindConstant<kind>{}): one instance of body for each activation.
template <class F>
NNX_INLINE void with_activation(ActivationKind kind, const F& body) {
  switch (kind) {
    case ActivationKind::identity:
      return body(KindConstant<ActivationKind::identity>{});
    case ActivationKind::step:
      return body(KindConstant<ActivationKind::step>{});
    case ActivationKind::sigmoid:
      return body(KindConstant<ActivationKind::sigmoid>{});
    case ActivationKind::tanh:
      return body(KindConstant<ActivationKind::tanh>{});
    case ActivationKind::relu:
      return body(KindConstant<ActivationKind::relu>{});
    case ActivationKind::leaky_relu:
      return body(KindConstant<ActivationKind::leaky_relu>{});
    case ActivationKind::elu:
      return body(KindConstant<ActivationKind::elu>{});
    case ActivationKind::gelu:
      return body(KindConstant<ActivationKind::gelu>{});
    case ActivationKind::silu:
      return body(KindConstant<ActivationKind::silu>{});
  }
}

}  // namespace nnx::cpu::NNX_ISA
