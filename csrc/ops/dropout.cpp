#include "ops/dropout.h"

#include "ops/checks.h"

namespace nnx::ops {
namespace {

constexpr double kWork = 16.0;

// fill(kernels, context, n, key, y) for a new array of a floating-point dtype
template <class F>
Tensor draw(const char* where, const Shape& shape, DType dtype, const F& fill) {
  expect_size(where, "shape", shape);
  const Tensor y = Tensor::empty(shape, dtype);
  expect_float(where, "dtype", y);
  Device& device = device_of(y.device());
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().dropout;
    run(device, kWork * static_cast<double>(y.elements()), 0,
        [&](Context& context) { fill(kernels, context, y.elements(), y.data<T>()); });
  });
  return y;
}

// body(kernels, context, x, y) for a new y like x
template <class F>
Tensor map(const char* where, const Tensor& x, const F& body) {
  expect_float(where, "x", x);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().dropout;
    run(device, kWork * static_cast<double>(x.elements()), 0,
        [&](Context& context) { body(kernels, context, static_cast<const T*>(x.data<T>()), y.data<T>()); });
  });
  return y;
}

}  // namespace

DropoutKey dropout_key(const char* where, uint64_t seed, int64_t layer, uint64_t step, double rate) {
  if (layer < 0 || layer >= 1 << 16) bad_value(where, "layer", "an integer in [0, 2^16)", layer);
  if (step >= uint64_t{1} << 48) bad_value(where, "step", "an integer in [0, 2^48)", step);
  expect_rate(where, "rate", rate);
  DropoutKey key;
  key.seed = seed;
  key.layer = static_cast<uint32_t>(layer);
  key.step.value = step;
  key.rate = rate;
  return key;
}

Tensor dropout(const Tensor& x, const DropoutKey& key) {
  return map("dropout", x, [&](const auto& kernels, Context& context, const auto* from, auto* y) {
    kernels.apply(context, x.elements(), from, key, Policy::assign, y);
  });
}

Tensor spatial_dropout2d(const Tensor& x, const DropoutKey& key) {
  expect_rank("spatial_dropout2d", "x", x.shape(), 4, "(N, H, W, C)");
  return map("spatial_dropout2d", x, [&](const auto& kernels, Context& context, const auto* from, auto* y) {
    const Shape& s = x.shape();
    kernels.apply_channels(context, s[0], s[1] * s[2], s[3], from, key, Policy::assign, y);
  });
}

Tensor gaussian_noise(const Tensor& x, double stddev, const DropoutKey& key) {
  expect_not_negative("gaussian_noise", "stddev", stddev);
  return map("gaussian_noise", x, [&](const auto& kernels, Context& context, const auto* from, auto* y) {
    kernels.add_normal(context, x.elements(), from, key, stddev, y);
  });
}

Tensor dropout_mask(const Shape& shape, const DropoutKey& key) {
  expect_size("dropout_mask", "shape", shape);
  const Tensor mask = Tensor::empty(shape, DType::uint8);
  Device& device = device_of(mask.device());
  run(device, kWork * static_cast<double>(mask.elements()), 0, [&](Context& context) {
    device.table<float>().dropout.mask(context, mask.elements(), key, mask.data<uint8_t>());
  });
  return mask;
}

Tensor random_uniform(const Shape& shape, double low, double high, const DropoutKey& key, DType dtype) {
  expect_finite("random_uniform", "low", low);
  expect_finite("random_uniform", "high", high);
  if (high < low)
    bad_value("random_uniform", "high", detail::concatenate("a number of at least ", low), high);
  return draw("random_uniform", shape, dtype, [&](const auto& kernels, Context& context, int64_t n, auto* y) {
    kernels.uniform(context, n, key, low, high, y);
  });
}

Tensor random_normal(const Shape& shape, double mean, double deviation, const DropoutKey& key, DType dtype) {
  expect_finite("random_normal", "mean", mean);
  expect_not_negative("random_normal", "deviation", deviation);
  return draw("random_normal", shape, dtype, [&](const auto& kernels, Context& context, int64_t n, auto* y) {
    kernels.normal(context, n, key, mean, deviation, y);
  });
}

}  // namespace nnx::ops
