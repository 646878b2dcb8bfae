#include "ops/conv2d.h"

#include <algorithm>

#include "ops/layer.h"

namespace nnx::ops {
namespace {

// Points of an axis from the first that a window sees to the last.
int64_t span_of(int64_t extent, int64_t windows, int64_t stride, int64_t kernel, int64_t dilation,
                int64_t padding) {
  return std::max(extent + padding, (windows - 1) * stride + (kernel - 1) * dilation + 1);
}

// Kernels count the points of a padded image in 31 bits, and have some of them to spare.
void expect_countable(const char* where, const Conv2dShape& s) {
  const int64_t h = span_of(s.h, s.oh, s.stride_h, s.kh, s.dilation_h, s.pad_top);
  const int64_t w = span_of(s.w, s.ow, s.stride_w, s.kw, s.dilation_w, s.pad_left);
  int64_t points;
  if (__builtin_mul_overflow(h, w, &points) || points > int64_t{1} << 30) {
    bad_value(where, "padding", "images of at most 2^30 points with it", detail::concatenate(h, " x ", w));
  }
}

}  // namespace

Conv2dShape conv2d_shape(const char* where, const Shape& x, const Shape& w, const Conv2dOptions& options) {
  expect_rank(where, "x", x, 4, "(N, H, W, C)");
  expect_extents(where, "x", x, 1);
  expect_size(where, "x", x);
  expect_rank(where, "w", w, 4, "(KH, KW, C / groups, O)");
  expect_extents(where, "w", w, 0);
  expect_size(where, "w", w);
  expect_at_least(where, "groups", options.groups, 1);
  const int64_t channels = x[3];
  const int64_t filters = w[3];
  if (channels % options.groups != 0 || filters % options.groups != 0) {
    bad_value(where, "groups",
              detail::concatenate("a divisor of ", channels, " channels and of ", filters, " filters"),
              options.groups);
  }
  if (w[2] != channels / options.groups) {
    bad_value(where, "w", detail::concatenate("shape (KH, KW, ", channels / options.groups, ", O)"), w);
  }
  const WindowOutput out = place_window(where, "w", x[1], x[2],
                                        {{w[0], w[1]}, options.strides, options.dilation, options.padding});
  Conv2dShape shape{};
  shape.n = x[0];
  shape.h = x[1];
  shape.w = x[2];
  shape.c = channels;
  shape.kh = w[0];
  shape.kw = w[1];
  shape.o = filters;
  shape.stride_h = options.strides.h;
  shape.stride_w = options.strides.w;
  shape.pad_top = out.h.padding_begin;
  shape.pad_left = out.w.padding_begin;
  shape.dilation_h = options.dilation.h;
  shape.dilation_w = options.dilation.w;
  shape.groups = options.groups;
  shape.oh = out.h.out;
  shape.ow = out.w.out;
  expect_countable(where, shape);
  return shape;
}

Shape output_shape(const Conv2dShape& shape) { return {shape.n, shape.oh, shape.ow, shape.o}; }

double conv2d_work(const Conv2dShape& shape) {
  double work = 2.0;
  for (const int64_t extent :
       {shape.n, shape.oh, shape.ow, shape.o, shape.kh, shape.kw, shape.c / shape.groups}) {
    work *= static_cast<double>(extent);
  }
  return work;
}

namespace {

// The family's part of a table.
constexpr auto kernels_of = [](const auto& table) -> const auto& { return table.conv2d; };

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dOptions& options,
              Activation activation) {
  expect_float("conv2d", "x", x);
  expect_like("conv2d", "w", w, x);
  const Conv2dShape shape = conv2d_shape("conv2d", x.shape(), w.shape(), options);
  if (b.defined()) {
    expect_like("conv2d", "b", b, x);
    check_bias("conv2d", b.shape(), shape.o);
  }
  return layer_forward(shape, output_shape(shape), conv2d_work(shape), kernels_of, x, w, b, activation);
}

LayerGradients conv2d_backward(const Tensor& dy, const Tensor& x, const Tensor& w,
                               const Conv2dOptions& options, bool need_dx) {
  const char* where = "conv2d_backward";
  expect_float(where, "x", x);
  expect_like(where, "w", w, x);
  expect_like(where, "dy", dy, x);
  const Conv2dShape shape = conv2d_shape(where, x.shape(), w.shape(), options);
  expect_shape(where, "dy", dy.shape(), output_shape(shape));
  return layer_backward(shape, shape.o, conv2d_work(shape), kernels_of, dy, x, w, need_dx);
}

}  // namespace nnx::ops
