// Random changes of images and their gradients.
#pragma once

#include <string>

#include "core/tensor.h"
#include "kernels/augment.h"

namespace nnx::ops {

// A Warp in the words that callers use for it; keys are the caller's to set.
struct WarpOptions {
  std::string flip = "none";    // "none", "horizontal", "vertical", "horizontal_and_vertical"
  std::string motion = "none";  // "none", "translation", "crop", "center_crop", "rotation"
  std::pair<double, double> low{0.0, 0.0}, high{0.0, 0.0};
  std::string fill_mode = "reflect";  // "reflect", "constant", "nearest", "wrap"
  double fill_value = 0.0;
  std::string interpolation = "bilinear";  // "bilinear", "nearest"
  int64_t height = 0, width = 0;           // of crops
};

RowKey row_key(const char* where, uint64_t seed, int64_t layer, uint64_t step);
Warp make_warp(const char* where, const WarpOptions& options);
// x (N, H, W, C)
WarpShape warp_shape(const char* where, const Shape& x, const WarpOptions& options, const char* name = "x");
ContrastShape contrast_shape(const char* where, const Shape& x);
void check_contrast(const char* where, const Contrast& contrast);

// x (N, H, W, C) -> (N, OH, OW, C)
Tensor warp(const char* where, const Tensor& x, const WarpShape& shape, const Warp& warp);
// dy (N, OH, OW, C) -> dx (N, H, W, C)
Tensor warp_backward(const char* where, const Tensor& dy, const WarpShape& shape, const Warp& warp);
// x (N, H, W, C)
Tensor contrast(const Tensor& x, const Contrast& contrast);
Tensor contrast_backward(const Tensor& dy, const Tensor& x, const Contrast& contrast);

}  // namespace nnx::ops
