#include "bindings/arguments.h"

#include "bindings/arrays.h"
#include "core/error.h"

namespace nnx::bindings {
namespace {

std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

bool is_sequence(py::handle object) {
  return PySequence_Check(object.ptr()) != 0 && !py::isinstance<py::str>(object);
}

// The integer behind __index__, or TypeError.
py::object index_of(const char* where, const char* name, py::handle object) {
  if (PyIndex_Check(object.ptr()) == 0) bad_type(where, name, "an integer", type_name(object));
  PyObject* number = PyNumber_Index(object.ptr());
  if (number == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(number);
}

}  // namespace

int64_t read_integer(const char* where, const char* name, py::handle object) {
  const py::object number = index_of(where, name, object);
  int overflow = 0;
  const int64_t value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow != 0) bad_value(where, name, "an integer in [-2^63, 2^63)", std::string(py::str(number)));
  return value;
}

uint64_t read_unsigned(const char* where, const char* name, const py::object& object) {
  const py::object number = index_of(where, name, object);
  const uint64_t value = PyLong_AsUnsignedLongLong(number.ptr());
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    bad_value(where, name, "an integer in [0, 2^64)", std::string(py::str(number)));
  }
  return value;
}

Shape read_shape(const char* where, const char* name, const py::object& object) {
  if (PyIndex_Check(object.ptr()) != 0 && !is_sequence(object))
    return Shape{read_integer(where, name, object)};
  if (!is_sequence(object)) bad_type(where, name, "a shape", type_name(object));
  std::vector<int64_t> dims;
  for (const py::handle extent : object) dims.push_back(read_integer(where, name, extent));
  return Shape(std::move(dims));
}

ops::Pair read_pair(const char* where, const char* name, const py::object& object) {
  if (!is_sequence(object)) {
    const int64_t value = read_integer(where, name, object);
    return {value, value};
  }
  const Shape values = read_shape(where, name, object);
  if (values.rank() != 2) bad_value(where, name, "an integer or a pair", values);
  return {values[0], values[1]};
}

ops::Padding read_padding(const char* where, const py::object& object) {
  if (py::isinstance<py::str>(object)) return ops::parse_padding(where, py::cast<std::string>(object));
  ops::Padding padding{ops::PaddingKind::explicit_points};
  if (is_sequence(object) && py::len(object) == 2 && is_sequence(object[py::int_(0)])) {
    const ops::Pair rows = read_pair(where, "padding", object[py::int_(0)]);
    const ops::Pair columns = read_pair(where, "padding", object[py::int_(1)]);
    padding.top = rows.h;
    padding.bottom = rows.w;
    padding.left = columns.h;
    padding.right = columns.w;
  } else {
    const ops::Pair points = read_pair(where, "padding", object);
    padding.top = padding.bottom = points.h;
    padding.left = padding.right = points.w;
  }
  return padding;
}

ops::ClassWeight read_class_weight(const char* where, const std::optional<ClassWeightArgument>& argument) {
  ops::ClassWeight weight;
  if (!argument) return weight;
  try {
    if (py::isinstance<py::dict>(argument->object)) {
      for (const auto& [label, value] : py::reinterpret_borrow<py::dict>(argument->object)) {
        weight.entries.emplace_back(read_integer(where, "class_weight", label), py::cast<double>(value));
      }
      return weight;
    }
    // A Tensor is no iterable; it is read wherever it lies.
    py::object values = argument->object;
    if (py::isinstance<Tensor>(values)) values = to_numpy(py::cast<Tensor>(values));
    if (!py::isinstance<py::iterable>(values)) {
      bad_type(where, "class_weight", "a dictionary or an array", type_name(values));
    }
    weight.complete = true;
    for (const py::handle value : values) {
      weight.entries.emplace_back(static_cast<int64_t>(weight.entries.size()), py::cast<double>(value));
    }
  } catch (const py::cast_error&) {
    bad_type(where, "class_weight", "numbers", std::string(py::str(argument->object)));
  }
  return weight;
}

py::tuple to_tuple(const Shape& shape) {
  py::tuple tuple(shape.rank());
  for (int64_t axis = 0; axis < shape.rank(); ++axis) tuple[static_cast<size_t>(axis)] = shape[axis];
  return tuple;
}

}  // namespace nnx::bindings
