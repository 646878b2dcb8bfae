// add, multiply, scale, concat, normalize
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/elementwise.h"

namespace nnx::bindings {
namespace {

ArrayResult add(const ArrayArgument& a, const ArrayArgument& b) {
  Call call("add");
  const Tensor ta = call.array("a", a);
  const Tensor tb = call.array("b", b);
  return call.result(without_gil([&] { return ops::add(ta, tb); }));
}

ArrayResult multiply(const ArrayArgument& a, const ArrayArgument& b) {
  Call call("multiply");
  const Tensor ta = call.array("a", a);
  const Tensor tb = call.array("b", b);
  return call.result(without_gil([&] { return ops::multiply(ta, tb); }));
}

ArrayResult scale(const ArrayArgument& x, double factor) {
  Call call("scale");
  const Tensor tx = call.array("x", x);
  return call.result(without_gil([&] { return ops::scale(tx, factor); }));
}

ArrayResult concat(const std::vector<ArrayArgument>& arrays, int64_t axis) {
  Call call("concat");
  std::vector<Tensor> tensors;
  for (const ArrayArgument& array : arrays) tensors.push_back(call.array("arrays", array));
  return call.result(without_gil([&] { return ops::concat(tensors, axis); }));
}

ArrayResult normalize(const ArrayArgument& x, const ArrayArgument& mean, const ArrayArgument& deviation) {
  Call call("normalize");
  const Tensor tx = call.array("x", x);
  const Tensor tmean = call.array("mean", mean);
  const Tensor tdeviation = call.array("deviation", deviation);
  return call.result(without_gil([&] { return ops::normalize(tx, tmean, tdeviation); }));
}

}  // namespace

void init_elementwise(py::module_& m) {
  m.def("add", &add, py::arg("a"), py::arg("b"), "a + b of one shape");
  m.def("multiply", &multiply, py::arg("a"), py::arg("b"), "a * b of one shape");
  m.def("scale", &scale, py::arg("x"), py::arg("factor"), "factor * x");
  m.def("concat", &concat, py::arg("arrays"), py::arg("axis") = -1,
        "Arrays of one shape but for the axis, one behind the other along it");
  m.def("normalize", &normalize, py::arg("x"), py::arg("mean"), py::arg("deviation"),
        "x (..., C), mean (C), deviation (C) -> (x - mean) / deviation");
}

}  // namespace nnx::bindings
