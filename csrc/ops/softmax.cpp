#include "ops/softmax.h"

#include "ops/checks.h"

namespace nnx::ops {
namespace {

constexpr double kWork = 16.0;

template <bool kLog>
Tensor forward(const char* where, const Tensor& x, int64_t axis) {
  expect_float(where, "x", x);
  const SoftmaxShape shape = softmax_shape(where, x.shape(), axis);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (y.elements() == 0) return y;
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().softmax;
    run(device, kWork * static_cast<double>(x.elements()), 0, [&](Context& context) {
      (kLog ? kernels.log_forward : kernels.forward)(context, shape, x.data<T>(), y.data<T>());
    });
  });
  return y;
}

template <bool kLog>
Tensor backward(const char* where, const Tensor& dy, const Tensor& y, int64_t axis) {
  expect_float(where, "y", y);
  expect_like(where, "dy", dy, y);
  const SoftmaxShape shape = softmax_shape(where, y.shape(), axis);
  expect_shape(where, "dy", dy.shape(), y.shape());
  const Tensor dx = Tensor::empty(y.shape(), y.dtype(), y.device());
  if (dx.elements() == 0) return dx;
  Device& device = device_of(y.device());
  dispatch(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().softmax;
    run(device, kWork * static_cast<double>(y.elements()), 0, [&](Context& context) {
      (kLog ? kernels.log_backward : kernels.backward)(context, shape, dy.data<T>(), y.data<T>(),
                                                       Policy::assign, dx.data<T>());
    });
  });
  return dx;
}

}  // namespace

SoftmaxShape softmax_shape(const char* where, const Shape& x, int64_t axis) {
  const int64_t at = resolve_axis(where, axis, x.rank());
  // Of no rows there is nothing to compute, whatever their length.
  const bool rows = x.elements(0, at) != 0 && x.elements(at + 1, x.rank()) != 0;
  if (x[at] < 1 && rows)
    bad_value(where, "x", detail::concatenate("an extent of at least 1 in axis ", at), x);
  return {x.elements(0, at), x[at], x.elements(at + 1, x.rank())};
}

Tensor softmax(const Tensor& x, int64_t axis) { return forward<false>("softmax", x, axis); }
Tensor log_softmax(const Tensor& x, int64_t axis) { return forward<true>("log_softmax", x, axis); }
Tensor softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis) {
  return backward<false>("softmax_backward", dy, y, axis);
}
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y, int64_t axis) {
  return backward<true>("log_softmax_backward", dy, y, axis);
}

}  // namespace nnx::ops
