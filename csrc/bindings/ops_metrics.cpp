// The counts that metrics are made of
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/loss.h"

namespace nnx::bindings {
namespace {

using Counts = py::array_t<double>;

Counts count_top_k(const ArrayArgument& z, const ArrayArgument& targets, int64_t k) {
  Call call("count_top_k");
  const Tensor tz = call.array("z", z);
  const Tensor tt = call.targets("targets", targets);
  return to_numpy(without_gil([&] { return ops::count_top_k(tz, tt, k); }));
}

Counts confusion(const ArrayArgument& z, const ArrayArgument& targets) {
  Call call("confusion");
  const Tensor tz = call.array("z", z);
  const Tensor tt = call.targets("targets", targets);
  return to_numpy(without_gil([&] { return ops::confusion(tz, tt); }));
}

Counts count_binary(const ArrayArgument& p, const ArrayArgument& t, double threshold) {
  Call call("count_binary");
  const Tensor tp = call.array("p", p);
  const Tensor tt = call.array("t", t);
  return to_numpy(without_gil([&] { return ops::count_binary(tp, tt, threshold); }));
}

Counts binary_confusion(const ArrayArgument& p, const ArrayArgument& t, double threshold) {
  Call call("binary_confusion");
  const Tensor tp = call.array("p", p);
  const Tensor tt = call.array("t", t);
  return to_numpy(without_gil([&] { return ops::binary_confusion(tp, tt, threshold); }));
}

Counts regression_sums(const ArrayArgument& y, const ArrayArgument& t) {
  Call call("regression_sums");
  const Tensor ty = call.array("y", y);
  const Tensor tt = call.array("t", t);
  return to_numpy(without_gil([&] { return ops::regression_sums(ty, tt); }));
}

void check_labels(const ArrayArgument& labels, int64_t classes, const std::string& name) {
  Call call("nnx");
  const Tensor tensor = call.integers(name.c_str(), labels);
  without_gil([&] { ops::check_labels("nnx", name.c_str(), tensor, classes); });
}

}  // namespace

void init_metrics(py::module_& m) {
  m.def("count_top_k", &count_top_k, py::arg("z"), py::arg("targets"), py::arg("k") = 1,
        "z (N, K), labels (N) or one-hot (N, K) -> (1): rows whose target is among the k largest");
  m.def("count_binary", &count_binary, py::arg("p"), py::arg("t"), py::arg("threshold") = 0.5,
        "p, t of one shape -> (1): elements with (p > threshold) == (t > 0.5)");
  m.def("confusion", &confusion, py::arg("z"), py::arg("targets"),
        "z (N, K), labels (N) or one-hot (N, K) -> (K, K): counts by target and by argmax of z");
  m.def("binary_confusion", &binary_confusion, py::arg("p"), py::arg("t"), py::arg("threshold") = 0.5,
        "p, t of one shape -> (2, 2): counts by t > 0.5 and by p > threshold");
  m.def("regression_sums", &regression_sums, py::arg("y"), py::arg("t"),
        "y, t (N, ...) -> (outputs, 4): sums of (y - t)^2, |y - t|, t and t^2 over the samples");
  m.def("check_labels", &check_labels, py::arg("labels"), py::arg("classes"), py::arg("name") = "labels",
        "ValueError that names the first of labels (N) outside [0, classes) and its index");
}

}  // namespace nnx::bindings
