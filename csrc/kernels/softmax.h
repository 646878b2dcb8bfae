// softmax and log-softmax along one axis, shifted by the maximum.
#pragma once

#include "core/context.h"

namespace nnx {

// An array (outer, classes, inner); the axis is the middle one.
struct SoftmaxShape {
  int64_t outer, classes, inner;
};

namespace kernels {

template <class T>
struct SoftmaxKernels {
  // y = exp(x - max) / sum, y = x - max - log(sum); y may be x
  void (*forward)(Context&, const SoftmaxShape&, const T* x, T* y);
  void (*log_forward)(Context&, const SoftmaxShape&, const T* x, T* y);
  // dx = or += y * (dy - sum(dy * y)),  dx = or += dy - exp(y) * sum(dy); dx may be dy under Policy::assign
  void (*backward)(Context&, const SoftmaxShape&, const T* dy, const T* y, Policy, T* dx);
  void (*log_backward)(Context&, const SoftmaxShape&, const T* dy, const T* y, Policy, T* dx);
};

}  // namespace kernels
}  // namespace nnx
