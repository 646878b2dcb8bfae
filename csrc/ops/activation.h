// Element-wise activations.
#pragma once

#include <optional>
#include <string>

#include "core/tensor.h"
#include "kernels/activation.h"

namespace nnx::ops {

// "identity", "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu" or "silu"; ValueError otherwise.
// Without an alpha, leaky_relu takes 0.01 and elu 1.
Activation parse_activation(const char* where, const std::string& name, std::optional<double> alpha = {});
const char* name_of(ActivationKind kind);

// `where` names the function in messages.
Tensor activation(const char* where, const Tensor& x, Activation activation);
// saved: the output, or the input where gradient_reads_input
Tensor activation_backward(const char* where, const Tensor& dy, const Tensor& saved, Activation activation);

}  // namespace nnx::ops
