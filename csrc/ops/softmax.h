// softmax and log-softmax along an axis.
#pragma once

#include "core/tensor.h"
#include "kernels/softmax.h"

namespace nnx::ops {

SoftmaxShape softmax_shape(const char* where, const Shape& x, int64_t axis);

Tensor softmax(const Tensor& x, int64_t axis);
Tensor log_softmax(const Tensor& x, int64_t axis);
Tensor softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis);
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis);

}  // namespace nnx::ops
