// Two-dimensional convolution.
#pragma once

#include <optional>

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

struct Conv2dTransposeOptions {
  Pair strides;
  Padding padding;
  std::optional<Pair> output_padding;
  Pair dilation;
};

// The convolution whose gradient by its input the transposed one is. x (N, H, W, C) is that one's output,
// w (KH, KW, O, C) its filters.
Conv2dShape conv2d_transpose_shape(const char* where, const Shape& x, const Shape& w,
                                   const Conv2dTransposeOptions& options);
// (N, OH, OW, O)
inline Shape input_shape(const Conv2dShape& shape) { return {shape.n, shape.h, shape.w, shape.c}; }

// b (O) or undefined
Tensor conv2d_transpose(const Tensor& x, const Tensor& w, const Tensor& b,
                        const Conv2dTransposeOptions& options, Activation activation);
LayerGradients conv2d_transpose_backward(const Tensor& dy, const Tensor& x, const Tensor& w,
                                         const Conv2dTransposeOptions& options, bool need_dx);

}  // namespace nnx::ops
