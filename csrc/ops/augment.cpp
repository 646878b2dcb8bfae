#include "ops/augment.h"

#include "ops/checks.h"
#include "ops/dropout.h"

namespace nnx::ops {
namespace {

constexpr double kWork = 8.0;  // of an element

struct Named {
  const char* name;
  int value;
};

template <class E, size_t N>
E parse(const char* where, const char* argument, const std::string& given, const Named (&names)[N]) {
  std::string all;
  for (const Named& named : names) {
    if (given == named.name) return static_cast<E>(named.value);
    all += std::string(all.empty() ? "" : ", ") + "'" + named.name + "'";
  }
  bad_value(where, argument, "one of " + all, "'" + given + "'");
}

constexpr Named kFlips[] = {{"none", 0}, {"horizontal", 1}, {"vertical", 2}, {"horizontal_and_vertical", 3}};
constexpr Named kMotions[] = {{"none", static_cast<int>(Motion::none)},
                              {"translation", static_cast<int>(Motion::translation)},
                              {"crop", static_cast<int>(Motion::crop)},
                              {"center_crop", static_cast<int>(Motion::center_crop)},
                              {"rotation", static_cast<int>(Motion::rotation)}};
constexpr Named kFills[] = {{"reflect", static_cast<int>(Fill::reflect)},
                            {"constant", static_cast<int>(Fill::constant)},
                            {"nearest", static_cast<int>(Fill::nearest)},
                            {"wrap", static_cast<int>(Fill::wrap)}};
constexpr Named kInterpolations[] = {{"bilinear", 1}, {"nearest", 0}};

void expect_range(const char* where, double low, double high) {
  expect_finite(where, "low", low);
  expect_finite(where, "high", high);
  if (high < low) bad_value(where, "high", detail::concatenate("a number of at least ", low), high);
}

void expect_images(const char* where, const char* name, const Shape& shape) {
  expect_rank(where, name, shape, 4, "(N, H, W, C)");
  expect_extents(where, name, shape, 1);
}

// body(kernels, context) on the device of x and for its dtype
template <class F>
void run_on(const Tensor& x, double elements, const F& body) {
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    const auto& kernels = device.table<decltype(zero)>().augment;
    run(device, kWork * elements, 0, [&](Context& context) { body(kernels, context, zero); });
  });
}

}  // namespace

RowKey row_key(const char* where, uint64_t seed, int64_t layer, uint64_t step) {
  const DropoutKey key = dropout_key(where, seed, layer, step, 0.0);
  return {key.seed, key.layer, key.step};
}

Warp make_warp(const char* where, const WarpOptions& options) {
  Warp warp;
  const int flips = parse<int>(where, "mode", options.flip, kFlips);
  warp.flips_columns = (flips & 1) != 0;
  warp.flips_rows = (flips & 2) != 0;
  warp.motion = parse<Motion>(where, "motion", options.motion, kMotions);
  expect_range(where, options.low.first, options.high.first);
  expect_range(where, options.low.second, options.high.second);
  warp.low[0] = options.low.first;
  warp.low[1] = options.low.second;
  warp.high[0] = options.high.first;
  warp.high[1] = options.high.second;
  warp.fill = parse<Fill>(where, "fill_mode", options.fill_mode, kFills);
  expect_finite(where, "fill_value", options.fill_value);
  warp.fill_value = options.fill_value;
  warp.bilinear = parse<int>(where, "interpolation", options.interpolation, kInterpolations) == 1;
  return warp;
}

WarpShape warp_shape(const char* where, const Shape& x, const WarpOptions& options, const char* name) {
  expect_images(where, name, x);
  WarpShape shape{x[0], x[1], x[2], x[3], x[1], x[2]};
  if (options.motion != "crop" && options.motion != "center_crop") return shape;
  const auto expect_inside = [&](const char* argument, int64_t value, int64_t extent) {
    if (value < 1 || value > extent) {
      bad_value(where, argument, detail::concatenate("an integer in [1, ", extent, "], the image's"), value);
    }
  };
  expect_inside("height", options.height, shape.h);
  expect_inside("width", options.width, shape.w);
  shape.oh = options.height;
  shape.ow = options.width;
  return shape;
}

ContrastShape contrast_shape(const char* where, const Shape& x) {
  expect_images(where, "x", x);
  return {x[0], x[1] * x[2], x[3]};
}

void check_contrast(const char* where, const Contrast& contrast) {
  expect_range(where, contrast.low, contrast.high);
  expect_finite(where, "value_range", contrast.floor);
  expect_finite(where, "value_range", contrast.ceiling);
  if (contrast.ceiling <= contrast.floor) {
    bad_value(where, "value_range", "two numbers, the second larger",
              detail::concatenate("(", contrast.floor, ", ", contrast.ceiling, ")"));
  }
}

Tensor warp(const char* where, const Tensor& x, const WarpShape& s, const Warp& warp) {
  expect_float(where, "x", x);
  const Tensor y = Tensor::empty({s.n, s.oh, s.ow, s.c}, x.dtype(), x.device());
  run_on(x, static_cast<double>(y.elements()), [&](const auto& kernels, Context& context, auto zero) {
    using T = decltype(zero);
    kernels.warp(context, s, warp, x.data<T>(), y.data<T>());
  });
  return y;
}

Tensor warp_backward(const char* where, const Tensor& dy, const WarpShape& s, const Warp& warp) {
  expect_float(where, "dy", dy);
  expect_shape(where, "dy", dy.shape(), Shape{s.n, s.oh, s.ow, s.c});
  const Tensor dx = Tensor::empty({s.n, s.h, s.w, s.c}, dy.dtype(), dy.device());
  run_on(dy, static_cast<double>(dx.elements()), [&](const auto& kernels, Context& context, auto zero) {
    using T = decltype(zero);
    kernels.warp_backward(context, s, warp, dy.data<T>(), Policy::assign, dx.data<T>());
  });
  return dx;
}

Tensor contrast(const Tensor& x, const Contrast& contrast) {
  const char* const where = "random_contrast";
  expect_float(where, "x", x);
  const ContrastShape s = contrast_shape(where, x.shape());
  check_contrast(where, contrast);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  run_on(x, static_cast<double>(x.elements()), [&](const auto& kernels, Context& context, auto zero) {
    using T = decltype(zero);
    kernels.contrast(context, s, contrast, x.data<T>(), y.data<T>());
  });
  return y;
}

Tensor contrast_backward(const Tensor& dy, const Tensor& x, const Contrast& contrast) {
  const char* const where = "random_contrast_backward";
  expect_float(where, "dy", dy);
  expect_like(where, "x", x, dy);
  const ContrastShape s = contrast_shape(where, x.shape());
  expect_shape(where, "dy", dy.shape(), x.shape());
  check_contrast(where, contrast);
  const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  run_on(x, static_cast<double>(x.elements()), [&](const auto& kernels, Context& context, auto zero) {
    using T = decltype(zero);
    kernels.contrast_backward(context, s, contrast, dy.data<T>(), x.data<T>(), Policy::assign, dx.data<T>());
  });
  return dx;
}

}  // namespace nnx::ops
