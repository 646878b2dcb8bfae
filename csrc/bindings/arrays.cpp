#include "bindings/arrays.h"

#include <pybind11/gil_safe_call_once.h>

#include "core/error.h"

namespace nnx::bindings {
namespace {

constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;

using Stored = py::gil_safe_call_once_and_store<py::object>;

// numpy.<name>, looked up once.
const py::object& from_numpy_module(Stored& stored, const char* name) {
  return stored
      .call_once_and_store_result([&]() -> py::object { return py::module_::import("numpy").attr(name); })
      .get_stored();
}

// Native floats and integers of a size that a Tensor has.
std::optional<DType> native_dtype(const py::dtype& dtype) {
  const char order = dtype.byteorder();
  if (order != '=' && order != '|') return {};
  const auto size = dtype.itemsize();
  switch (dtype.kind()) {
    case 'f':
      return size == 4   ? std::optional(DType::float32)
             : size == 8 ? std::optional(DType::float64)
                         : std::nullopt;
    case 'i':
      return size == 4 ? std::optional(DType::int32) : size == 8 ? std::optional(DType::int64) : std::nullopt;
    case 'u':
      return size == 1 ? std::optional(DType::uint8) : std::nullopt;
    default:
      return {};
  }
}

bool is_integer(const py::array& array) {
  const char kind = array.dtype().kind();
  return kind == 'i' || kind == 'u' || kind == 'b';
}

bool usable_in_place(const py::array& array) {
  return (array.flags() & py::array::c_style) != 0 && (array.flags() & kAligned) != 0;
}

py::array convert(const py::array& array, const py::dtype& dtype) {
  return array.attr("astype")(dtype, py::arg("order") = "C");
}

// Lists, tuples, Python's and NumPy's scalars: not arrays with a dtype somebody chose.
bool is_plain(py::handle object) {
  PYBIND11_CONSTINIT static Stored generic;
  return py::isinstance<py::list>(object) || py::isinstance<py::tuple>(object) ||
         PyLong_Check(object.ptr()) != 0 ||
         PyObject_IsInstance(object.ptr(), from_numpy_module(generic, "generic").ptr()) == 1;
}

// Keeps a Python object alive from C++; may be let go by any thread.
std::shared_ptr<void> hold(const py::object& object) {
  return std::shared_ptr<void>(py::object(object).release().ptr(), [](void* held) {
    const py::gil_scoped_acquire acquired;
    Py_DECREF(static_cast<PyObject*>(held));
  });
}

}  // namespace

py::dtype numpy_dtype(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return py::dtype::of<float>();
    case DType::float64:
      return py::dtype::of<double>();
    case DType::int32:
      return py::dtype::of<int32_t>();
    case DType::int64:
      return py::dtype::of<int64_t>();
    case DType::uint8:
      return py::dtype::of<uint8_t>();
  }
  throw TypeError("no such dtype");
}

DType read_dtype(const char* where, const py::object& object) {
  constexpr const char* kKnown = "float32, float64, int32, int64 or uint8";
  py::dtype dtype;
  try {
    dtype = py::dtype::from_args(object);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    bad_type(where, "dtype", kKnown, std::string(py::str(object)));
  }
  const std::optional<DType> known = native_dtype(dtype);
  if (!known) bad_type(where, "dtype", kKnown, std::string(py::str(dtype)));
  return *known;
}

py::array to_numpy(const Tensor& tensor) {
  const Tensor host = tensor.to(DeviceId{});
  const py::capsule owner(new Tensor(host), [](void* held) { delete static_cast<Tensor*>(held); });
  py::array array(numpy_dtype(host.dtype()), host.shape().dims(), {}, host.raw(), owner);
  if (!host.writable()) array.attr("flags").attr("writeable") = false;
  return array;
}

py::array as_array(const char* where, const char* name, const py::object& object) {
  PYBIND11_CONSTINIT static Stored asarray;
  try {
    return from_numpy_module(asarray, "asarray")(object);
  } catch (py::error_already_set& error) {
    if (error.matches(PyExc_ValueError)) bad_value(where, name, "an array", error.what());
    if (error.matches(PyExc_TypeError)) bad_type(where, name, "an array", error.what());
    throw;
  }
}

Tensor from_numpy(const char* where, const char* name, const py::array& array, bool keep) {
  const std::optional<DType> dtype = native_dtype(array.dtype());
  if (dtype && usable_in_place(array)) {
    const Shape shape(std::vector<int64_t>(array.shape(), array.shape() + array.ndim()));
    void* const data = const_cast<void*>(array.data());
    return Tensor::wrap(data, shape, *dtype, {}, keep ? hold(array) : nullptr, array.writeable());
  }
  const py::dtype native = array.dtype().attr("newbyteorder")("=");
  if (!native_dtype(native)) {
    bad_type(where, name, "dtype float32, float64, int32, int64 or uint8",
             std::string(py::str(array.dtype())));
  }
  return from_numpy(where, name, convert(array, native), true);
}

const Tensor* Call::as_tensor(const py::object& object) {
  if (!py::isinstance<Tensor>(object)) return nullptr;
  tensor_seen_ = true;
  return py::cast<const Tensor*>(object);
}

Tensor Call::floating(const char* name, const py::array& array, bool keep) const {
  const py::dtype dtype = array.dtype();
  if (dtype.kind() != 'f' || (dtype.itemsize() != 4 && dtype.itemsize() != 8)) {
    bad_type(where_, name, "dtype float32 or float64", std::string(py::str(dtype)));
  }
  return from_numpy(where_, name, array, keep);
}

Tensor Call::array(const char* name, const ArrayArgument& argument) {
  if (py::isinstance<py::array>(argument.object)) {
    return floating(name, py::reinterpret_borrow<py::array>(argument.object), false);
  }
  if (const Tensor* tensor = as_tensor(argument.object)) return *tensor;
  const py::array array = as_array(where_, name, argument.object);
  const bool numbers = is_integer(array) && is_plain(argument.object);
  return floating(name, numbers ? convert(array, py::dtype::of<double>()) : array, true);
}

Tensor Call::array(const char* name, const std::optional<ArrayArgument>& argument) {
  return argument ? array(name, *argument) : Tensor();
}

Tensor Call::targets(const char* name, const ArrayArgument& argument) {
  if (const Tensor* tensor = as_tensor(argument.object)) return *tensor;
  const py::array array = as_array(where_, name, argument.object);
  if (!is_integer(array)) return floating(name, array, true);
  if (array.ndim() == 1 || !is_plain(argument.object)) return integers(name, {array});
  return floating(name, convert(array, py::dtype::of<double>()), true);
}

Tensor Call::integers(const char* name, const ArrayArgument& argument) {
  if (const Tensor* tensor = as_tensor(argument.object)) return *tensor;
  const py::array array = as_array(where_, name, argument.object);
  if (!is_integer(array)) bad_type(where_, name, "integers", std::string(py::str(array.dtype())));
  if (native_dtype(array.dtype())) return from_numpy(where_, name, array, true);
  return from_numpy(where_, name, convert(array, py::dtype::of<int64_t>()), true);
}

Tensor Call::weights(const char* name, const std::optional<ArrayArgument>& argument) {
  if (!argument) return {};
  if (const Tensor* tensor = as_tensor(argument->object)) return *tensor;
  const py::array array = as_array(where_, name, argument->object);
  return floating(name, is_integer(array) ? convert(array, py::dtype::of<double>()) : array, true);
}

Tensor Call::in_place(const char* name, const InPlaceArgument& argument) {
  if (const Tensor* tensor = as_tensor(argument.object)) return *tensor;
  if (!py::isinstance<py::array>(argument.object)) {
    bad_type(where_, name, "a Tensor or a NumPy array, as it is changed in place",
             Py_TYPE(argument.object.ptr())->tp_name);
  }
  const py::array array = py::reinterpret_borrow<py::array>(argument.object);
  const std::optional<DType> dtype = native_dtype(array.dtype());
  if (dtype != DType::float32 && dtype != DType::float64) {
    bad_type(where_, name, "dtype float32 or float64", std::string(py::str(array.dtype())));
  }
  if (!usable_in_place(array))
    bad_value(where_, name, "a C-contiguous array, as it is changed in place", "another");
  return from_numpy(where_, name, array, false);
}

ArrayResult Call::result(const Tensor& tensor) const {
  if (tensor_seen_) return {py::cast(tensor)};
  const py::array array = to_numpy(tensor);
  // As NumPy's own functions do, numbers come back as scalars.
  return {array.ndim() > 0 ? py::object(array) : py::object(array[py::tuple()])};
}

std::optional<ArrayResult> Call::optional_result(const Tensor& tensor) const {
  if (!tensor.defined()) return {};
  return result(tensor);
}

}  // namespace nnx::bindings
