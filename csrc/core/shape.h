// The extents of a Tensor, outermost first.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <vector>

namespace nnx {

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<int64_t> dims) : dims_(std::move(dims)) {}

  int64_t rank() const { return static_cast<int64_t>(dims_.size()); }
  int64_t operator[](int64_t axis) const { return dims_[static_cast<size_t>(axis)]; }
  int64_t back() const { return dims_.back(); }
  const std::vector<int64_t>& dims() const { return dims_; }

  // Product of all extents; 1 for a scalar. Throws ValueError where it passes 2^63.
  int64_t elements() const;
  // Product of the extents in [from, to).
  int64_t elements(int64_t from, int64_t to) const;
  // This shape with `extent` put in front: (H, W, C) -> (N, H, W, C).
  Shape with_leading(int64_t extent) const;
  // This shape without its first extent.
  Shape without_leading() const;

  std::string str() const;  // "(2, 3)", "(2,)", "()"

  bool operator==(const Shape& other) const { return dims_ == other.dims_; }
  bool operator!=(const Shape& other) const { return dims_ != other.dims_; }

 private:
  std::vector<int64_t> dims_;
};

inline std::ostream& operator<<(std::ostream& stream, const Shape& shape) { return stream << shape.str(); }

}  // namespace nnx
