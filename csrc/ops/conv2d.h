// Two-dimensional convolution.
#pragma once

#include "kernels/conv2d.h"
#include "ops/dense.h"
#include "ops/window.h"

namespace nnx::ops {

struct Conv2dOptions {
  Pair strides;
  Padding padding;
  Pair dilation;
  int64_t groups = 1;
};

// x (N, H, W, C), w (KH, KW, C / groups, O)
Conv2dShape conv2d_shape(const char* where, const Shape& x, const Shape& w, const Conv2dOptions& options);
// (N, OH, OW, O)
Shape output_shape(const Conv2dShape& shape);
// Multiplications and additions of a forward pass.
double conv2d_work(const Conv2dShape& shape);

// b (O) or undefined
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dOptions& options,
              Activation activation);
LayerGradients conv2d_backward(const Tensor& dy, const Tensor& x, const Tensor& w,
                               const Conv2dOptions& options, bool need_dx);

}  // namespace nnx::ops
