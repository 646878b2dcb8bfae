#include "ops/loss.h"

#include "ops/checks.h"
#include "ops/targets.h"

namespace nnx::ops {
namespace {

constexpr double kWork = 24.0;

struct Rows {
  int64_t rows, cols;
};

Rows rows_of(const Shape& shape) {
  return shape.rank() == 0 ? Rows{1, 1} : Rows{shape[0], shape.elements(1, shape.rank())};
}

// The factor of every value in the total; the mean of nothing is 0.
double scale_of(Reduction reduction, int64_t count) {
  if (reduction != Reduction::mean) return 1.0;
  return count > 0 ? 1.0 / static_cast<double>(count) : 0.0;
}

struct Pointwise {
  Rows shape;
  int64_t count;  // what a mean divides by
  Tensor row_weight;
};

Pointwise check_pointwise(const char* where, PointwiseLoss loss, const Tensor& y, const Tensor& t,
                          const LossOptions& options) {
  const char* name = loss == PointwiseLoss::binary_cross_entropy           ? "p"
                     : loss == PointwiseLoss::sigmoid_binary_cross_entropy ? "z"
                                                                           : "y";
  expect_float(where, name, y);
  expect_like(where, "t", t, y);
  expect_shape(where, "t", t.shape(), y.shape());
  check_delta(where, options.delta);
  Pointwise out;
  out.shape = rows_of(y.shape());
  out.count = loss == PointwiseLoss::half_sum_squared_error ? out.shape.rows : y.elements();
  out.row_weight = binary_row_weights(where, t, options);
  return out;
}

// Runs body(context, table, total) with a float64 total on the device, and returns that as a scalar of
// `like`'s dtype.
template <class T, class F>
Tensor reduced(const Tensor& like, double work, const F& body) {
  Device& device = device_of(like.device());
  const Tensor total = Tensor::empty({1}, DType::float64, like.device());
  const Tensor result = Tensor::empty({}, like.dtype(), like.device());
  const auto& table = device.table<T>();
  run(device, work, 0, [&](Context& context) {
    body(context, table, total.data<double>());
    table.elementwise.cast(context, 1, DType::float64, total.raw(), result.data<T>());
  });
  return result;
}

// values (rows, cols) -> their sums over cols (rows), as a product with ones
template <class T>
Tensor sum_of_columns(const Tensor& values, Rows shape) {
  if (shape.cols == 0) return Tensor::zeros({shape.rows}, values.dtype(), values.device());
  Device& device = device_of(values.device());
  const Tensor ones = Tensor::empty({shape.cols}, values.dtype(), values.device());
  const Tensor sums = Tensor::empty({shape.rows}, values.dtype(), values.device());
  const DenseShape product{shape.rows, shape.cols, 1};
  const auto& table = device.table<T>();
  run(device, 2.0 * static_cast<double>(values.elements()), table.dense.workspace(product),
      [&](Context& context) {
        table.elementwise.fill(context, shape.cols, 1.0, ones.data<T>());
        table.dense.forward(context, product, values.data<T>(), ones.data<T>(), nullptr, {}, sums.data<T>());
      });
  return sums;
}

// Counts on the device of `like`, all zero before body(context, kernels, counts).
template <class F>
Tensor counted(const Tensor& like, const Shape& shape, const F& body) {
  const Tensor counts = Tensor::zeros(shape, DType::float64, like.device());
  Device& device = device_of(like.device());
  dispatch(like.dtype(), [&](auto zero) {
    const auto& kernels = device.table<decltype(zero)>().loss;
    run(device, 2.0 * static_cast<double>(like.elements()), 0,
        [&](Context& context) { body(context, kernels, zero, counts.data<double>()); });
  });
  return counts;
}

void expect_binary(const char* where, const Tensor& p, const Tensor& t, double threshold) {
  expect_float(where, "p", p);
  expect_like(where, "t", t, p);
  expect_shape(where, "t", t.shape(), p.shape());
  expect_finite(where, "threshold", threshold);
}

}  // namespace

Reduction parse_reduction(const char* where, const std::string& text) {
  if (text == "mean") return Reduction::mean;
  if (text == "sum") return Reduction::sum;
  if (text == "none") return Reduction::none;
  bad_value(where, "reduction", "'mean', 'sum' or 'none'", "'" + text + "'");
}

PointwiseLoss parse_pointwise_loss(const char* where, const std::string& text) {
  if (text == "mean_squared_error") return PointwiseLoss::mean_squared_error;
  if (text == "mean_absolute_error") return PointwiseLoss::mean_absolute_error;
  if (text == "huber") return PointwiseLoss::huber;
  if (text == "half_sum_squared_error") return PointwiseLoss::half_sum_squared_error;
  if (text == "binary_cross_entropy") return PointwiseLoss::binary_cross_entropy;
  if (text == "sigmoid_binary_cross_entropy") return PointwiseLoss::sigmoid_binary_cross_entropy;
  bad_value(where, "loss", "the name of a pointwise loss", "'" + text + "'");
}

void check_delta(const char* where, double delta) { expect_positive(where, "delta", delta); }

void check_label_smoothing(const char* where, double label_smoothing) {
  expect_unit(where, "label_smoothing", label_smoothing);
}

Tensor pointwise_loss(const char* where, PointwiseLoss loss, const Tensor& y, const Tensor& t,
                      const LossOptions& options) {
  const Pointwise checked = check_pointwise(where, loss, y, t, options);
  const auto [rows, cols] = checked.shape;
  const double work = kWork * static_cast<double>(y.elements());
  return dispatch(y.dtype(), [&, rows = rows, cols = cols](auto zero) {
    using T = decltype(zero);
    const T* weight = checked.row_weight.data<T>();
    if (options.reduction != Reduction::none) {
      const double scale = scale_of(options.reduction, checked.count);
      return reduced<T>(y, work, [&](Context& context, const auto& table, double* total) {
        table.loss.pointwise(context, loss, options.delta, rows, cols, y.data<T>(), t.data<T>(), weight,
                             scale, {nullptr, total, nullptr, Policy::assign});
      });
    }
    const Tensor values = Tensor::empty(y.shape(), y.dtype(), y.device());
    Device& device = device_of(y.device());
    run(device, work, 0, [&](Context& context) {
      device.table<T>().loss.pointwise(context, loss, options.delta, rows, cols, y.data<T>(), t.data<T>(),
                                       weight, 1.0, {values.data<T>(), nullptr, nullptr, Policy::assign});
    });
    return loss == PointwiseLoss::half_sum_squared_error ? sum_of_columns<T>(values, checked.shape) : values;
  });
}

Tensor pointwise_loss_backward(const char* where, PointwiseLoss loss, const Tensor& y, const Tensor& t,
                               const LossOptions& options) {
  const Pointwise checked = check_pointwise(where, loss, y, t, options);
  const Tensor gradient = Tensor::empty(y.shape(), y.dtype(), y.device());
  Device& device = device_of(y.device());
  dispatch(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().loss;
    run(device, kWork * static_cast<double>(y.elements()), 0, [&](Context& context) {
      kernels.pointwise(context, loss, options.delta, checked.shape.rows, checked.shape.cols, y.data<T>(),
                        t.data<T>(), checked.row_weight.data<T>(), scale_of(options.reduction, checked.count),
                        {nullptr, nullptr, gradient.data<T>(), Policy::assign});
    });
  });
  return gradient;
}

Tensor softmax_cross_entropy(const Tensor& z, const Tensor& targets, const LossOptions& options) {
  const char* where = "softmax_cross_entropy";
  const Targets checked = class_targets(where, "labels_or_onehot", z, targets);
  check_label_smoothing(where, options.label_smoothing);
  const Tensor row_weight = class_row_weights(where, z, checked, options);
  const int64_t rows = z.shape()[0];
  const int64_t classes = z.shape()[1];
  const double work = kWork * static_cast<double>(z.elements());
  return dispatch(z.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto call = [&](Context& context, const auto& table, double scale, LossOutput<T> output) {
      table.loss.softmax_cross_entropy(context, rows, classes, z.data<T>(), checked.pointers<T>(),
                                       options.label_smoothing, row_weight.data<T>(), scale, output);
    };
    if (options.reduction != Reduction::none) {
      return reduced<T>(z, work, [&](Context& context, const auto& table, double* total) {
        call(context, table, scale_of(options.reduction, rows), {nullptr, total, nullptr, Policy::assign});
      });
    }
    const Tensor values = Tensor::empty({rows}, z.dtype(), z.device());
    Device& device = device_of(z.device());
    run(device, work, 0, [&](Context& context) {
      call(context, device.table<T>(), 1.0, {values.data<T>(), nullptr, nullptr, Policy::assign});
    });
    return values;
  });
}

Tensor softmax_cross_entropy_backward(const Tensor& z, const Tensor& targets, const LossOptions& options) {
  const char* where = "softmax_cross_entropy_backward";
  const Targets checked = class_targets(where, "labels_or_onehot", z, targets);
  check_label_smoothing(where, options.label_smoothing);
  const Tensor row_weight = class_row_weights(where, z, checked, options);
  const int64_t rows = z.shape()[0];
  const Tensor gradient = Tensor::empty(z.shape(), z.dtype(), z.device());
  Device& device = device_of(z.device());
  dispatch(z.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().loss;
    run(device, kWork * static_cast<double>(z.elements()), 0, [&](Context& context) {
      kernels.softmax_cross_entropy(context, rows, z.shape()[1], z.data<T>(), checked.pointers<T>(),
                                    options.label_smoothing, row_weight.data<T>(),
                                    scale_of(options.reduction, rows),
                                    {nullptr, nullptr, gradient.data<T>(), Policy::assign});
    });
  });
  return gradient;
}

Tensor count_top_k(const Tensor& z, const Tensor& targets, int64_t k) {
  const Targets checked = class_targets("count_top_k", "targets", z, targets);
  if (k < 1 || k > z.shape()[1]) {
    bad_value("count_top_k", "k", detail::concatenate("an integer in [1, ", z.shape()[1], "]"), k);
  }
  return counted(z, {1}, [&](Context& context, const auto& kernels, auto zero, double* count) {
    using T = decltype(zero);
    kernels.count_top_k(context, z.shape()[0], z.shape()[1], z.data<T>(), checked.pointers<T>(), k, count);
  });
}

Tensor confusion(const Tensor& z, const Tensor& targets) {
  const Targets checked = class_targets("confusion", "targets", z, targets);
  const int64_t classes = z.shape()[1];
  return counted(
      z, {classes, classes}, [&](Context& context, const auto& kernels, auto zero, double* matrix) {
        using T = decltype(zero);
        kernels.confusion(context, z.shape()[0], classes, z.data<T>(), checked.pointers<T>(), matrix);
      });
}

Tensor count_binary(const Tensor& p, const Tensor& t, double threshold) {
  expect_binary("count_binary", p, t, threshold);
  return counted(p, {1}, [&](Context& context, const auto& kernels, auto zero, double* count) {
    using T = decltype(zero);
    kernels.count_binary(context, p.elements(), p.data<T>(), t.data<T>(), threshold, count);
  });
}

Tensor binary_confusion(const Tensor& p, const Tensor& t, double threshold) {
  expect_binary("binary_confusion", p, t, threshold);
  return counted(p, {2, 2}, [&](Context& context, const auto& kernels, auto zero, double* matrix) {
    using T = decltype(zero);
    kernels.binary_confusion(context, p.elements(), p.data<T>(), t.data<T>(), threshold, matrix);
  });
}

Tensor regression_sums(const Tensor& y, const Tensor& t) {
  expect_float("regression_sums", "y", y);
  expect_like("regression_sums", "t", t, y);
  expect_shape("regression_sums", "t", t.shape(), y.shape());
  const Rows shape = rows_of(y.shape());
  return counted(y, {shape.cols, 4}, [&](Context& context, const auto& kernels, auto zero, double* sums) {
    using T = decltype(zero);
    kernels.regression_sums(context, shape.rows, shape.cols, y.data<T>(), t.data<T>(), sums);
  });
}

}  // namespace nnx::ops
