// Sums, products, concatenation and the normalisation of inputs.
#pragma once

#include <vector>

#include "core/tensor.h"
#include "kernels/elementwise.h"

namespace nnx::ops {

// Equal in every axis but `axis`, along which the extents add up. `axis` is resolved already.
Shape concat_shape(const char* where, const std::vector<Shape>& shapes, int64_t axis);
// `shape` with its one -1, if any, filled in so that it has `elements` elements.
Shape resolve_reshape(const char* where, const Shape& shape, int64_t elements);

Tensor add(const Tensor& a, const Tensor& b);
Tensor multiply(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
Tensor concat(const std::vector<Tensor>& arrays, int64_t axis);
// x (..., C), mean and deviation (C)
Tensor normalize(const Tensor& x, const Tensor& mean, const Tensor& deviation);
// from any dtype
Tensor cast(const Tensor& x, DType dtype);

}  // namespace nnx::ops
