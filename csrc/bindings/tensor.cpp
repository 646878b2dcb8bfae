// nnx.Tensor
#include "bindings/arrays.h"
#include "bindings/dlpack.h"
#include "bindings/init.h"
#include "core/error.h"
#include "ops/elementwise.h"

namespace nnx::bindings {
namespace {

using Dims = py::typing::Tuple<int, py::ellipsis>;

py::dtype wanted_dtype(const std::optional<DTypeArgument>& dtype) {
  return numpy_dtype(read_dtype("tensor", dtype->object));
}

// Other threads go on while a data set is copied to a GPU.
Tensor moved(const Tensor& tensor, DeviceId device) {
  return without_gil([&] { return tensor.to(device); });
}

Tensor tensor(const ArrayArgument& obj, const std::optional<DTypeArgument>& dtype,
              const std::string& device) {
  const DeviceId place = parse_device(device);
  device_of(place);
  const py::object& object = obj.object;
  Tensor out;
  if (py::isinstance<Tensor>(object)) {
    out = py::cast<Tensor>(object);
  } else if (!py::isinstance<py::array>(object) && py::hasattr(object, "__dlpack__")) {
    out = from_dlpack(object);
  } else {
    py::array array = as_array("tensor", "obj", object);
    if (dtype) array = array.attr("astype")(wanted_dtype(dtype), py::arg("copy") = false);
    out = from_numpy("tensor", "obj", array, true);
  }
  if (dtype && out.dtype() != read_dtype("tensor", dtype->object)) {
    out = from_numpy("tensor", "obj", to_numpy(out).attr("astype")(wanted_dtype(dtype)), true);
  }
  return moved(out, place);
}

// copy: None where it must, False never, True always.
py::array to_array(const Tensor& self, const std::optional<DTypeArgument>& dtype,
                   const std::optional<bool>& copy) {
  const py::array array = to_numpy(self);
  const bool shares = self.device().kind == DeviceKind::cpu;
  const bool same = !dtype || py::dtype::from_args(dtype->object).equal(array.dtype());
  if (copy == false && !(shares && same)) {
    throw ValueError("Tensor.__array__: that dtype or device needs a copy, and copy=False");
  }
  if (!same) return array.attr("astype")(dtype->object);
  return copy == true && shares ? py::array(array.attr("copy")()) : array;
}

py::object item(const Tensor& self) {
  if (self.elements() != 1) bad_value("Tensor.item", "self", "one element", self.shape());
  return to_numpy(self).attr("item")();
}

std::string repr(const Tensor& self) {
  const py::object text = py::module_::import("numpy").attr("array2string")(
      to_numpy(self), py::arg("separator") = ", ", py::arg("prefix") = "Tensor(");
  return "Tensor(" + py::cast<std::string>(text) + ", dtype=" + name_of(self.dtype()) + ", device='" +
         self.device().str() + "')";
}

int64_t length(const Tensor& self) {
  if (self.rank() == 0) throw TypeError("a Tensor without axes has no length");
  return self.shape()[0];
}

}  // namespace

void init_tensor(py::module_& m) {
  py::class_<Tensor> type(m, "Tensor", "A contiguous array on a device");
  refuse_unmade<Tensor>();
  type.def_property_readonly(
          "shape", [](const Tensor& self) -> Dims { return to_tuple(self.shape()); },
          "Extents, outermost first")
      .def_property_readonly("ndim", &Tensor::rank, "Number of axes")
      .def_property_readonly("size", &Tensor::elements, "Number of elements")
      .def_property_readonly(
          "dtype", [](const Tensor& self) -> py::object { return numpy_dtype(self.dtype()); },
          "Element type, as NumPy's")
      .def_property_readonly(
          "device", [](const Tensor& self) { return self.device().str(); }, "'cpu' or 'cuda:0'")
      .def("numpy", &to_numpy, "A NumPy array: on the CPU over the same memory, else a copy")
      .def(
          "to",
          [](const Tensor& self, const std::string& device) { return moved(self, parse_device(device)); },
          py::arg("device"), "The tensor on that device: itself where it is there already")
      .def("item", &item, "The one element as a Python number")
      .def("__array__", &to_array, py::arg("dtype") = py::none(), py::arg("copy") = py::none(),
           "The array interface of NumPy 2: copy=None copies where it must")
      .def("__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none(),
           py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(),
           py::arg("copy") = py::none(), "A DLPack capsule; versioned where max_version is at least (1, 0)")
      .def("__dlpack_device__", &dlpack_device, "DLPack's device type and index")
      .def("__float__", [](const Tensor& self) { return py::cast<double>(item(self)); })
      .def("__len__", &length)
      .def("__repr__", &repr);
  m.def("tensor", &tensor, py::arg("obj"), py::arg("dtype") = py::none(), py::arg("device") = "cpu",
        "A Tensor over the memory of an array, or over a copy where dtype, layout or device ask for one");
  m.def("from_dlpack", &from_dlpack, py::arg("obj"),
        "A Tensor over the memory of any array that speaks DLPack; a copy where that is strided");
}

}  // namespace nnx::bindings
