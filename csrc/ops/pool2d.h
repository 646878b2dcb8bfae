// Pooling over windows and over whole images, and upsampling.
#pragma once

#include <optional>
#include <utility>

#include "core/tensor.h"
#include "kernels/pool2d.h"
#include "ops/window.h"

namespace nnx::ops {

struct Pool2dOptions {
  Pair pool_size{2, 2};
  std::optional<Pair> strides;  // default: pool_size
  Padding padding;
  Pair dilation;
  bool ceil_mode = false;
};

// x (N, H, W, C); `name` is the argument its shape came by. Every window sees the image.
Pool2dShape pool2d_shape(const char* where, const Shape& x, const Pool2dOptions& options,
                         const char* name = "x");
// The same, and H * W fits the int32 index.
Pool2dShape max_pool2d_shape(const char* where, const Shape& x, const Pool2dOptions& options,
                             const char* name = "x");
// (N, OH, OW, C)
Shape output_shape(const Pool2dShape& shape);
// x (N, H, W, C) -> (N, C)
Shape global_avg_pool2d_shape(const char* where, const Shape& x, const char* name = "x");
// The same, and H * W fits the int32 index.
Shape global_max_pool2d_shape(const char* where, const Shape& x);

// "nearest" or "bilinear"; ValueError otherwise.
bool parse_bilinear(const char* where, const std::string& interpolation);
// x (N, H, W, C)
UpsampleShape upsample2d_shape(const char* where, const Shape& x, Pair size, bool bilinear);
// (N, H * size, W * size, C)
Shape output_shape(const UpsampleShape& shape);

// y and index (int32, ih * W + iw)
std::pair<Tensor, Tensor> max_pool2d(const Tensor& x, const Pool2dOptions& options);
Tensor max_pool2d_backward(const Tensor& dy, const Tensor& index, const Shape& x_shape,
                           const Pool2dOptions& options);
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options, bool count_include_pad);
Tensor avg_pool2d_backward(const Tensor& dy, const Shape& x_shape, const Pool2dOptions& options,
                           bool count_include_pad);
Tensor global_avg_pool2d(const Tensor& x);
Tensor global_avg_pool2d_backward(const Tensor& dy, const Shape& x_shape);
Tensor global_max_pool2d(const Tensor& x);
Tensor global_max_pool2d_backward(const Tensor& dy, const Tensor& x);
Tensor upsample2d(const Tensor& x, Pair size, bool bilinear);
Tensor upsample2d_backward(const Tensor& dy, Pair size, bool bilinear);

}  // namespace nnx::ops
