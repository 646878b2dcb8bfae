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

BatchNormGradients batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma,
                                       const Tensor& saved_mean, const Tensor& saved_inverse) {
  const char* where = "batch_norm_backward";
  expect_float(where, "x", x);
  const BatchNormShape shape = batch_norm_shape(where, x.shape());
  expect_like(where, "dy", dy, x);
  expect_shape(where, "dy", dy.shape(), x.shape());
  expect_channels(where, "gamma", gamma, x);
  expect_channels(where, "saved_mean", saved_mean, x);
  expect_channels(where, "saved_inverse", saved_inverse, x);

  BatchNormGradients out;
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
