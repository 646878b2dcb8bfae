// The kinds of argument that the functions of nnx._core take, and how they are read.
//
// pybind11 hands each over as the object it is; the readers below know the function and the argument by name,
// and so can say what they expected.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <optional>

#include "core/dtype.h"
#include "core/shape.h"
#include "ops/loss.h"
#include "ops/window.h"

namespace nnx::bindings {

namespace py = pybind11;

// An object whose type reads as Kind::name in signatures.
template <class Kind>
struct Object {
  py::object object;
};

#define NNX_KIND(Kind, text)                                   \
  struct Kind##Kind {                                          \
    static constexpr auto name = py::detail::const_name(text); \
  };                                                           \
  using Kind = Object<Kind##Kind>;

NNX_KIND(ArrayArgument, "numpy.typing.ArrayLike | nnx._core.Tensor")
NNX_KIND(InPlaceArgument, "numpy.typing.NDArray[typing.Any] | nnx._core.Tensor")
NNX_KIND(ArrayResult, "numpy.typing.NDArray[typing.Any] | nnx._core.Tensor")
NNX_KIND(ShapeArgument, "int | collections.abc.Sequence[int]")
NNX_KIND(PairArgument, "int | tuple[int, int]")
NNX_KIND(PaddingArgument, "str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]")
NNX_KIND(DTypeArgument, "numpy.typing.DTypeLike")
NNX_KIND(IntegerArgument, "int")
NNX_KIND(NumpyArgument, "numpy.typing.NDArray[typing.Any]")
NNX_KIND(NumpyResult, "numpy.typing.NDArray[typing.Any]")
NNX_KIND(Specification, "dict[str, typing.Any]")
NNX_KIND(ProgressArgument, "collections.abc.Callable[[int, int, float, list[list[float]]], bool | None]")
NNX_KIND(CounterArgument, "typing.Any")
NNX_KIND(ClassWeightArgument, "collections.abc.Mapping[int, float] | numpy.typing.ArrayLike")
#undef NNX_KIND

// Any object with __index__, in [0, 2^64) or [-2^63, 2^63).
uint64_t read_unsigned(const char* where, const char* name, const py::object& object);
int64_t read_integer(const char* where, const char* name, py::handle object);
Shape read_shape(const char* where, const char* name, const py::object& object);
// n or (h, w)
ops::Pair read_pair(const char* where, const char* name, const py::object& object);
// "valid", "same", n, (h, w) or ((top, bottom), (left, right))
ops::Padding read_padding(const char* where, const py::object& object);
// A dictionary, or an array with a weight for each class
ops::ClassWeight read_class_weight(const char* where, const std::optional<ClassWeightArgument>& argument);

py::tuple to_tuple(const Shape& shape);
// A count that may be larger than any integer of C++.
inline py::int_ whole(double count) { return py::int_(py::float_(count)); }

}  // namespace nnx::bindings

namespace pybind11::detail {

template <class Kind>
struct type_caster<nnx::bindings::Object<Kind>> {
  PYBIND11_TYPE_CASTER(nnx::bindings::Object<Kind>, Kind::name);

  bool load(handle source, bool) {
    value.object = reinterpret_borrow<object>(source);
    return true;
  }
  static handle cast(nnx::bindings::Object<Kind> result, return_value_policy, handle) {
    return result.object.release();
  }
};

}  // namespace pybind11::detail
