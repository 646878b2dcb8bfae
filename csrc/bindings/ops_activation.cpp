// The activations, softmax and log_softmax
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/activation.h"
#include "ops/softmax.h"

namespace nnx::bindings {
namespace {

ArrayResult forward(const char* where, const ArrayArgument& x, const char* kind,
                    std::optional<double> alpha = {}) {
  Call call(where);
  const Tensor tx = call.array("x", x);
  const Activation activation = ops::parse_activation(where, kind, alpha);
  return call.result(without_gil([&] { return ops::activation(where, tx, activation); }));
}

ArrayResult backward(const char* where, const ArrayArgument& dy, const ArrayArgument& saved, const char* kind,
                     std::optional<double> alpha = {}) {
  Call call(where);
  const Activation activation = ops::parse_activation(where, kind, alpha);
  const Tensor tdy = call.array("dy", dy);
  const Tensor tsaved = call.array(gradient_reads_input(activation.kind) ? "x" : "y", saved);
  return call.result(without_gil([&] { return ops::activation_backward(where, tdy, tsaved, activation); }));
}

// The names must outlive the module: literals only.
void define(py::module_& m, const char* name, const char* backward_name, const char* saved, const char* doc) {
  m.def(name, [name](const ArrayArgument& x) { return forward(name, x, name); }, py::arg("x"), doc);
  m.def(
      backward_name,
      [name, backward_name](const ArrayArgument& dy, const ArrayArgument& s) {
        return backward(backward_name, dy, s, name);
      },
      py::arg("dy"), py::arg(saved), "dy and the saved array of one shape -> dx");
}

void define_with_alpha(py::module_& m, const char* name, const char* backward_name, const char* alpha_name,
                       double alpha, const char* doc) {
  m.def(
      name, [name](const ArrayArgument& x, double a) { return forward(name, x, name, a); }, py::arg("x"),
      py::arg(alpha_name) = alpha, doc);
  m.def(
      backward_name,
      [name, backward_name](const ArrayArgument& dy, const ArrayArgument& y, double a) {
        return backward(backward_name, dy, y, name, a);
      },
      py::arg("dy"), py::arg("y"), py::arg(alpha_name) = alpha, "dy and the output y of one shape -> dx");
}

template <Tensor (*kOp)(const Tensor&, int64_t)>
void define_softmax(py::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [name](const ArrayArgument& x, int64_t axis) {
        Call call(name);
        const Tensor tx = call.array("x", x);
        return call.result(without_gil([&] { return kOp(tx, axis); }));
      },
      py::arg("x"), py::arg("axis") = -1, doc);
}

template <Tensor (*kOp)(const Tensor&, const Tensor&, int64_t)>
void define_softmax_backward(py::module_& m, const char* name) {
  m.def(
      name,
      [name](const ArrayArgument& dy, const ArrayArgument& y, int64_t axis) {
        Call call(name);
        const Tensor tdy = call.array("dy", dy);
        const Tensor ty = call.array("y", y);
        return call.result(without_gil([&] { return kOp(tdy, ty, axis); }));
      },
      py::arg("dy"), py::arg("y"), py::arg("axis") = -1, "dy and the output y of one shape -> dx");
}

}  // namespace

void init_activation(py::module_& m) {
  define(m, "step", "step_backward", "y", "1 where x >= 0, else 0; its gradient is 0");
  define(m, "sigmoid", "sigmoid_backward", "y", "1 / (1 + exp(-x))");
  define(m, "tanh", "tanh_backward", "y", "The hyperbolic tangent of x");
  define(m, "relu", "relu_backward", "y", "max(x, 0); NaN stays NaN");
  define(m, "gelu", "gelu_backward", "x", "x times the normal distribution function of x, by erf");
  define(m, "silu", "silu_backward", "x", "x sigmoid(x)");
  define_with_alpha(m, "leaky_relu", "leaky_relu_backward", "negative_slope", 0.01,
                    "x where x > 0, else negative_slope * x");
  define_with_alpha(m, "elu", "elu_backward", "alpha", 1.0, "x where x > 0, else alpha * (exp(x) - 1)");

  define_softmax<&ops::softmax>(m, "softmax", "exp(x) over its sums along the axis");
  define_softmax<&ops::log_softmax>(m, "log_softmax", "The logarithm of softmax(x, axis)");
  define_softmax_backward<&ops::softmax_backward>(m, "softmax_backward");
  define_softmax_backward<&ops::log_softmax_backward>(m, "log_softmax_backward");
}

}  // namespace nnx::bindings
