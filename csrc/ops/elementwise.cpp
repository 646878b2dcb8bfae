#include "ops/elementwise.h"

#include <cmath>

#include "ops/checks.h"

namespace nnx::ops {
namespace {

void expect_alike(const char* where, const Tensor& a, const Tensor& b) {
  expect_float(where, "a", a);
  expect_like(where, "b", b, a);
  expect_shape(where, "b", b.shape(), a.shape());
}

}  // namespace

Shape concat_shape(const char* where, const std::vector<Shape>& shapes, int64_t axis) {
  std::vector<int64_t> dims = shapes[0].dims();
  int64_t& extent = dims[static_cast<size_t>(axis)];
  for (size_t i = 1; i < shapes.size(); ++i) {
    std::vector<int64_t> expected = shapes[0].dims();
    if (shapes[i].rank() == shapes[0].rank()) expected[static_cast<size_t>(axis)] = shapes[i][axis];
    if (shapes[i].dims() != expected) {
      bad_value(where, "arrays", detail::concatenate("shapes equal to ", shapes[0], " but for axis ", axis),
                detail::concatenate(shapes[i], " at ", i));
    }
    if (__builtin_add_overflow(extent, shapes[i][axis], &extent)) {
      bad_value(where, "arrays", "fewer than 2^63 elements", shapes[i]);
    }
  }
  return Shape(dims);
}

Shape resolve_reshape(const char* where, const Shape& shape, int64_t elements) {
  std::vector<int64_t> dims = shape.dims();
  int64_t* open = nullptr;
  for (int64_t& extent : dims) {
    if (extent < -1 || (extent == -1 && open != nullptr)) {
      bad_value(where, "shape", "extents of at least 0, one of them -1 at most", shape);
    }
    if (extent == -1) open = &extent;
  }
  if (open != nullptr) {
    *open = 1;
    const int64_t others = Shape(dims).elements();
    *open = others > 0 ? elements / others : 0;
  }
  Shape resolved(std::move(dims));
  if (resolved.elements() != elements) {
    bad_value(where, "shape", detail::concatenate(elements, " elements"), shape);
  }
  return resolved;
}

Tensor add(const Tensor& a, const Tensor& b) {
  expect_alike("add", a, b);
  const Tensor y = Tensor::empty(a.shape(), a.dtype(), a.device());
  Device& device = device_of(a.device());
  dispatch(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().elementwise;
    run(device, static_cast<double>(a.elements()), 0,
        [&](Context& context) { kernels.add(context, a.elements(), a.data<T>(), b.data<T>(), y.data<T>()); });
  });
  return y;
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  expect_alike("multiply", a, b);
  const Tensor y = Tensor::empty(a.shape(), a.dtype(), a.device());
  Device& device = device_of(a.device());
  dispatch(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().elementwise;
    run(device, static_cast<double>(a.elements()), 0, [&](Context& context) {
      kernels.multiply(context, a.elements(), a.data<T>(), b.data<T>(), Policy::assign, y.data<T>());
    });
  });
  return y;
}

Tensor scale(const Tensor& x, double factor) {
  expect_float("scale", "x", x);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().elementwise;
    run(device, static_cast<double>(x.elements()), 0, [&](Context& context) {
      kernels.scale(context, x.elements(), factor, x.data<T>(), Policy::assign, y.data<T>());
    });
  });
  return y;
}

Tensor concat(const std::vector<Tensor>& arrays, int64_t axis) {
  const char* where = "concat";
  if (arrays.empty()) bad_value(where, "arrays", "at least one array", "none");
  const Tensor& first = arrays[0];
  expect_float(where, "arrays", first);
  std::vector<Shape> shapes;
  for (const Tensor& array : arrays) {
    expect_like(where, "arrays", array, first);
    shapes.push_back(array.shape());
  }
  axis = resolve_axis(where, axis, first.rank());
  const Shape shape = concat_shape(where, shapes, axis);
  const Tensor y = Tensor::empty(shape, first.dtype(), first.device());
  if (y.elements() == 0) return y;
  const int64_t rows = shape.elements(0, axis);
  const int64_t cols = shape.elements(axis, shape.rank());
  Device& device = device_of(first.device());
  dispatch(first.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().elementwise;
    run(device, static_cast<double>(y.elements()), 0, [&](Context& context) {
      int64_t at = 0;
      for (const Tensor& array : arrays) {
        const int64_t width = array.elements() / rows;
        if (width == 0) continue;
        kernels.copy_strided(context, {rows, width, width, cols}, array.data<T>(), Policy::assign,
                             y.data<T>() + at);
        at += width;
      }
    });
  });
  return y;
}

Tensor normalize(const Tensor& x, const Tensor& mean, const Tensor& deviation) {
  const char* where = "normalize";
  expect_float(where, "x", x);
  if (x.rank() < 1) bad_value(where, "x", "shape (..., C)", x.shape());
  const int64_t channels = x.shape().back();
  for (const auto& [name, values] :
       {std::pair<const char*, const Tensor&>{"mean", mean}, {"deviation", deviation}}) {
    expect_like(where, name, values, x);
    expect_shape(where, name, values.shape(), Shape{channels});
  }
  const Tensor host = deviation.to(DeviceId{});
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < channels; ++i) {
      const T value = host.data<T>()[i];
      if (!(std::isfinite(value) && value > 0)) {
        bad_value(where, "deviation", "finite numbers above 0", detail::concatenate(value, " at ", i));
      }
    }
    const auto& kernels = device.table<T>().elementwise;
    const int64_t rows = x.shape().elements(0, x.rank() - 1);
    run(device, 2.0 * static_cast<double>(x.elements()), 0, [&](Context& context) {
      kernels.normalize(context, rows, channels, x.data<T>(), mean.data<T>(), deviation.data<T>(),
                        y.data<T>());
    });
  });
  return y;
}

Tensor cast(const Tensor& x, DType dtype) {
  const Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  expect_float("cast", "dtype", y);
  Device& device = device_of(x.device());
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().elementwise;
    run(device, static_cast<double>(x.elements()), 0,
        [&](Context& context) { kernels.cast(context, x.elements(), x.dtype(), x.raw(), y.data<T>()); });
  });
  return y;
}

}  // namespace nnx::ops
