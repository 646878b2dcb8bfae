#include "ops/conv2d.h"

#include <algorithm>

#include "ops/layer.h"

namespace nnx::ops {
namespace {

constexpr int64_t kMostPoints = int64_t{1} << 31;

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

namespace {

// One axis of a transposed convolution as the convolution from its output to its input: padding in front.
WindowAxis transposed_axis(const char* where, int64_t extent, int64_t kernel, int64_t stride,
                           int64_t dilation, const std::optional<int64_t>& output_padding, PaddingKind kind,
                           int64_t begin, int64_t end) {
  int64_t span, strided;  // of a window; from the first window to the last
  if (__builtin_mul_overflow(kernel - 1, dilation, &span) || __builtin_add_overflow(span, 1, &span) ||
      __builtin_mul_overflow(extent - 1, stride, &strided) || span >= kMostPoints || strided >= kMostPoints) {
    bad_value(where, "w", "windows that make fewer than 2^31 points", kernel);
  }
  int64_t out = strided + span + output_padding.value_or(0) - begin - end;
  if (kind == PaddingKind::valid && !output_padding) out = strided + std::max(span, stride);
  if (kind == PaddingKind::same) {
    out = output_padding ? strided + span % 2 + *output_padding : strided + stride;
    begin = std::max<int64_t>(strided + span - out, 0) / 2;
  }
  if (out < 1) {
    bad_value(where, "padding",
              detail::concatenate("fewer than the ", out + begin + end, " points there are"),
              detail::concatenate(begin, " + ", end));
  }
  return {out, begin, 0};
}

}  // namespace

Conv2dShape conv2d_transpose_shape(const char* where, const Shape& x, const Shape& w,
                                   const Conv2dTransposeOptions& options) {
  expect_rank(where, "x", x, 4, "(N, H, W, C)");
  expect_extents(where, "x", x, 1);
  expect_size(where, "x", x);
  expect_rank(where, "w", w, 4, "(KH, KW, O, C)");
  expect_extents(where, "w", w, 0);
  expect_size(where, "w", w);
  if (w[3] != x[3]) bad_value(where, "w", detail::concatenate("shape (KH, KW, O, ", x[3], ")"), w);
  const Padding& padding = options.padding;
  expect_window(where, {{w[0], w[1]}, options.strides, options.dilation, padding});
  std::optional<int64_t> extra_h, extra_w;
  if (options.output_padding) {
    extra_h = options.output_padding->h, extra_w = options.output_padding->w;
    if (*extra_h < 0 || *extra_w < 0 || *extra_h >= options.strides.h || *extra_w >= options.strides.w) {
      bad_value(where, "output_padding",
                detail::concatenate("integers of at least 0 and below the strides (", options.strides.h, ", ",
                                    options.strides.w, ")"),
                detail::concatenate("(", *extra_h, ", ", *extra_w, ")"));
    }
  }
  const WindowAxis vertical = transposed_axis(where, x[1], w[0], options.strides.h, options.dilation.h,
                                              extra_h, padding.kind, padding.top, padding.bottom);
  const WindowAxis horizontal = transposed_axis(where, x[2], w[1], options.strides.w, options.dilation.w,
                                                extra_w, padding.kind, padding.left, padding.right);
  Conv2dShape shape{};
  shape.n = x[0];
  shape.h = vertical.out;
  shape.w = horizontal.out;
  shape.c = w[2];
  shape.kh = w[0];
  shape.kw = w[1];
  shape.o = x[3];
  shape.stride_h = options.strides.h;
  shape.stride_w = options.strides.w;
  shape.pad_top = vertical.padding_begin;
  shape.pad_left = horizontal.padding_begin;
  shape.dilation_h = options.dilation.h;
  shape.dilation_w = options.dilation.w;
  shape.groups = 1;
  shape.oh = x[1];
  shape.ow = x[2];
  expect_countable(where, shape);
  return shape;
}

Tensor conv2d_transpose(const Tensor& x, const Tensor& w, const Tensor& b,
                        const Conv2dTransposeOptions& options, Activation activation) {
  const char* where = "conv2d_transpose";
  expect_float(where, "x", x);
  expect_like(where, "w", w, x);
  const Conv2dShape shape = conv2d_transpose_shape(where, x.shape(), w.shape(), options);
  if (b.defined()) {
    expect_like(where, "b", b, x);
    check_bias(where, b.shape(), shape.c);
  }
  const Tensor y = Tensor::empty(input_shape(shape), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& table = device.table<T>();
    run(device, conv2d_work(shape), table.conv2d.workspace(shape), [&](Context& context) {
      T* const to = y.data<T>();
      table.conv2d.backward_input(context, shape, x.data<T>(), w.data<T>(), {}, Policy::assign, to);
      if (b.defined()) {
        table.elementwise.bias_add(context, y.elements() / shape.c, shape.c, to, b.data<T>(), to);
      }
      if (activation.kind != ActivationKind::identity) {
        table.activation.forward(context, y.elements(), to, activation, to);
      }
    });
  });
  return y;
}

LayerGradients conv2d_transpose_backward(const Tensor& dy, const Tensor& x, const Tensor& w,
                                         const Conv2dTransposeOptions& options, bool need_dx) {
  const char* where = "conv2d_transpose_backward";
  expect_float(where, "x", x);
  expect_like(where, "w", w, x);
  expect_like(where, "dy", dy, x);
  const Conv2dShape shape = conv2d_transpose_shape(where, x.shape(), w.shape(), options);
  expect_shape(where, "dy", dy.shape(), input_shape(shape));
  LayerGradients gradients;
  if (need_dx) gradients.dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  gradients.dw = Tensor::empty(w.shape(), x.dtype(), x.device());
  gradients.db = Tensor::empty({shape.c}, x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& table = device.table<T>();
    run(device, (need_dx ? 2.0 : 1.0) * conv2d_work(shape), table.conv2d.workspace(shape),
        [&](Context& context) {
          table.conv2d.backward_weights(context, shape, dy.data<T>(), x.data<T>(), Policy::assign,
                                        gradients.dw.data<T>(), nullptr);
          table.elementwise.bias_gradient(context, dy.elements() / shape.c, shape.c, dy.data<T>(),
                                          Policy::assign, gradients.db.data<T>());
          if (need_dx) {
            table.conv2d.forward(context, shape, dy.data<T>(), w.data<T>(), nullptr, {},
                                 gradients.dx.data<T>());
          }
        });
  });
  return gradients;
}

}  // namespace nnx::ops
