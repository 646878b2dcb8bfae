// Dropout, its masks, and random numbers by the same generator.
#pragma once

#include "core/tensor.h"
#include "kernels/dropout.h"

namespace nnx::ops {

// layer < 2^16, step < 2^48, rate in [0, 1)
DropoutKey dropout_key(const char* where, uint64_t seed, int64_t layer, uint64_t step, double rate);

Tensor dropout(const Tensor& x, const DropoutKey& key);
// x (N, H, W, C), whole channels of a sample
Tensor spatial_dropout2d(const Tensor& x, const DropoutKey& key);
Tensor gaussian_noise(const Tensor& x, double stddev, const DropoutKey& key);
// uint8, 1 = kept
Tensor dropout_mask(const Shape& shape, const DropoutKey& key);
Tensor random_uniform(const Shape& shape, double low, double high, const DropoutKey& key, DType dtype);
Tensor random_normal(const Shape& shape, double mean, double deviation, const DropoutKey& key, DType dtype);

}  // namespace nnx::ops
