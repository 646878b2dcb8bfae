#include "ops/checks.h"

#include <cmath>

namespace nnx::ops {

void expect_float(const char* where, const char* name, const Tensor& tensor) {
  if (tensor.dtype() != DType::float32 && tensor.dtype() != DType::float64) {
    bad_type(where, name, "dtype float32 or float64", name_of(tensor.dtype()));
  }
}

void expect_dtype(const char* where, const char* name, const Tensor& tensor, DType dtype) {
  if (tensor.dtype() != dtype) {
    bad_type(where, name, detail::concatenate("dtype ", name_of(dtype)), name_of(tensor.dtype()));
  }
}

void expect_like(const char* where, const char* name, const Tensor& tensor, const Tensor& like) {
  expect_dtype(where, name, tensor, like.dtype());
  if (tensor.device() != like.device()) {
    bad_value(where, name, "a tensor on device '" + like.device().str() + "'",
              "'" + tensor.device().str() + "'");
  }
}

void expect_shape(const char* where, const char* name, const Shape& shape, const Shape& expected) {
  if (shape != expected) bad_value(where, name, detail::concatenate("shape ", expected), shape);
}

void expect_rank(const char* where, const char* name, const Shape& shape, int64_t rank, const char* layout) {
  if (shape.rank() != rank) bad_value(where, name, detail::concatenate("shape ", layout), shape);
}

void expect_extents(const char* where, const char* name, const Shape& shape, int64_t from) {
  for (int64_t axis = from; axis < shape.rank(); ++axis) {
    if (shape[axis] < 1) {
      bad_value(where, name, detail::concatenate("an extent of at least 1 in axis ", axis), shape);
    }
  }
}

void expect_size(const char* where, const char* name, const Shape& shape) {
  try {
    shape.elements();
  } catch (const ValueError&) {
    bad_value(where, name, "extents of at least 0 and fewer than 2^63 elements", shape);
  }
}

void expect_writable(const char* where, const char* name, const Tensor& tensor) {
  if (!tensor.writable()) bad_value(where, name, "a writable array", "a read-only one");
}

void expect_disjoint(const char* where, const char* name, const Tensor& tensor, const Tensor& other) {
  const char* a = tensor.data<char>();
  const char* b = other.data<char>();
  const std::less<const char*> before;
  if (before(a, b + other.bytes()) && before(b, a + tensor.bytes())) {
    bad_value(where, name, "memory of its own", "memory shared with another argument");
  }
}

void expect_at_least(const char* where, const char* name, int64_t value, int64_t least) {
  if (value < least) bad_value(where, name, detail::concatenate("an integer of at least ", least), value);
}

void expect_finite(const char* where, const char* name, double value) {
  if (!std::isfinite(value)) bad_value(where, name, "a finite number", value);
}

void expect_not_negative(const char* where, const char* name, double value) {
  if (!std::isfinite(value) || value < 0.0) bad_value(where, name, "a finite number of at least 0", value);
}

void expect_positive(const char* where, const char* name, double value) {
  if (!std::isfinite(value) || value <= 0.0) bad_value(where, name, "a finite number above 0", value);
}

void expect_unit(const char* where, const char* name, double value) {
  if (!(value >= 0.0 && value <= 1.0)) bad_value(where, name, "a number in [0, 1]", value);
}

void expect_rate(const char* where, const char* name, double value) {
  if (!(value >= 0.0 && value < 1.0)) bad_value(where, name, "a number in [0, 1)", value);
}

int64_t resolve_axis(const char* where, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    bad_value(where, "axis", detail::concatenate("an axis of an array of rank ", rank), axis);
  }
  return axis < 0 ? axis + rank : axis;
}

}  // namespace nnx::ops
