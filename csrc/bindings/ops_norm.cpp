// batch_norm and local_response_norm
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/norm.h"

namespace nnx::bindings {
namespace {

using Training = std::tuple<ArrayResult, ArrayResult, ArrayResult, ArrayResult, ArrayResult>;

std::variant<ArrayResult, Training> batch_norm(const ArrayArgument& x, const ArrayArgument& gamma,
                                               const ArrayArgument& beta, const ArrayArgument& running_mean,
                                               const ArrayArgument& running_var, bool training,
                                               double momentum, double epsilon) {
  Call call("batch_norm");
  const Tensor tx = call.array("x", x);
  const Tensor tgamma = call.array("gamma", gamma);
  const Tensor tbeta = call.array("beta", beta);
  const Tensor tmean = call.array("running_mean", running_mean);
  const Tensor tvar = call.array("running_var", running_var);
  if (!training) {
    return call.result(
        without_gil([&] { return ops::batch_norm_infer(tx, tgamma, tbeta, tmean, tvar, epsilon); }));
  }
  const ops::BatchNormTraining out =
      without_gil([&] { return ops::batch_norm_train(tx, tgamma, tbeta, tmean, tvar, momentum, epsilon); });
  return Training{call.result(out.y), call.result(out.running_mean), call.result(out.running_variance),
                  call.result(out.saved_mean), call.result(out.saved_inverse)};
}

std::tuple<ArrayResult, ArrayResult, ArrayResult> batch_norm_backward(const ArrayArgument& dy,
                                                                      const ArrayArgument& x,
                                                                      const ArrayArgument& gamma,
                                                                      const ArrayArgument& saved_mean,
                                                                      const ArrayArgument& saved_inverse) {
  Call call("batch_norm_backward");
  const Tensor tdy = call.array("dy", dy);
  const Tensor tx = call.array("x", x);
  const Tensor tgamma = call.array("gamma", gamma);
  const Tensor tmean = call.array("saved_mean", saved_mean);
  const Tensor tinverse = call.array("saved_inverse", saved_inverse);
  const ops::NormGradients out =
      without_gil([&] { return ops::batch_norm_backward(tdy, tx, tgamma, tmean, tinverse); });
  return {call.result(out.dx), call.result(out.dgamma), call.result(out.dbeta)};
}

using OptionalArray = std::optional<ArrayArgument>;
using Gradients = std::tuple<ArrayResult, ArrayResult, ArrayResult>;

ArrayResult group_norm(const ArrayArgument& x, int64_t groups, const OptionalArray& gamma,
                       const OptionalArray& beta, double epsilon) {
  Call call("group_norm");
  const Tensor tx = call.array("x", x), tgamma = call.array("gamma", gamma), tbeta = call.array("beta", beta);
  return call.result(without_gil([&] { return ops::group_norm(tx, groups, tgamma, tbeta, epsilon); }));
}

ArrayResult layer_norm(const ArrayArgument& x, const OptionalArray& gamma, const OptionalArray& beta,
                       double epsilon, int64_t axes) {
  Call call("layer_norm");
  const Tensor tx = call.array("x", x), tgamma = call.array("gamma", gamma), tbeta = call.array("beta", beta);
  return call.result(without_gil([&] { return ops::layer_norm(tx, axes, tgamma, tbeta, epsilon); }));
}

Gradients group_norm_backward(const ArrayArgument& dy, const ArrayArgument& x, int64_t groups,
                              const OptionalArray& gamma, double epsilon) {
  Call call("group_norm_backward");
  const Tensor tdy = call.array("dy", dy), tx = call.array("x", x), tgamma = call.array("gamma", gamma);
  const ops::NormGradients out =
      without_gil([&] { return ops::group_norm_backward(tdy, tx, groups, tgamma, epsilon); });
  return {call.result(out.dx), call.result(out.dgamma), call.result(out.dbeta)};
}

Gradients layer_norm_backward(const ArrayArgument& dy, const ArrayArgument& x, const OptionalArray& gamma,
                              double epsilon, int64_t axes) {
  Call call("layer_norm_backward");
  const Tensor tdy = call.array("dy", dy), tx = call.array("x", x), tgamma = call.array("gamma", gamma);
  const ops::NormGradients out =
      without_gil([&] { return ops::layer_norm_backward(tdy, tx, axes, tgamma, epsilon); });
  return {call.result(out.dx), call.result(out.dgamma), call.result(out.dbeta)};
}

ArrayResult local_response_norm(const ArrayArgument& x, int64_t size, double alpha, double beta, double k) {
  Call call("local_response_norm");
  const Tensor tx = call.array("x", x);
  return call.result(without_gil([&] { return ops::local_response_norm(tx, size, alpha, beta, k); }));
}

ArrayResult local_response_norm_backward(const ArrayArgument& dy, const ArrayArgument& x, int64_t size,
                                         double alpha, double beta, double k) {
  Call call("local_response_norm_backward");
  const Tensor tdy = call.array("dy", dy);
  const Tensor tx = call.array("x", x);
  return call.result(
      without_gil([&] { return ops::local_response_norm_backward(tdy, tx, size, alpha, beta, k); }));
}

}  // namespace

void init_norm(py::module_& m) {
  m.def(
      "batch_norm", &batch_norm, py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("running_mean"),
      py::arg("running_var"), py::arg("training") = false, py::arg("momentum") = 0.9,
      py::arg("epsilon") = 1e-5,
      "x (N, ..., C), the others (C) -> y; when training: y, new_running_mean, new_running_var, saved_mean, "
      "saved_inverse");
  m.def("batch_norm_backward", &batch_norm_backward, py::arg("dy"), py::arg("x"), py::arg("gamma"),
        py::arg("saved_mean"), py::arg("saved_inverse"),
        "dy, x (N, ..., C), the others (C) -> dx, dgamma (C), dbeta (C)");
  m.def("group_norm", &group_norm, py::arg("x"), py::arg("groups"), py::arg("gamma") = py::none(),
        py::arg("beta") = py::none(), py::arg("epsilon") = 1e-5, "x (N, ..., C), gamma, beta (C) -> y");
  m.def("group_norm_backward", &group_norm_backward, py::arg("dy"), py::arg("x"), py::arg("groups"),
        py::arg("gamma") = py::none(), py::arg("epsilon") = 1e-5,
        "dy, x (N, ..., C), gamma (C) -> dx, dgamma (C), dbeta (C)");
  m.def("layer_norm", &layer_norm, py::arg("x"), py::arg("gamma") = py::none(), py::arg("beta") = py::none(),
        py::arg("epsilon") = 1e-5, py::arg("axes") = 1,
        "x (N, ..., C), gamma, beta of the last `axes` axes -> y");
  m.def("layer_norm_backward", &layer_norm_backward, py::arg("dy"), py::arg("x"),
        py::arg("gamma") = py::none(), py::arg("epsilon") = 1e-5, py::arg("axes") = 1,
        "dy, x (N, ..., C), gamma of the last `axes` axes -> dx, dgamma, dbeta");
  m.def("local_response_norm", &local_response_norm, py::arg("x"), py::arg("size") = 5,
        py::arg("alpha") = 1e-4, py::arg("beta") = 0.75, py::arg("k") = 2.0,
        "x (N, ..., C) -> x / (k + alpha * sum of x^2 over `size` neighbouring channels)^beta");
  m.def("local_response_norm_backward", &local_response_norm_backward, py::arg("dy"), py::arg("x"),
        py::arg("size") = 5, py::arg("alpha") = 1e-4, py::arg("beta") = 0.75, py::arg("k") = 2.0,
        "dy, x (N, ..., C) -> dx");
}

}  // namespace nnx::bindings
