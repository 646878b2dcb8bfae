#include "cpu/cross_entropy.h"
#include "cpu/fill.h"
#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/vmath.h"
#include "cpu/wide.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 8192;  // elements

// *total = or += scale * (the sum of body(begin, end) over [0, n)).
template <class T, class F>
NNX_INLINE void sum_losses(Context& context, int64_t n, int64_t grain, double scale,
                           const LossOutput<T>& output, const F& body) {
  const double sum = sum_ranges(context, n, grain, body);
  if (output.total != nullptr) put(output.total, scale * sum, output.total_policy);
}

// dl/dy and l of a pair of lanes.
template <PointwiseLoss kind, class T>
NNX_INLINE void value_and_slope(Vec<T> y, Vec<T> t, T delta, Vec<T>& value, Vec<T>& slope) {
  const Vec<T> one = broadcast(T(1)), error = y - t;
  (void)one, (void)delta, (void)error;
  if constexpr (kind == PointwiseLoss::mean_squared_error) {
    value = error * error;
    slope = error * 2;
  } else if constexpr (kind == PointwiseLoss::mean_absolute_error) {
    value = absolute<T>(error);
    slope = error == 0 || error != error ? error : copy_sign<T>(one, error);
  } else if constexpr (kind == PointwiseLoss::huber) {
    const Vec<T> size = absolute<T>(error);
    value = size <= delta ? error * error * T(0.5) : (size - delta * T(0.5)) * delta;
    slope = size > delta ? copy_sign<T>(broadcast(delta), error) : error;
  } else if constexpr (kind == PointwiseLoss::half_sum_squared_error) {
    value = error * error * T(0.5);
    slope = error;
  } else if constexpr (kind == PointwiseLoss::binary_cross_entropy) {
    // By the smaller of y and 1 - y, so that both logarithms keep their precision at either end.
    const IntVec<T> high = y > T(0.5);
    const Vec<T> small = maximum<T>(high ? 1 - y : y, broadcast(T(1e-7))), large = 1 - small;
    const Vec<T> log_small = log<T>(small), log_large = log1p<T>(-small);
    const Vec<T> of_small = high ? 1 - t : t;
    value = -(of_small * log_small + (1 - of_small) * log_large);
    slope = ((high ? large : small) - t) / (small * large);
  } else if constexpr (kind == PointwiseLoss::value) {
    value = y;
    slope = one;
  } else {
    const Vec<T> e = exp<T>(-absolute<T>(y));
    value = (y > 0 ? y : y * 0) - y * t + log1p<T>(e);
    slope = (y < 0 ? e : one) / (e + 1) - t;
  }
}

// Writes values and gradients of [begin, end); the sum of the values.
template <PointwiseLoss kind, class T, class Weight>
NNX_INLINE double pointwise_run(int64_t begin, int64_t end, const T* y, const T* t, T delta, T scale,
                                const LossOutput<T>& output, const Weight& weight) {
  Wide<T> sums = wide_zero<T>();
  for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
    Vec<T> value, slope;
    value_and_slope<kind, T>(load_some(y + i, lanes), load_some(t + i, lanes), delta, value, slope);
    const Vec<T> w = weight(i, lanes);
    value *= w;
    if (output.values != nullptr) store_some(output.values + i, value, lanes);
    if (output.gradient != nullptr) store_some(output.gradient + i, slope * w * scale, lanes);
    if (lanes < kLanes<T>) value = select<T>(first_lanes<T>(lanes), value, Vec<T>{});
    add_to(sums, widen<T>(value));
  });
  return sum_of_wide(sums);
}

template <PointwiseLoss kind, class T>
static void pointwise_of(Context& context, T delta, int64_t rows, int64_t cols, const T* y, const T* t,
                         const T* row_weight, double scale, const LossOutput<T>& output) {
  const T factor = static_cast<T>(scale);
  if (row_weight == nullptr || cols == 1) {
    sum_losses(context, rows * cols, kGrain, scale, output, [&](int64_t begin, int64_t end) {
      return pointwise_run<kind>(begin, end, y, t, delta, factor, output, [&](int64_t i, int64_t lanes) {
        return row_weight != nullptr ? load_some(row_weight + i, lanes) : broadcast(T(1));
      });
    });
    return;
  }
  sum_losses(context, rows, max_of(1, kGrain / max_of(cols, 1)), scale, output,
             [&](int64_t begin, int64_t end) {
               double sum = 0.0;
               for (int64_t r = begin; r < end; ++r) {
                 sum += pointwise_run<kind>(r * cols, (r + 1) * cols, y, t, delta, factor, output,
                                            [&](int64_t, int64_t) { return broadcast(row_weight[r]); });
               }
               return sum;
             });
}

template <class T>
static void pointwise(Context& context, PointwiseLoss kind, double delta, int64_t rows, int64_t cols,
                      const T* y, const T* t, const T* row_weight, double scale, LossOutput<T> output) {
  const auto run = [&](auto* of) {
    of(context, static_cast<T>(delta), rows, cols, y, t, row_weight, scale, output);
  };
  switch (kind) {
    case PointwiseLoss::mean_squared_error:
      return run(pointwise_of<PointwiseLoss::mean_squared_error, T>);
    case PointwiseLoss::mean_absolute_error:
      return run(pointwise_of<PointwiseLoss::mean_absolute_error, T>);
    case PointwiseLoss::huber:
      return run(pointwise_of<PointwiseLoss::huber, T>);
    case PointwiseLoss::half_sum_squared_error:
      return run(pointwise_of<PointwiseLoss::half_sum_squared_error, T>);
    case PointwiseLoss::binary_cross_entropy:
      return run(pointwise_of<PointwiseLoss::binary_cross_entropy, T>);
    case PointwiseLoss::sigmoid_binary_cross_entropy:
      return run(pointwise_of<PointwiseLoss::sigmoid_binary_cross_entropy, T>);
    case PointwiseLoss::value:
      return run(pointwise_of<PointwiseLoss::value, T>);
  }
}

template <class T>
static void softmax_cross_entropy(Context& context, int64_t rows, int64_t classes, const T* z,
                                  ClassTargets<T> targets, double label_smoothing, const T* row_weight,
                                  double scale, LossOutput<T> output) {
  constexpr int64_t row_cost = 128;  // elements that take as long as a row's logarithm and reductions
  const int64_t grain = max_of(1, kGrain / max_of(classes, row_cost));
  sum_losses(context, rows, grain, scale, output, [&](int64_t begin, int64_t end) {
    double sum = 0.0;
    for (int64_t r = begin; r < end; ++r) {
      const double weight = row_weight != nullptr ? static_cast<double>(row_weight[r]) : 1.0;
      const int64_t at = r * classes;
      const T* one_hot = targets.one_hot != nullptr ? targets.one_hot + at : nullptr;
      const double loss =
          weight * cross_entropy_row(classes, z + at, one_hot == nullptr ? targets.labels[r] : 0, one_hot,
                                     label_smoothing, scale * weight,
                                     output.gradient != nullptr ? output.gradient + at : nullptr);
      if (output.values != nullptr) output.values[r] = static_cast<T>(loss);
      sum += loss;
    }
    return sum;
  });
}

// The first largest, or the first NaN.
template <class T>
NNX_INLINE int64_t argmax(int64_t n, const T* z) {
  int64_t best = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (z[i] != z[i]) return i;
    if (z[i] > z[best]) best = i;
  }
  return best;
}

template <class T>
NNX_INLINE int64_t target_of(const ClassTargets<T>& targets, int64_t row, int64_t classes) {
  return targets.labels != nullptr ? targets.labels[row] : argmax(classes, targets.one_hot + row * classes);
}

template <class T>
static void count_top_k(Context& context, int64_t rows, int64_t classes, const T* z, ClassTargets<T> targets,
                        int64_t k, double* count) {
  const int64_t grain = max_of(1, kGrain / max_of(classes, 1));
  const double correct = sum_ranges(context, rows, grain, [&](int64_t begin, int64_t end) {
    int64_t hits = 0;
    for (int64_t r = begin; r < end; ++r) {
      const T* row = z + r * classes;
      const int64_t target = target_of(targets, r, classes);
      const T score = row[target];
      int64_t ahead = 0, undefined = 0;
      for (int64_t c = 0; c < classes; ++c) {
        ahead += (row[c] > score) | ((row[c] == score) & (c < target));
        undefined += row[c] != row[c];
      }
      hits += ahead < k && undefined == 0;
    }
    return static_cast<double>(hits);
  });
  *count += correct;
}

template <class T>
static void count_binary(Context& context, int64_t n, const T* p, const T* t, double threshold,
                         double* count) {
  const T limit = static_cast<T>(threshold);
  const double correct = sum_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    int64_t hits = 0;
    for (int64_t i = begin; i < end; ++i) hits += ((p[i] > limit) == (t[i] > T(0.5))) & (p[i] == p[i]);
    return static_cast<double>(hits);
  });
  *count += correct;
}

template <class T>
static void confusion(Context&, int64_t rows, int64_t classes, const T* z, ClassTargets<T> targets,
                      double* matrix) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = z + r * classes;
    const int64_t target = target_of(targets, r, classes);
    int64_t best = argmax(classes, row);
    if (best == target && row[best] != row[best]) best = target == 0 ? 1 : 0;
    if (best < classes) matrix[target * classes + best] += 1.0;
  }
}

template <class T>
static void binary_confusion(Context&, int64_t n, const T* p, const T* t, double threshold, double* matrix) {
  const T limit = static_cast<T>(threshold);
  for (int64_t i = 0; i < n; ++i) {
    const bool is = t[i] > T(0.5), said = p[i] == p[i] ? p[i] > limit : !is;
    matrix[2 * is + said] += 1.0;
  }
}

template <class T>
static void regression_sums(Context&, int64_t rows, int64_t cols, const T* y, const T* t, double* sums) {
  for (int64_t c = 0; c < cols; ++c) {
    double squares = 0.0, sizes = 0.0, targets = 0.0, target_squares = 0.0;
    for (int64_t i = c; i < rows * cols; i += cols) {
      const double target = static_cast<double>(t[i]), error = static_cast<double>(y[i]) - target;
      squares += error * error;
      sizes += __builtin_fabs(error);
      targets += target;
      target_squares += target * target;
    }
    double* column = sums + 4 * c;
    column[0] += squares;
    column[1] += sizes;
    column[2] += targets;
    column[3] += target_squares;
  }
}

template <class T>
void fill(kernels::LossKernels<T>& table) {
  table.pointwise = pointwise<T>;
  table.softmax_cross_entropy = softmax_cross_entropy<T>;
  table.count_top_k = count_top_k<T>;
  table.count_binary = count_binary<T>;
  table.confusion = confusion<T>;
  table.binary_confusion = binary_confusion<T>;
  table.regression_sums = regression_sums<T>;
}

template void fill(kernels::LossKernels<float>&);
template void fill(kernels::LossKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
