// Parameter updates in place.
#pragma once

#include "core/tensor.h"
#include "kernels/optimizer.h"

namespace nnx::ops {

// The ranges of the numbers in a rule.
void check_rule(const char* where, const SgdRule& rule);
void check_rule(const char* where, const AdamRule& rule);

// velocity may be undefined where there is no momentum
void sgd_update(const Tensor& p, const Tensor& g, const Tensor& velocity, const SgdRule& rule);
void adam_update(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const AdamRule& rule);

}  // namespace nnx::ops
