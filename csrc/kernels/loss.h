// Losses, value and gradient in one pass, and the counts that metrics are made of.
#pragma once

#include "core/context.h"

namespace nnx {

enum class PointwiseLoss : int32_t {
  mean_squared_error,      // (y - t)^2
  mean_absolute_error,     // |y - t|, gradient sign(y - t), 0 at 0
  huber,                   // |e| <= delta: e^2 / 2, else delta (|e| - delta / 2)
  half_sum_squared_error,  // (t - y)^2 / 2
  binary_cross_entropy,    // y a probability, clamped to [1e-7, 1 - 1e-7]: -t log y - (1 - t) log(1 - y)
  sigmoid_binary_cross_entropy,  // y a logit: max(y, 0) - y t + log(1 + exp(-|y|))
  value,                         // y, itself a loss, whatever t is
};

// What a loss kernel writes; null pointers are skipped.
template <class T>
struct LossOutput {
  T* values = nullptr;  // weighted but unscaled: (rows, cols) for pointwise losses, (rows) for cross-entropy
  double* total = nullptr;  // one number: scale * sum of values, = or += by total_policy
  T* gradient = nullptr;    // (rows, cols): scale * weight * dl/dy, assigned
  Policy total_policy = Policy::assign;
};

// Targets of a classification: one of the two is null.
template <class T>
struct ClassTargets {
  const int32_t* labels = nullptr;  // (rows), each in [0, classes)
  const T* one_hot = nullptr;       // (rows, classes), a distribution
};

namespace kernels {

template <class T>
struct LossKernels {
  // y, t (rows, cols); row_weight (rows) may be null
  void (*pointwise)(Context&, PointwiseLoss, double delta, int64_t rows, int64_t cols, const T* y, const T* t,
                    const T* row_weight, double scale, LossOutput<T>);
  // z (rows, classes) logits; l = -sum q log softmax(z), q = (1 - smoothing) target + smoothing / classes
  void (*softmax_cross_entropy)(Context&, int64_t rows, int64_t classes, const T* z, ClassTargets<T>,
                                double label_smoothing, const T* row_weight, double scale, LossOutput<T>);

  // *count += rows whose target is among the k largest of z (rows, classes); among equals the lower class
  // wins. Targets given one-hot count as their argmax. A row with a NaN never counts.
  void (*count_top_k)(Context&, int64_t rows, int64_t classes, const T* z, ClassTargets<T>, int64_t k,
                      double* count);
  // *count += elements with (p > threshold) == (t > 0.5); where p is NaN never
  void (*count_binary)(Context&, int64_t n, const T* p, const T* t, double threshold, double* count);
  // matrix (classes, classes)[target][argmax z] += 1. The first NaN is the largest, unless it stands at the
  // target: then the row counts for the first class that is not (for none where there is no other).
  void (*confusion)(Context&, int64_t rows, int64_t classes, const T* z, ClassTargets<T>, double* matrix);
  // matrix (2, 2)[t > 0.5][p > threshold] += 1; a NaN is on the wrong side
  void (*binary_confusion)(Context&, int64_t n, const T* p, const T* t, double threshold, double* matrix);
  // sums (cols, 4) += per column: sum (y-t)^2, sum |y-t|, sum t, sum t^2
  void (*regression_sums)(Context&, int64_t rows, int64_t cols, const T* y, const T* t, double* sums);
};

}  // namespace kernels
}  // namespace nnx
