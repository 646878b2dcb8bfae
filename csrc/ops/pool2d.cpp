#include "ops/pool2d.h"

#include <algorithm>
#include <limits>

#include "core/size.h"
#include "ops/checks.h"

namespace nnx::ops {
namespace {

double work_of(const Pool2dShape& shape) {
  double work = 1.0;
  for (const int64_t extent : {shape.n, shape.oh, shape.ow, shape.c, shape.kh, shape.kw}) {
    work *= static_cast<double>(extent);
  }
  return work;
}

// Every index must lie on the rows its window covers, or the scatter would write out of bounds.
void check_index(const char* where, const Pool2dShape& shape, const Tensor& index) {
  const Tensor host = index.to(DeviceId{});
  const int32_t* at = host.data<int32_t>();
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t oh = 0; oh < shape.oh; ++oh) {
      const int64_t top = oh * shape.stride_h - shape.pad_top;
      const int64_t first = std::max<int64_t>(top, 0) * shape.w;
      const int64_t last = std::min(top + (shape.kh - 1) * shape.dilation_h + 1, shape.h) * shape.w;
      for (int64_t i = 0; i < shape.ow * shape.c; ++i, ++at) {
        if (*at < first || *at >= last) {
          bad_value(where, "index",
                    detail::concatenate("numbers in [", first, ", ", last, ") for output row ", oh,
                                        " of image ", n),
                    *at);
        }
      }
    }
  }
}

// Padding on one side that no window fits into; sizes that overflow are refused elsewhere.
bool hides_windows(int64_t padding, int64_t pool, int64_t dilation) {
  int64_t span;
  return !__builtin_mul_overflow(pool - 1, dilation, &span) && padding > span;
}

// Whether each window has a point of the axis: one that is dilated may step over a short one.
bool sees(const WindowAxis& axis, int64_t extent, int64_t stride, int64_t dilation) {
  if (dilation <= extent) return true;
  for (int64_t i = 0; i < axis.out && i * stride < axis.padding_begin; ++i) {
    const int64_t before = axis.padding_begin - i * stride;
    if ((dilation - before % dilation) % dilation >= extent) return false;
  }
  return true;
}

}  // namespace

Pool2dShape pool2d_shape(const char* where, const Shape& x, const Pool2dOptions& options, const char* name) {
  expect_rank(where, name, x, 4, "(N, H, W, C)");
  expect_extents(where, name, x, 1);
  expect_size(where, name, x);
  const Pair pool = options.pool_size;
  const Pair strides = options.strides.value_or(pool);
  const Padding& padding = options.padding;
  expect_at_least(where, "pool_size", std::min(pool.h, pool.w), 1);
  const Pair dilation = options.dilation;
  if (hides_windows(std::max(padding.top, padding.bottom), pool.h, dilation.h) ||
      hides_windows(std::max(padding.left, padding.right), pool.w, dilation.w)) {
    bad_value(where, "padding", "fewer points than the window has, that each window sees the image",
              detail::concatenate("((", padding.top, ", ", padding.bottom, "), (", padding.left, ", ",
                                  padding.right, "))"));
  }
  const WindowOutput out =
      place_window(where, "pool_size", x[1], x[2], {pool, strides, dilation, padding, options.ceil_mode});
  if (!sees(out.h, x[1], strides.h, dilation.h) || !sees(out.w, x[2], strides.w, dilation.w)) {
    bad_value(where, "dilation", "windows that each see the image",
              detail::concatenate("(", dilation.h, ", ", dilation.w, ")"));
  }
  Pool2dShape shape{};
  shape.n = x[0];
  shape.h = x[1];
  shape.w = x[2];
  shape.c = x[3];
  shape.kh = pool.h;
  shape.kw = pool.w;
  shape.stride_h = strides.h;
  shape.stride_w = strides.w;
  shape.pad_top = out.h.padding_begin;
  shape.pad_left = out.w.padding_begin;
  shape.pad_bottom = out.h.padding_end;
  shape.pad_right = out.w.padding_end;
  shape.dilation_h = dilation.h;
  shape.dilation_w = dilation.w;
  shape.oh = out.h.out;
  shape.ow = out.w.out;
  return shape;
}

namespace {

void expect_indexable(const char* where, const char* name, const Shape& x) {
  if (x.elements(1, 3) > std::numeric_limits<int32_t>::max()) {
    bad_value(where, name, "images of fewer than 2^31 pixels", x);
  }
}

}  // namespace

Pool2dShape max_pool2d_shape(const char* where, const Shape& x, const Pool2dOptions& options,
                             const char* name) {
  const Pool2dShape shape = pool2d_shape(where, x, options, name);
  expect_indexable(where, name, x);
  return shape;
}

Shape output_shape(const Pool2dShape& shape) { return {shape.n, shape.oh, shape.ow, shape.c}; }

Shape global_avg_pool2d_shape(const char* where, const Shape& x, const char* name) {
  expect_rank(where, name, x, 4, "(N, H, W, C)");
  expect_extents(where, name, x, 1);
  expect_size(where, name, x);
  return {x[0], x[3]};
}

Shape global_max_pool2d_shape(const char* where, const Shape& x) {
  const Shape out = global_avg_pool2d_shape(where, x);
  expect_indexable(where, "x", x);
  return out;
}

bool parse_bilinear(const char* where, const std::string& interpolation) {
  if (interpolation == "bilinear") return true;
  if (interpolation == "nearest") return false;
  bad_value(where, "interpolation", "'nearest' or 'bilinear'", "'" + interpolation + "'");
}

UpsampleShape upsample2d_shape(const char* where, const Shape& x, Pair size, bool bilinear) {
  expect_rank(where, "x", x, 4, "(N, H, W, C)");
  expect_extents(where, "x", x, 1);
  expect_size(where, "x", x);
  constexpr int64_t kMost = int64_t{1} << 31;
  if (std::min(size.h, size.w) < 1 || std::max(size.h, size.w) >= kMost) {
    bad_value(where, "size", "integers of at least 1 and below 2^31",
              detail::concatenate("(", size.h, ", ", size.w, ")"));
  }
  expect_bytes(where, {x[0], x[1], size.h, x[2], size.w, x[3], static_cast<int64_t>(sizeof(float))});
  return {x[0], x[1], x[2], x[3], size.h, size.w, bilinear};
}

Shape output_shape(const UpsampleShape& shape) {
  return {shape.n, shape.h * shape.scale_h, shape.w * shape.scale_w, shape.c};
}

std::pair<Tensor, Tensor> max_pool2d(const Tensor& x, const Pool2dOptions& options) {
  expect_float("max_pool2d", "x", x);
  const Pool2dShape shape = max_pool2d_shape("max_pool2d", x.shape(), options);
  const Tensor y = Tensor::empty(output_shape(shape), x.dtype(), x.device());
  const Tensor index = Tensor::empty(y.shape(), DType::int32, x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, work_of(shape), 0, [&](Context& context) {
      kernels.max_forward(context, shape, x.data<T>(), y.data<T>(), index.data<int32_t>());
    });
  });
  return {y, index};
}

Tensor max_pool2d_backward(const Tensor& dy, const Tensor& index, const Shape& x_shape,
                           const Pool2dOptions& options) {
  const char* where = "max_pool2d_backward";
  expect_float(where, "dy", dy);
  expect_dtype(where, "index", index, DType::int32);
  const Pool2dShape shape = max_pool2d_shape(where, x_shape, options, "x_shape");
  expect_shape(where, "dy", dy.shape(), output_shape(shape));
  expect_shape(where, "index", index.shape(), output_shape(shape));
  if (index.device() != dy.device()) {
    bad_value(where, "index", "a tensor on device '" + dy.device().str() + "'", index.device().str());
  }
  check_index(where, shape, index);
  const Tensor dx = Tensor::empty(x_shape, dy.dtype(), dy.device());
  Device& device = device_of(dy.device());
  dispatch(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, work_of(shape), 0, [&](Context& context) {
      kernels.max_backward(context, shape, dy.data<T>(), index.data<int32_t>(), Policy::assign, dx.data<T>());
    });
  });
  return dx;
}

Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options, bool count_include_pad) {
  expect_float("avg_pool2d", "x", x);
  const Pool2dShape shape = pool2d_shape("avg_pool2d", x.shape(), options);
  const Tensor y = Tensor::empty(output_shape(shape), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, work_of(shape), 0, [&](Context& context) {
      kernels.average_forward(context, shape, count_include_pad, x.data<T>(), y.data<T>());
    });
  });
  return y;
}

Tensor avg_pool2d_backward(const Tensor& dy, const Shape& x_shape, const Pool2dOptions& options,
                           bool count_include_pad) {
  const char* where = "avg_pool2d_backward";
  expect_float(where, "dy", dy);
  const Pool2dShape shape = pool2d_shape(where, x_shape, options, "x_shape");
  expect_shape(where, "dy", dy.shape(), output_shape(shape));
  const Tensor dx = Tensor::empty(x_shape, dy.dtype(), dy.device());
  Device& device = device_of(dy.device());
  dispatch(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, work_of(shape), 0, [&](Context& context) {
      kernels.average_backward(context, shape, count_include_pad, dy.data<T>(), Policy::assign, dx.data<T>());
    });
  });
  return dx;
}

Tensor global_avg_pool2d(const Tensor& x) {
  expect_float("global_avg_pool2d", "x", x);
  const Shape out = global_avg_pool2d_shape("global_avg_pool2d", x.shape());
  const int64_t pixels = x.shape().elements(1, 3);
  const Tensor y = Tensor::empty(out, x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, static_cast<double>(x.elements()), 0, [&](Context& context) {
      kernels.global_average_forward(context, out[0], pixels, out[1], x.data<T>(), y.data<T>());
    });
  });
  return y;
}

Tensor global_avg_pool2d_backward(const Tensor& dy, const Shape& x_shape) {
  const char* where = "global_avg_pool2d_backward";
  expect_float(where, "dy", dy);
  const Shape out = global_avg_pool2d_shape(where, x_shape, "x_shape");
  expect_shape(where, "dy", dy.shape(), out);
  const int64_t pixels = x_shape.elements(1, 3);
  const Tensor dx = Tensor::empty(x_shape, dy.dtype(), dy.device());
  Device& device = device_of(dy.device());
  dispatch(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, static_cast<double>(dx.elements()), 0, [&](Context& context) {
      kernels.global_average_backward(context, out[0], pixels, out[1], dy.data<T>(), Policy::assign,
                                      dx.data<T>());
    });
  });
  return dx;
}

Tensor global_max_pool2d(const Tensor& x) {
  expect_float("global_max_pool2d", "x", x);
  const Shape out = global_max_pool2d_shape("global_max_pool2d", x.shape());
  const Tensor y = Tensor::empty(out, x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, static_cast<double>(x.elements()), 0, [&](Context& context) {
      kernels.global_max_forward(context, out[0], x.shape().elements(1, 3), out[1], x.data<T>(), y.data<T>(),
                                 nullptr);
    });
  });
  return y;
}

Tensor global_max_pool2d_backward(const Tensor& dy, const Tensor& x) {
  const char* where = "global_max_pool2d_backward";
  expect_float(where, "x", x);
  expect_like(where, "dy", dy, x);
  const Shape out = global_max_pool2d_shape(where, x.shape());
  expect_shape(where, "dy", dy.shape(), out);
  const int64_t pixels = x.shape().elements(1, 3);
  const Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  const Tensor y = Tensor::empty(out, x.dtype(), x.device());
  const Tensor index = Tensor::empty(out, DType::int32, x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, 2.0 * static_cast<double>(x.elements()), 0, [&](Context& context) {
      kernels.global_max_forward(context, out[0], pixels, out[1], x.data<T>(), y.data<T>(),
                                 index.data<int32_t>());
      kernels.global_max_backward(context, out[0], pixels, out[1], dy.data<T>(), index.data<int32_t>(),
                                  Policy::assign, dx.data<T>());
    });
  });
  return dx;
}

Tensor upsample2d(const Tensor& x, Pair size, bool bilinear) {
  expect_float("upsample2d", "x", x);
  const UpsampleShape shape = upsample2d_shape("upsample2d", x.shape(), size, bilinear);
  const Tensor y = Tensor::empty(output_shape(shape), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, static_cast<double>(y.elements()), 0,
        [&](Context& context) { kernels.upsample_forward(context, shape, x.data<T>(), y.data<T>()); });
  });
  return y;
}

Tensor upsample2d_backward(const Tensor& dy, Pair size, bool bilinear) {
  const char* where = "upsample2d_backward";
  expect_float(where, "dy", dy);
  const Shape& from = dy.shape();
  expect_rank(where, "dy", from, 4, "(N, OH, OW, C)");
  expect_extents(where, "dy", from, 1);
  upsample2d_shape(where, {0, 1, 1, 1}, size, bilinear);
  if (from[1] % size.h != 0 || from[2] % size.w != 0) {
    bad_value(where, "dy",
              detail::concatenate("a height and width in multiples of (", size.h, ", ", size.w, ")"), from);
  }
  const UpsampleShape shape{from[0], from[1] / size.h, from[2] / size.w, from[3], size.h, size.w, bilinear};
  const Tensor dx = Tensor::empty({shape.n, shape.h, shape.w, shape.c}, dy.dtype(), dy.device());
  Device& device = device_of(dy.device());
  dispatch(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().pool2d;
    run(device, static_cast<double>(dy.elements()), 0, [&](Context& context) {
      kernels.upsample_backward(context, shape, dy.data<T>(), Policy::assign, dx.data<T>());
    });
  });
  return dx;
}

}  // namespace nnx::ops
