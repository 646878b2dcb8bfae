// Element-wise activations. `n` elements everywhere; y may be x, dx may be dy.
#pragma once

#include "core/context.h"

namespace nnx {

enum class ActivationKind : int32_t { identity, step, sigmoid, tanh, relu, leaky_relu, elu, gelu, silu };

// alpha: the negative slope of leaky_relu, the scale of elu's negative side; unused elsewhere.
struct Activation {
  ActivationKind kind = ActivationKind::identity;
  double alpha = 0.0;
};

// gelu and silu need their input for the gradient; all others read it off their output.
inline constexpr bool gradient_reads_input(ActivationKind kind) {
  return kind == ActivationKind::gelu || kind == ActivationKind::silu;
}

// A gradient to be multiplied by act'(saved) on its way out of a kernel. `saved`: laid out as the gradient;
// the activation's output, or its input where gradient_reads_input. Null saved: no multiplication.
template <class T>
struct ActivationGradient {
  Activation activation;
  const T* saved = nullptr;
};

namespace kernels {

template <class T>
struct ActivationKernels {
  // y (n) = act(x)
  void (*forward)(Context&, int64_t n, const T* x, Activation, T* y);
  // dx (n) = or += dy * act'(saved); step's gradient is 0 everywhere
  void (*backward)(Context&, int64_t n, const T* dy, const T* saved, Activation, Policy, T* dx);
  // alive[c] = 1 where a y of column c of (rows, cols) is above 0; all others stay as they are
  void (*mark_alive)(Context&, Sampling, int64_t rows, int64_t cols, const T* y, double* alive);
  // counts[0] += how many y (n) lie below `low` or above `high`; counts[1] += n
  void (*count_outside)(Context&, Sampling, int64_t n, double low, double high, const T* y, double* counts);
};

}  // namespace kernels
}  // namespace nnx
