// Losses, their gradients, and the counts that metrics are made of.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "kernels/loss.h"

namespace nnx::ops {

enum class Reduction { mean, sum, none };
Reduction parse_reduction(const char* where, const std::string& text);  // "mean", "sum" or "none"
PointwiseLoss parse_pointwise_loss(const char* where, const std::string& text);

// Weights by class. `complete`: entries must name every class once (they came as an array).
struct ClassWeight {
  std::vector<std::pair<int64_t, double>> entries;
  bool complete = false;
};

struct LossOptions {
  Reduction reduction = Reduction::mean;
  Tensor sample_weight;      // (N) or undefined
  ClassWeight class_weight;  // empty: none
  double delta = 1.0;        // huber
  double label_smoothing = 0.0;
};

// The first bad label is named with its index. labels (rows): int32, int64 or uint8 -> int32 on the same
// device.
Tensor check_labels(const char* where, const char* name, const Tensor& labels, int64_t classes);
void check_delta(const char* where, double delta);
void check_label_smoothing(const char* where, double label_smoothing);

// y, t of one shape (N, ...). mean and sum: a scalar (); none: y.shape, or (N) for half_sum_squared_error.
Tensor pointwise_loss(const char* where, PointwiseLoss loss, const Tensor& y, const Tensor& t,
                      const LossOptions& options);
Tensor pointwise_loss_backward(const char* where, PointwiseLoss loss, const Tensor& y, const Tensor& t,
                               const LossOptions& options);
// z (N, K), targets: labels (N) or a distribution (N, K). none: (N)
Tensor softmax_cross_entropy(const Tensor& z, const Tensor& targets, const LossOptions& options);
Tensor softmax_cross_entropy_backward(const Tensor& z, const Tensor& targets, const LossOptions& options);

// All float64. z (N, K), targets as above
Tensor count_top_k(const Tensor& z, const Tensor& targets, int64_t k);        // (1)
Tensor confusion(const Tensor& z, const Tensor& targets);                     // (K, K)
Tensor count_binary(const Tensor& p, const Tensor& t, double threshold);      // (1)
Tensor binary_confusion(const Tensor& p, const Tensor& t, double threshold);  // (2, 2)
Tensor regression_sums(const Tensor& y, const Tensor& t);                     // (outputs, 4)

}  // namespace nnx::ops
