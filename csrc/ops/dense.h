// Dense layers.
#pragma once

#include "core/tensor.h"
#include "kernels/dense.h"

namespace nnx::ops {

// x (..., in), w (in, out): rows are all axes of x but the last. x has rank 2 or more.
DenseShape dense_shape(const char* where, const Shape& x, const Shape& w);
// b (out)
void check_bias(const char* where, const Shape& b, int64_t out);

struct LayerGradients {
  Tensor dx;  // undefined where it was not asked for
  Tensor dw, db;
};

// x (N, in), w (in, out), b (out) or undefined -> (N, out)
Tensor dense(const Tensor& x, const Tensor& w, const Tensor& b, Activation activation);
LayerGradients dense_backward(const Tensor& dy, const Tensor& x, const Tensor& w, bool need_dx);

}  // namespace nnx::ops
