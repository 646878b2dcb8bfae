// Parameter updates in place.
#pragma once

#include "core/tensor.h"
#include "kernels/optimizer.h"

namespace nnx::ops {

// The ranges of the numbers in a rule.
void check_rule(const char* where, const SgdRule& rule);
void check_rule(const char* where, const AdamRule& rule);
void check_rule(const char* where, const RmspropRule& rule);
void check_rule(const char* where, const AdagradRule& rule);
void check_rule(const char* where, const LionRule& rule);

// velocity may be undefined where there is no momentum
void sgd_update(const Tensor& p, const Tensor& g, const Tensor& velocity, const SgdRule& rule);
void adam_update(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const AdamRule& rule);
// mean may be undefined, velocity where there is no momentum
void rmsprop_update(const Tensor& p, const Tensor& g, const Tensor& square, const Tensor& mean,
                    const Tensor& velocity, const RmspropRule& rule);
void adagrad_update(const Tensor& p, const Tensor& g, const Tensor& sum, const AdagradRule& rule);
void lion_update(const Tensor& p, const Tensor& g, const Tensor& m, const LionRule& rule);
void average_update(const Tensor& average, const Tensor& p, const AverageRule& rule);
void clip_gradient(const Tensor& g, double bound);
// The penalty; its gradient is added to g where that is defined.
double penalty(const Tensor& w, const Penalty& rule, const Tensor& g);

}  // namespace nnx::ops
