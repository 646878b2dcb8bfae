#include "core/shape.h"

#include "core/error.h"

namespace nnx {

int64_t Shape::elements() const { return elements(0, rank()); }

int64_t Shape::elements(int64_t from, int64_t to) const {
  int64_t product = 1;
  bool overflow = false;
  bool empty = false;
  bool negative = false;
  for (int64_t axis = from; axis < to; ++axis) {
    const int64_t extent = (*this)[axis];
    empty |= extent == 0;
    negative |= extent < 0;
    overflow |= __builtin_mul_overflow(product, extent, &product);
  }
  if (negative || (overflow && !empty)) {
    throw ValueError("a shape expected extents of at least 0 and fewer than 2^63 elements, got " + str());
  }
  if (empty) return 0;  // whatever the other extents would come to
  return product;
}

Shape Shape::with_leading(int64_t extent) const {
  std::vector<int64_t> dims;
  dims.reserve(dims_.size() + 1);
  dims.push_back(extent);
  dims.insert(dims.end(), dims_.begin(), dims_.end());
  return Shape(std::move(dims));
}

Shape Shape::without_leading() const { return Shape(std::vector<int64_t>(dims_.begin() + 1, dims_.end())); }

std::string Shape::str() const {
  std::string text = "(";
  for (size_t axis = 0; axis < dims_.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(dims_[axis]);
  }
  return text + (dims_.size() == 1 ? ",)" : ")");
}

}  // namespace nnx
