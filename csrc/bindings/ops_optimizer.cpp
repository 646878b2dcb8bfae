// sgd_update, adam_update
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
}

}  // namespace nnx::bindings
