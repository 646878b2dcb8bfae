// Updates of parameters, and what belongs to them
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/optimizer.h"

namespace nnx::bindings {
namespace {

void sgd_update(const InPlaceArgument& p, const ArrayArgument& g,
                const std::optional<InPlaceArgument>& velocity, double learning_rate, double momentum,
                bool nesterov, double weight_decay) {
  Call call("sgd_update");
  const Tensor tp = call.in_place("p", p);
  const Tensor tg = call.array("g", g);
  const Tensor tvelocity = velocity ? call.in_place("velocity", *velocity) : Tensor();
  SgdRule rule;
  rule.learning_rate.value = learning_rate;
  rule.momentum = momentum;
  rule.nesterov = nesterov;
  rule.weight_decay = weight_decay;
  without_gil([&] { ops::sgd_update(tp, tg, tvelocity, rule); });
}

void adam_update(const InPlaceArgument& p, const ArrayArgument& g, const InPlaceArgument& m,
                 const InPlaceArgument& v, const IntegerArgument& step, double learning_rate, double beta1,
                 double beta2, double epsilon, double weight_decay, bool decoupled) {
  Call call("adam_update");
  const Tensor tp = call.in_place("p", p);
  const Tensor tg = call.array("g", g);
  const Tensor tm = call.in_place("m", m);
  const Tensor tv = call.in_place("v", v);
  AdamRule rule;
  rule.learning_rate.value = learning_rate;
  rule.beta1 = beta1;
  rule.beta2 = beta2;
  rule.epsilon = epsilon;
  rule.weight_decay = weight_decay;
  rule.decoupled = decoupled;
  rule.step.value = read_unsigned("adam_update", "step", step.object);
  without_gil([&] { ops::adam_update(tp, tg, tm, tv, rule); });
}

void rmsprop_update(const InPlaceArgument& p, const ArrayArgument& g, const InPlaceArgument& square,
                    const std::optional<InPlaceArgument>& mean,
                    const std::optional<InPlaceArgument>& velocity, double learning_rate, double rho,
                    double momentum, double epsilon, double weight_decay) {
  Call call("rmsprop_update");
  const Tensor tp = call.in_place("p", p), tg = call.array("g", g), tsquare = call.in_place("square", square);
  const Tensor tmean = mean ? call.in_place("mean", *mean) : Tensor();
  const Tensor tvelocity = velocity ? call.in_place("velocity", *velocity) : Tensor();
  RmspropRule rule;
  rule.learning_rate.value = learning_rate;
  rule.rho = rho;
  rule.momentum = momentum;
  rule.epsilon = epsilon;
  rule.weight_decay = weight_decay;
  without_gil([&] { ops::rmsprop_update(tp, tg, tsquare, tmean, tvelocity, rule); });
}

void adagrad_update(const InPlaceArgument& p, const ArrayArgument& g, const InPlaceArgument& sum,
                    double learning_rate, double epsilon, double weight_decay) {
  Call call("adagrad_update");
  const Tensor tp = call.in_place("p", p), tg = call.array("g", g), tsum = call.in_place("sum", sum);
  AdagradRule rule;
  rule.learning_rate.value = learning_rate;
  rule.epsilon = epsilon;
  rule.weight_decay = weight_decay;
  without_gil([&] { ops::adagrad_update(tp, tg, tsum, rule); });
}

void lion_update(const InPlaceArgument& p, const ArrayArgument& g, const InPlaceArgument& m,
                 double learning_rate, double beta1, double beta2, double weight_decay) {
  Call call("lion_update");
  const Tensor tp = call.in_place("p", p), tg = call.array("g", g), tm = call.in_place("m", m);
  LionRule rule;
  rule.learning_rate.value = learning_rate;
  rule.beta1 = beta1;
  rule.beta2 = beta2;
  rule.weight_decay = weight_decay;
  without_gil([&] { ops::lion_update(tp, tg, tm, rule); });
}

void average_update(const InPlaceArgument& average, const ArrayArgument& p, const IntegerArgument& step,
                    double momentum) {
  Call call("average_update");
  const Tensor taverage = call.in_place("average", average), tp = call.array("p", p);
  const AverageRule rule{momentum, {read_unsigned("average_update", "step", step.object)}};
  without_gil([&] { ops::average_update(taverage, tp, rule); });
}

void clip_gradient(const InPlaceArgument& g, double clip_value) {
  Call call("clip_gradient");
  const Tensor tg = call.in_place("g", g);
  without_gil([&] { ops::clip_gradient(tg, clip_value); });
}

double penalty(const ArrayArgument& w, double l1, double l2, const std::optional<InPlaceArgument>& g) {
  Call call("penalty");
  const Tensor tw = call.array("w", w), tg = g ? call.in_place("g", *g) : Tensor();
  return without_gil([&] { return ops::penalty(tw, {l1, l2}, tg); });
}

}  // namespace

void init_optimizer(py::module_& m) {
  m.def("sgd_update", &sgd_update, py::arg("p"), py::arg("g"), py::arg("velocity"), py::arg("learning_rate"),
        py::arg("momentum") = 0.0, py::arg("nesterov") = false, py::arg("weight_decay") = 0.0,
        "One step of gradient descent, in place on p and velocity (None where there is no momentum)");
  m.def("adam_update", &adam_update, py::arg("p"), py::arg("g"), py::arg("m"), py::arg("v"), py::arg("step"),
        py::arg("learning_rate"), py::arg("beta1") = 0.9, py::arg("beta2") = 0.999, py::arg("epsilon") = 1e-7,
        py::arg("weight_decay") = 0.0, py::arg("decoupled") = false,
        "One step of Adam, in place on p, m and v; step: how many came before; decoupled: AdamW's weight "
        "decay");
  m.def(
      "rmsprop_update", &rmsprop_update, py::arg("p"), py::arg("g"), py::arg("square"), py::arg("mean"),
      py::arg("velocity"), py::arg("learning_rate"), py::arg("rho") = 0.9, py::arg("momentum") = 0.0,
      py::arg("epsilon") = 1e-7, py::arg("weight_decay") = 0.0,
      "One step of RMSprop, in place on p, square, mean (None: not centered) and velocity (None where there "
      "is no momentum)");
  m.def("adagrad_update", &adagrad_update, py::arg("p"), py::arg("g"), py::arg("sum"),
        py::arg("learning_rate"), py::arg("epsilon") = 1e-7, py::arg("weight_decay") = 0.0,
        "One step of Adagrad, in place on p and sum");
  m.def("lion_update", &lion_update, py::arg("p"), py::arg("g"), py::arg("m"), py::arg("learning_rate"),
        py::arg("beta1") = 0.9, py::arg("beta2") = 0.99, py::arg("weight_decay") = 0.0,
        "One step of Lion, in place on p and m");
  m.def("average_update", &average_update, py::arg("average"), py::arg("p"), py::arg("step"),
        py::arg("momentum") = 0.99,
        "momentum * average + (1 - momentum) * p, in place on average; p itself in step 0");
  m.def("clip_gradient", &clip_gradient, py::arg("g"), py::arg("clip_value"),
        "Brings the elements of g into [-clip_value, clip_value], in place");
  m.def("penalty", &penalty, py::arg("w"), py::arg("l1") = 0.0, py::arg("l2") = 0.0,
        py::arg("g") = py::none(),
        "l1 * sum |w| + l2 * sum w^2; its gradient is added to g where that is given");
}

}  // namespace nnx::bindings
