// What losses and metrics are measured against: class targets, and the weights of rows.
#pragma once

#include "ops/loss.h"

namespace nnx::ops {

// The targets of a classification as kernels take them; one of the two tensors is defined.
struct Targets {
  Tensor labels;   // (rows) int32
  Tensor one_hot;  // (rows, classes)

  template <class T>
  ClassTargets<T> pointers() const {
    return {labels.data<int32_t>(), one_hot.data<T>()};
  }
};

// z (N, K); targets: labels (N) or a distribution (N, K) of z's dtype
Targets class_targets(const char* where, const char* name, const Tensor& z, const Tensor& targets);

// sample weight times class weight for each of z's rows, in z's dtype on z's device; undefined where neither
// is given.
Tensor class_row_weights(const char* where, const Tensor& z, const Targets& targets,
                         const LossOptions& options);
// The same for targets in {0, 1}, t (N) or (N, 1).
Tensor binary_row_weights(const char* where, const Tensor& t, const LossOptions& options);

}  // namespace nnx::ops
