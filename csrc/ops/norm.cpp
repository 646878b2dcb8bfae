#include "ops/norm.h"

#include "ops/checks.h"

namespace nnx::ops {
namespace {

constexpr double kBatchNormWork = 6.0;
constexpr double kResponseWork = 40.0;

void expect_channels(const char* where, const char* name, const Tensor& values, const Tensor& x) {
  expect_like(where, name, values, x);
  expect_shape(where, name, values.shape(), Shape{x.shape().back()});
}

}  // namespace

BatchNormShape batch_norm_shape(const char* where, const Shape& x) {
  if (x.rank() < 2) bad_value(where, "x", "shape (N, ..., C)", x);
  expect_extents(where, "x", x, 1);
  return {x.elements(0, x.rank() - 1), x.back()};
}

void check_batch_norm(const char* where, double momentum, double epsilon) {
  expect_unit(where, "momentum", momentum);
  expect_positive(where, "epsilon", epsilon);
}

LocalResponseNormShape local_response_norm_shape(const char* where, const Shape& x, int64_t size,
                                                 double alpha, double beta, double k) {
  if (x.rank() < 2) bad_value(where, "x", "shape (N, ..., C)", x);
  expect_extents(where, "x", x, 1);
  // What a pixel's channels are turned into has to fit a thread's scratch memory.
  constexpr int64_t kMostChannels = 65536;
  if (x.back() > kMostChannels) {
    bad_value(where, "x", detail::concatenate("at most ", kMostChannels, " channels"), x);
  }
  if (size < 1 || size % 2 == 0) bad_value(where, "size", "an odd number of channels", size);
  expect_not_negative(where, "alpha", alpha);
  expect_finite(where, "beta", beta);
  expect_positive(where, "k", k);
  return {x.elements(0, x.rank() - 1), x.back(), size, alpha, beta, k};
}

BatchNormTraining batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                   const Tensor& running_mean, const Tensor& running_variance,
                                   double momentum, double epsilon) {
  const char* where = "batch_norm";
  expect_float(where, "x", x);
  const BatchNormShape shape = batch_norm_shape(where, x.shape());
  expect_channels(where, "gamma", gamma, x);
  expect_channels(where, "beta", beta, x);
  expect_channels(where, "running_mean", running_mean, x);
  expect_channels(where, "running_var", running_variance, x);
  check_batch_norm(where, momentum, epsilon);

  BatchNormTraining out;
  out.y = Tensor::empty(x.shape(), x.dtype(), x.device());
  out.running_mean = running_mean.clone();
  out.running_variance = running_variance.clone();
  out.saved_mean = Tensor::empty({shape.channels}, x.dtype(), x.device());
  out.saved_inverse = Tensor::empty({shape.channels}, x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().norm;
    run(device, kBatchNormWork * static_cast<double>(x.elements()), kernels.batch_norm_workspace(shape),
        [&](Context& context) {
          kernels.batch_norm_train(context, shape, x.data<T>(), gamma.data<T>(), beta.data<T>(), epsilon,
                                   momentum, out.running_mean.data<T>(), out.running_variance.data<T>(),
                                   out.y.data<T>(), out.saved_mean.data<T>(), out.saved_inverse.data<T>(),
                                   nullptr);
        });
  });
  return out;
}

Tensor batch_norm_infer(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                        const Tensor& variance, double epsilon) {
  const char* where = "batch_norm";
  expect_float(where, "x", x);
  const BatchNormShape shape = batch_norm_shape(where, x.shape());
  expect_channels(where, "gamma", gamma, x);
  expect_channels(where, "beta", beta, x);
  expect_channels(where, "running_mean", mean, x);
  expect_channels(where, "running_var", variance, x);
  expect_positive(where, "epsilon", epsilon);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().norm;
    run(device, kBatchNormWork * static_cast<double>(x.elements()), kernels.batch_norm_workspace(shape),
        [&](Context& context) {
          kernels.batch_norm_infer(context, shape, x.data<T>(), gamma.data<T>(), beta.data<T>(),
                                   mean.data<T>(), variance.data<T>(), epsilon, y.data<T>());
        });
  });
  return y;
}

NormGradients batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma,
                                  const Tensor& saved_mean, const Tensor& saved_inverse) {
  const char* where = "batch_norm_backward";
  expect_float(where, "x", x);
  const BatchNormShape shape = batch_norm_shape(where, x.shape());
  expect_like(where, "dy", dy, x);
  expect_shape(where, "dy", dy.shape(), x.shape());
  expect_channels(where, "gamma", gamma, x);
  expect_channels(where, "saved_mean", saved_mean, x);
  expect_channels(where, "saved_inverse", saved_inverse, x);

  NormGradients out;
  out.dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  out.dgamma = Tensor::empty({shape.channels}, x.dtype(), x.device());
  out.dbeta = Tensor::empty({shape.channels}, x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().norm;
    run(device, 2.0 * kBatchNormWork * static_cast<double>(x.elements()), kernels.batch_norm_workspace(shape),
        [&](Context& context) {
          kernels.batch_norm_backward(context, shape, dy.data<T>(), x.data<T>(), gamma.data<T>(),
                                      saved_mean.data<T>(), saved_inverse.data<T>(), Policy::assign,
                                      out.dx.data<T>(), Policy::assign, out.dgamma.data<T>(),
                                      out.dbeta.data<T>());
        });
  });
  return out;
}

GroupNormShape group_norm_shape(const char* where, const Shape& x, int64_t groups) {
  if (x.rank() < 2) bad_value(where, "x", "shape (N, ..., C)", x);
  expect_extents(where, "x", x, 1);
  expect_at_least(where, "groups", groups, 1);
  if (x.back() % groups != 0) {
    bad_value(where, "groups", detail::concatenate("a divisor of ", x.back(), " channels"), groups);
  }
  // What the channels of a group are combined with has to fit a thread's scratch memory.
  constexpr int64_t kMostChannels = 65536;
  if (x.back() / groups > kMostChannels) {
    bad_value(where, "x", detail::concatenate("at most ", kMostChannels, " channels in a group"), x);
  }
  return {x[0], x.elements(1, x.rank() - 1), x.back(), groups};
}

GroupNormShape layer_norm_shape(const char* where, const Shape& x, int64_t axes) {
  if (x.rank() < 2) bad_value(where, "x", "shape (N, ..., C)", x);
  expect_extents(where, "x", x, 1);
  if (axes < 1 || axes >= x.rank()) {
    bad_value(where, "axis", detail::concatenate("1 to ", x.rank() - 1, " of the last axes"), axes);
  }
  const int64_t first = x.rank() - axes;
  return {x.elements(0, first), 1, x.elements(first, x.rank()), 1};
}

namespace {

constexpr double kGroupNormWork = 8.0;

void check_weights(const char* where, const Tensor& x, int64_t axes, const Tensor& gamma, const Tensor& beta,
                   double epsilon) {
  const std::vector<int64_t>& dims = x.shape().dims();
  const Shape expected(std::vector<int64_t>(dims.end() - axes, dims.end()));
  for (const auto& [name, values] : {std::pair("gamma", &gamma), std::pair("beta", &beta)}) {
    if (!values->defined()) continue;
    expect_like(where, name, *values, x);
    expect_shape(where, name, values->shape(), expected);
  }
  expect_positive(where, "epsilon", epsilon);
}

Tensor norm_groups(const GroupNormShape& shape, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                   double epsilon) {
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().norm;
    run(device, kGroupNormWork * static_cast<double>(x.elements()), 0, [&](Context& context) {
      kernels.group_norm(context, shape, x.data<T>(), gamma.data<T>(), beta.data<T>(), epsilon, y.data<T>(),
                         nullptr);
    });
  });
  return y;
}

NormGradients norm_groups_backward(const GroupNormShape& shape, const Shape& weights, const Tensor& dy,
                                   const Tensor& x, const Tensor& gamma, double epsilon) {
  NormGradients out;
  out.dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  out.dgamma = Tensor::empty(weights, x.dtype(), x.device());
  out.dbeta = Tensor::empty(weights, x.dtype(), x.device());
  const Tensor statistics = Tensor::empty({shape.samples, shape.groups, 2}, DType::float64, x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().norm;
    run(device, 2.0 * kGroupNormWork * static_cast<double>(x.elements()), kernels.group_norm_workspace(shape),
        [&](Context& context) {
          // For the statistics; its output makes way for dx.
          kernels.group_norm(context, shape, x.data<T>(), nullptr, nullptr, epsilon, out.dx.data<T>(),
                             statistics.data<double>());
          kernels.group_norm_backward(context, shape, dy.data<T>(), x.data<T>(), gamma.data<T>(),
                                      statistics.data<double>(), Policy::assign, out.dx.data<T>(),
                                      Policy::assign, out.dgamma.data<T>(), Policy::assign,
                                      out.dbeta.data<T>());
        });
  });
  return out;
}

}  // namespace

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& gamma, const Tensor& beta, double epsilon) {
  expect_float("group_norm", "x", x);
  const GroupNormShape shape = group_norm_shape("group_norm", x.shape(), groups);
  check_weights("group_norm", x, 1, gamma, beta, epsilon);
  return norm_groups(shape, x, gamma, beta, epsilon);
}

Tensor layer_norm(const Tensor& x, int64_t axes, const Tensor& gamma, const Tensor& beta, double epsilon) {
  expect_float("layer_norm", "x", x);
  const GroupNormShape shape = layer_norm_shape("layer_norm", x.shape(), axes);
  check_weights("layer_norm", x, axes, gamma, beta, epsilon);
  return norm_groups(shape, x, gamma, beta, epsilon);
}

NormGradients group_norm_backward(const Tensor& dy, const Tensor& x, int64_t groups, const Tensor& gamma,
                                  double epsilon) {
  const char* where = "group_norm_backward";
  expect_float(where, "x", x);
  expect_like(where, "dy", dy, x);
  const GroupNormShape shape = group_norm_shape(where, x.shape(), groups);
  expect_shape(where, "dy", dy.shape(), x.shape());
  check_weights(where, x, 1, gamma, {}, epsilon);
  return norm_groups_backward(shape, {shape.channels}, dy, x, gamma, epsilon);
}

NormGradients layer_norm_backward(const Tensor& dy, const Tensor& x, int64_t axes, const Tensor& gamma,
                                  double epsilon) {
  const char* where = "layer_norm_backward";
  expect_float(where, "x", x);
  expect_like(where, "dy", dy, x);
  const GroupNormShape shape = layer_norm_shape(where, x.shape(), axes);
  expect_shape(where, "dy", dy.shape(), x.shape());
  check_weights(where, x, axes, gamma, {}, epsilon);
  const std::vector<int64_t>& dims = x.shape().dims();
  return norm_groups_backward(shape, Shape(std::vector<int64_t>(dims.end() - axes, dims.end())), dy, x, gamma,
                              epsilon);
}

Tensor local_response_norm(const Tensor& x, int64_t size, double alpha, double beta, double k) {
  const char* where = "local_response_norm";
  expect_float(where, "x", x);
  const LocalResponseNormShape shape = local_response_norm_shape(where, x.shape(), size, alpha, beta, k);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().norm;
    run(device, kResponseWork * static_cast<double>(x.elements()), 0,
        [&](Context& context) { kernels.local_response_norm(context, shape, x.data<T>(), y.data<T>()); });
  });
  return y;
}

Tensor local_response_norm_backward(const Tensor& dy, const Tensor& x, int64_t size, double alpha,
                                    double beta, double k) {
  const char* where = "local_response_norm_backward";
  expect_float(where, "x", x);
  const LocalResponseNormShape shape = local_response_norm_shape(where, x.shape(), size, alpha, beta, k);
  expect_like(where, "dy", dy, x);
  expect_shape(where, "dy", dy.shape(), x.shape());
  const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().norm;
    run(device, kResponseWork * static_cast<double>(x.elements()), 0, [&](Context& context) {
      kernels.local_response_norm_backward(context, shape, dy.data<T>(), x.data<T>(), Policy::assign,
                                           dx.data<T>());
    });
  });
  return dx;
}

}  // namespace nnx::ops
