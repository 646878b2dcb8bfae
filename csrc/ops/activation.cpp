#include "ops/activation.h"

#include "ops/checks.h"

namespace nnx::ops {
namespace {

// An estimate that holds for the dearest of them, well enough to decide about threads.
constexpr double kWork = 8.0;

constexpr ActivationKind kKinds[] = {
    ActivationKind::identity, ActivationKind::step, ActivationKind::sigmoid,
    ActivationKind::tanh,     ActivationKind::relu, ActivationKind::leaky_relu,
    ActivationKind::elu,      ActivationKind::gelu, ActivationKind::silu};

}  // namespace

const char* name_of(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::identity:
      return "identity";
    case ActivationKind::step:
      return "step";
    case ActivationKind::sigmoid:
      return "sigmoid";
    case ActivationKind::tanh:
      return "tanh";
    case ActivationKind::relu:
      return "relu";
    case ActivationKind::leaky_relu:
      return "leaky_relu";
    case ActivationKind::elu:
      return "elu";
    case ActivationKind::gelu:
      return "gelu";
    case ActivationKind::silu:
      return "silu";
  }
  return "?";
}

Activation parse_activation(const char* where, const std::string& name, std::optional<double> alpha) {
  for (const ActivationKind kind : kKinds) {
    if (name != name_of(kind)) continue;
    const bool leaky = kind == ActivationKind::leaky_relu;
    const bool takes_alpha = leaky || kind == ActivationKind::elu;
    const double value = !takes_alpha ? 0.0 : alpha.value_or(leaky ? 0.01 : 1.0);
    // Below 0 the output would not show on which side its input lay.
    expect_not_negative(where, leaky ? "negative_slope" : "alpha", value);
    return {kind, value};
  }
  bad_value(where, "activation", "identity, step, sigmoid, tanh, relu, leaky_relu, elu, gelu or silu",
            "'" + name + "'");
}

Tensor activation(const char* where, const Tensor& x, Activation activation) {
  expect_float(where, "x", x);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().activation;
    run(device, kWork * static_cast<double>(x.elements()), 0, [&](Context& context) {
      kernels.forward(context, x.elements(), x.data<T>(), activation, y.data<T>());
    });
  });
  return y;
}

Tensor activation_backward(const char* where, const Tensor& dy, const Tensor& saved, Activation activation) {
  const char* name = gradient_reads_input(activation.kind) ? "x" : "y";
  expect_float(where, "dy", dy);
  expect_like(where, name, saved, dy);
  expect_shape(where, name, saved.shape(), dy.shape());
  const Tensor dx = Tensor::empty(dy.shape(), dy.dtype(), dy.device());
  Device& device = device_of(dy.device());
  dispatch(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().activation;
    run(device, kWork * static_cast<double>(dy.elements()), 0, [&](Context& context) {
      kernels.backward(context, dy.elements(), dy.data<T>(), saved.data<T>(), activation, Policy::assign,
                       dx.data<T>());
    });
  });
  return dx;
}

}  // namespace nnx::ops
