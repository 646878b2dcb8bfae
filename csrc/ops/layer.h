// What dense and conv2d do alike once their arguments are checked: family(table) picks their kernels.
#pragma once

#include "ops/checks.h"
#include "ops/dense.h"

namespace nnx::ops {

// `work`: operations of a forward pass.
template <class LayerShape, class Family>
Tensor layer_forward(const LayerShape& shape, const Shape& out, double work, const Family& family,
                     const Tensor& x, const Tensor& w, const Tensor& b, Activation activation) {
  const Tensor y = Tensor::empty(out, x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = family(device.table<T>());
    run(device, work, kernels.workspace(shape), [&](Context& context) {
      kernels.forward(context, shape, x.data<T>(), w.data<T>(), b.data<T>(), activation, y.data<T>());
    });
  });
  return y;
}

template <class LayerShape, class Family>
LayerGradients layer_backward(const LayerShape& shape, int64_t outputs, double work, const Family& family,
                              const Tensor& dy, const Tensor& x, const Tensor& w, bool need_dx) {
  LayerGradients gradients;
  if (need_dx) gradients.dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  gradients.dw = Tensor::empty(w.shape(), x.dtype(), x.device());
  gradients.db = Tensor::empty({outputs}, x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = family(device.table<T>());
    run(device, (need_dx ? 2.0 : 1.0) * work, kernels.workspace(shape), [&](Context& context) {
      kernels.backward_weights(context, shape, x.data<T>(), dy.data<T>(), Policy::assign,
                               gradients.dw.data<T>(), gradients.db.data<T>());
      if (need_dx) {
        kernels.backward_input(context, shape, dy.data<T>(), w.data<T>(), {}, Policy::assign,
                               gradients.dx.data<T>());
      }
    });
  });
  return gradients;
}

}  // namespace nnx::ops
