// The losses and their gradients
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/loss.h"

namespace nnx::bindings {
namespace {

using Weights = std::optional<ArrayArgument>;
using ClassWeights = std::optional<ClassWeightArgument>;

using PointwiseOp = Tensor (*)(const char*, PointwiseLoss, const Tensor&, const Tensor&,
                               const ops::LossOptions&);
using ClassOp = Tensor (*)(const Tensor&, const Tensor&, const ops::LossOptions&);

struct Pointwise {
  const char* where;
  PointwiseLoss loss;
  const char* output;  // the first argument's name
  PointwiseOp op;

  ArrayResult operator()(const ArrayArgument& y, const ArrayArgument& t, const std::string& reduction,
                         const Weights& sample_weight, const ClassWeights& class_weight = {},
                         double delta = 1.0) const {
    Call call(where);
    const Tensor ty = call.array(output, y);
    const Tensor tt = call.array("t", t);
    ops::LossOptions options;
    options.reduction = ops::parse_reduction(where, reduction);
    options.sample_weight = call.weights("sample_weight", sample_weight);
    options.class_weight = read_class_weight(where, class_weight);
    options.delta = delta;
    return call.result(without_gil([&] { return op(where, loss, ty, tt, options); }));
  }
};

void define_regression(py::module_& m, const char* name, PointwiseLoss loss, PointwiseOp op,
                       const char* reduction, const char* doc) {
  const Pointwise call{name, loss, "y", op};
  m.def(
      name,
      [call](const ArrayArgument& y, const ArrayArgument& t, const std::string& r, const Weights& w) {
        return call(y, t, r, w);
      },
      py::arg("y"), py::arg("t"), py::arg("reduction") = reduction, py::arg("sample_weight") = py::none(),
      doc);
}

void define_huber(py::module_& m, const char* name, PointwiseOp op, const char* doc) {
  const Pointwise call{name, PointwiseLoss::huber, "y", op};
  m.def(
      name,
      [call](const ArrayArgument& y, const ArrayArgument& t, double delta, const std::string& r,
             const Weights& w) { return call(y, t, r, w, {}, delta); },
      py::arg("y"), py::arg("t"), py::arg("delta") = 1.0, py::arg("reduction") = "mean",
      py::arg("sample_weight") = py::none(), doc);
}

void define_binary(py::module_& m, const char* name, PointwiseLoss loss, const char* output, PointwiseOp op,
                   const char* doc) {
  const Pointwise call{name, loss, output, op};
  m.def(
      name,
      [call](const ArrayArgument& y, const ArrayArgument& t, const std::string& r, const Weights& w,
             const ClassWeights& c) { return call(y, t, r, w, c); },
      py::arg(output), py::arg("t"), py::arg("reduction") = "mean", py::arg("sample_weight") = py::none(),
      py::arg("class_weight") = py::none(), doc);
}

void define_classes(py::module_& m, const char* name, ClassOp op, const char* doc) {
  m.def(
      name,
      [name, op](const ArrayArgument& z, const ArrayArgument& targets, double label_smoothing,
                 const std::string& reduction, const Weights& sample_weight,
                 const ClassWeights& class_weight) {
        Call call(name);
        const Tensor tz = call.array("z", z);
        const Tensor tt = call.targets("labels_or_onehot", targets);
        ops::LossOptions options;
        options.reduction = ops::parse_reduction(name, reduction);
        options.sample_weight = call.weights("sample_weight", sample_weight);
        options.class_weight = read_class_weight(name, class_weight);
        options.label_smoothing = label_smoothing;
        return call.result(without_gil([&] { return op(tz, tt, options); }));
      },
      py::arg("z"), py::arg("labels_or_onehot"), py::arg("label_smoothing") = 0.0,
      py::arg("reduction") = "mean", py::arg("sample_weight") = py::none(),
      py::arg("class_weight") = py::none(), doc);
}

}  // namespace

void init_loss(py::module_& m) {
  constexpr PointwiseOp forward = &ops::pointwise_loss;
  constexpr PointwiseOp backward = &ops::pointwise_loss_backward;
  constexpr auto squared = PointwiseLoss::mean_squared_error;
  constexpr auto absolute = PointwiseLoss::mean_absolute_error;
  constexpr auto half_sum = PointwiseLoss::half_sum_squared_error;
  constexpr auto binary = PointwiseLoss::binary_cross_entropy;
  constexpr auto sigmoid = PointwiseLoss::sigmoid_binary_cross_entropy;

  define_regression(m, "mean_squared_error", squared, forward, "mean", "y, t of one shape -> (y - t)^2");
  define_regression(m, "mean_squared_error_backward", squared, backward, "mean", "y, t of one shape -> dy");
  define_regression(m, "mean_absolute_error", absolute, forward, "mean", "y, t of one shape -> |y - t|");
  define_regression(m, "mean_absolute_error_backward", absolute, backward, "mean", "y, t of one shape -> dy");
  define_regression(m, "half_sum_squared_error", half_sum, forward, "sum",
                    "y, t (N, ...) -> half the sum of (t - y)^2 over each sample's outputs");
  define_regression(m, "half_sum_squared_error_backward", half_sum, backward, "sum",
                    "y, t of one shape -> dy");
  define_huber(m, "huber", forward,
               "y, t of one shape -> e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2)");
  define_huber(m, "huber_backward", backward, "y, t of one shape -> dy");
  define_binary(m, "binary_cross_entropy", binary, "p", forward,
                "probabilities p and targets t of one shape -> -t log p - (1 - t) log(1 - p)");
  define_binary(m, "binary_cross_entropy_backward", binary, "p", backward, "p, t of one shape -> dp");
  define_binary(m, "sigmoid_binary_cross_entropy", sigmoid, "z", forward,
                "logits z and targets t of one shape -> binary_cross_entropy(sigmoid(z), t)");
  define_binary(m, "sigmoid_binary_cross_entropy_backward", sigmoid, "z", backward,
                "z, t of one shape -> dz");
  define_classes(m, "softmax_cross_entropy", &ops::softmax_cross_entropy,
                 "logits z (N, K), labels (N) or a distribution (N, K) -> -log softmax(z) at the label");
  define_classes(m, "softmax_cross_entropy_backward", &ops::softmax_cross_entropy_backward,
                 "logits z (N, K), labels (N) or a distribution (N, K) -> dz (N, K)");
}

}  // namespace nnx::bindings
