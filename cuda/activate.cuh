// Activations and their gradients, for whoever applies them: the element-wise kernels and the epilogues of
// dense and conv2d. Both take them from here, so a fused activation gives the bits of a separate one.
#pragma once

#include "kernels/activation.h"
#include "portability.h"

namespace nnx::cuda {

// The library's functions, by type; the greatest errors in units in the last place, on a GPU: exp 2, expm1 1,
// tanh 2, erfc 4 (double: 5).
__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }
__device__ __forceinline__ float exponential_minus_1(float x) { return expm1f(x); }
__device__ __forceinline__ double exponential_minus_1(double x) { return expm1(x); }
__device__ __forceinline__ float hyperbolic_tangent(float x) { return tanhf(x); }
__device__ __forceinline__ double hyperbolic_tangent(double x) { return tanh(x); }
__device__ __forceinline__ float error_function_complement(float x) { return erfcf(x); }
__device__ __forceinline__ double error_function_complement(double x) { return erfc(x); }
__device__ __forceinline__ float magnitude(float x) { return fabsf(x); }
__device__ __forceinline__ double magnitude(double x) { return fabs(x); }

// Where exp(x) is zero; and far below where its inverse overflows.
template <class T>
struct ActivationLimits;
template <>
struct ActivationLimits<float> {
  static constexpr float kExpLow = -104.0f, kSmallSigmoid = -79.0f;
};
template <>
struct ActivationLimits<double> {
  static constexpr double kExpLow = -746.0, kSmallSigmoid = -700.0;
};

// Below this x sigmoid(x) and Phi(x) are zero; cut there, x times zero is zero at minus infinity too.
template <class T>
__device__ __forceinline__ T cut_below(T x) {
  return x < ActivationLimits<T>::kExpLow ? ActivationLimits<T>::kExpLow : x;
}

// 1 / (1 + exp(-x)), without overflow
template <class T>
__device__ __forceinline__ T sigmoid(T x) {
  const T e = exponential(-magnitude(x));
  return (x < 0 ? e : T(1)) / (e + 1);
}

// The normal distribution, (1 + erf(x / sqrt(2))) / 2
template <class T>
__device__ __forceinline__ T normal_distribution(T x) {
  return T(0.5) * error_function_complement(x * T(-0.707106781186547524401));
}

template <ActivationKind kind, class T>
__device__ __forceinline__ T activate(T x, T alpha) {
  (void)alpha;
  if constexpr (kind == ActivationKind::identity) return x;
  if constexpr (kind == ActivationKind::step) return x >= 0 ? T(1) : x < 0 ? T(0) : x;  // NaN stays
  if constexpr (kind == ActivationKind::sigmoid) return sigmoid(x);
  if constexpr (kind == ActivationKind::tanh) return hyperbolic_tangent(x);
  if constexpr (kind == ActivationKind::relu) return x <= 0 ? T(0) : x;
  if constexpr (kind == ActivationKind::leaky_relu) return x <= 0 ? x * alpha : x;
  if constexpr (kind == ActivationKind::elu) return x <= 0 ? exponential_minus_1(x) * alpha : x;
  if constexpr (kind == ActivationKind::gelu) return cut_below(x) * normal_distribution(x);
  if constexpr (kind == ActivationKind::silu) {
    // Where sigmoid is below the normal numbers x sigmoid(x) may not be yet: e^(x + 16) there, and e^-16
    // last.
    const bool low = x < ActivationLimits<T>::kSmallSigmoid;
    const T e = exponential((low ? T(16) : T(0)) - magnitude(x));
    return low ? cut_below(x) * e * T(1.12535174719259114514e-7) : x * ((x < 0 ? e : T(1)) / (e + 1));
  }
}

// dy act'(x); `saved` is the activation's output, or x itself where gradient_reads_input. What a selection
// drops does not come back as a NaN, whatever dy is.
template <ActivationKind kind, class T>
__device__ __forceinline__ T activation_gradient(T dy, T saved, T alpha) {
  (void)saved, (void)alpha;
  if constexpr (kind == ActivationKind::identity) return dy;
  if constexpr (kind == ActivationKind::step) return T(0);
  if constexpr (kind == ActivationKind::sigmoid) return dy * (saved * (1 - saved));
  if constexpr (kind == ActivationKind::tanh) return dy * ((1 - saved) * (1 + saved));
  if constexpr (kind == ActivationKind::relu) return saved > 0 ? dy : T(0);
  if constexpr (kind == ActivationKind::leaky_relu) return saved > 0 ? dy : dy * alpha;
  if constexpr (kind == ActivationKind::elu) return saved > 0 ? dy : dy * (saved + alpha);
  if constexpr (kind == ActivationKind::gelu) {
    const T limit = -ActivationLimits<T>::kExpLow;
    const T x = cut_below(saved > limit ? limit : saved);
    const T density = exponential(x * x * T(-0.5)) * T(0.398942280401432677940);
    return dy * (normal_distribution(saved) + x * density);
  }
  if constexpr (kind == ActivationKind::silu) {
    const T s = sigmoid(saved);
    return dy * (s * (1 + cut_below(saved) * (saved > 0 ? sigmoid(-saved) : 1 - s)));
  }
}

template <ActivationKind kind>
struct KindConstant {
  static constexpr ActivationKind value = kind;
};

// Calls body(KindConstant<kind>{}): one instance of body for each activation. The kind is the same in all
// threads.
template <class F>
__host__ __device__ __forceinline__ void with_activation(ActivationKind kind, const F& body) {
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

// By a kind known at run time, as an epilogue has it; not inlined, since every matrix kernel calls them.
template <class T>
__device__ __noinline__ T activate_any(ActivationKind kind, T x, T alpha) {
  T y = x;
  with_activation(kind, [&](auto constant) { y = activate<decltype(constant)::value>(x, alpha); });
  return y;
}
template <class T>
__device__ __noinline__ T activation_gradient_any(ActivationKind kind, T dy, T saved, T alpha) {
  T dx = dy;
  with_activation(
      kind, [&](auto constant) { dx = activation_gradient<decltype(constant)::value>(dy, saved, alpha); });
  return dx;
}

}  // namespace nnx::cuda
