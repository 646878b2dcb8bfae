#include "counts.cuh"
#include "cross_entropy.cuh"
#include "table.h"

namespace nnx::cuda {

template <class T>
struct ValueAndSlope {
  T value, slope;
};

// l and dl/dy of one element.
template <PointwiseLoss kind, class T>
__device__ __forceinline__ ValueAndSlope<T> loss_of(T y, T t, T delta) {
  const T error = y - t;
  (void)delta, (void)error;
  if constexpr (kind == PointwiseLoss::mean_squared_error) return {error * error, error * 2};
  if constexpr (kind == PointwiseLoss::mean_absolute_error) {
    return {magnitude(error), error > 0 ? T(1) : error < 0 ? T(-1) : error};  // NaN stays
  }
  if constexpr (kind == PointwiseLoss::huber) {
    const T size = magnitude(error);
    return {size <= delta ? error * error * T(0.5) : (size - delta * T(0.5)) * delta,
            size > delta ? (error < 0 ? -delta : delta) : error};
  }
  if constexpr (kind == PointwiseLoss::half_sum_squared_error) return {error * error * T(0.5), error};
  if constexpr (kind == PointwiseLoss::binary_cross_entropy) {
    // By the smaller of y and 1 - y, so that both logarithms keep their precision at either end.
    const bool high = y > T(0.5);
    const T below = high ? 1 - y : y, small = below < T(1e-7) ? T(1e-7) : below, large = 1 - small;
    const T of_small = high ? 1 - t : t;
    return {-(of_small * log(small) + (1 - of_small) * log1p(-small)),
            ((high ? large : small) - t) / (small * large)};
  }
  if constexpr (kind == PointwiseLoss::sigmoid_binary_cross_entropy) {
    const T e = exponential(-magnitude(y));
    return {(y > 0 ? y : y * 0) - y * t + log1p(e), (y < 0 ? e : T(1)) / (e + 1) - t};
  }
  if constexpr (kind == PointwiseLoss::value) return {y, T(1)};
}

// Values, gradients and total of four elements at a time.
template <PointwiseLoss kind, class T>
struct Pointwise {
  int64_t cols;
  const T *y, *t, *row_weight;
  T delta, scale, *values, *gradient;
  bool whole;

  __device__ void operator()(int64_t i, int64_t count, double (&sums)[1]) const {
    const Pack<T, 4> y4 = load_four(y + i, count, whole), t4 = load_four(t + i, count, whole);
    Pack<T, 4> value, slope;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const ValueAndSlope<T> of = loss_of<kind>(y4.at[k], t4.at[k], delta);
      const T weight = row_weight != nullptr && k < count ? row_weight[split(i + k, cols).quotient] : T(1);
      value.at[k] = of.value * weight;
      slope.at[k] = of.slope * weight * scale;
      if (k < count) sums[0] += static_cast<double>(value.at[k]);
    }
    if (values != nullptr) put_four(values + i, value, count, whole);
    if (gradient != nullptr) put_four(gradient + i, slope, count, whole);
  }
};

template <PointwiseLoss kind, class T>
static void pointwise_of(Context& context, T delta, int64_t rows, int64_t cols, const T* y, const T* t,
                         const T* row_weight, double scale, const LossOutput<T>& output) {
  const bool whole = aligned(y, t, output.values, output.gradient);
  const Pointwise<kind, T> of{
      cols, y, t, row_weight, delta, static_cast<T>(scale), output.values, output.gradient, whole};
  sum<1>(context, "pointwise_loss", rows * cols, of,
         total_to(context, output.total, scale, output.total_policy));
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

}  // namespace nnx::cuda
