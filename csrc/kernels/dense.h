// Dense (fully connected) layers: y = act(x w + b).
#pragma once

#include "kernels/activation.h"
#include "kernels/optimizer.h"

namespace nnx {

struct DenseShape {
  int64_t rows, in, out;
};

// The input's gradient, where it is wanted: see backward_input.
template <class T>
struct DenseInput {
  T* dx = nullptr;
  ActivationGradient<T> gradient;
  Policy policy = Policy::assign;
};

namespace kernels {

template <class T>
struct DenseKernels {
  // Bytes of Context::workspace that any of the three passes may use.
  int64_t (*workspace)(const DenseShape&);
  // y (rows, out) = act(x (rows, in) · w (in, out) + b (out)); b may be null
  void (*forward)(Context&, const DenseShape&, const T* x, const T* w, const T* b, Activation, T* y);
  // dx (rows, in) = or += (dy (rows, out) · wᵀ) * act'(saved); saved only under Policy::assign
  void (*backward_input)(Context&, const DenseShape&, const T* dy, const T* w, ActivationGradient<T>, Policy,
                         T* dx);
  // dw (in, out) = or += xᵀ · dy; db (out) = or += column sums of dy; db may be null
  void (*backward_weights)(Context&, const DenseShape&, const T* x, const T* dy, Policy, T* dw, T* db);
  // w (in, out) and b (out) after OptimizerKernels::sgd with those gradients, which are written nowhere, and
  // dx by w as it was before, where input.dx is not null. b.p may be null; so may the pointer itself, on a
  // device that has no such kernel.
  void (*update_weights)(Context&, const DenseShape&, const T* x, const T* dy, const DenseInput<T>& input,
                         const SgdRule&, SgdTarget<T> w, SgdTarget<T> b);
};

}  // namespace kernels
}  // namespace nnx
