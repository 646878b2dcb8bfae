// Elementwise expressions of arrays that are spread over each other's axes, and sums over axes.
#pragma once

#include "core/tensor.h"
#include "ops/expression.h"

namespace nnx::ops {

// The axes of an evaluation, and the strides in elements of the arrays that take part in it.
struct Layout {
  std::vector<int64_t> extents;
  std::vector<std::vector<int64_t>> strides;  // by array, by axis

  // Makes one of neighbouring axes that all arrays go through as if they were one. The first axis stays the
  // first: where it counts samples, extents[0] is what one sample has of it.
  void collapse();
  // The arrays' data are the caller's to set. ValueError where there are more axes than kernels take.
  template <class T>
  Evaluation<T> evaluation(const char* where, int inputs) const;
};

// NumPy's rule: axes are counted from the last, and one of extent 1 is repeated. ValueError by the arrays'
// names.
Shape broadcast_shape(const char* where, const std::vector<Shape>& shapes);
// Of a contiguous array of that shape, by the axes of `all`: 0 where it is repeated.
std::vector<int64_t> broadcast_strides(const Shape& shape, const Shape& all);
// The axes of `all` that such an array is repeated over.
std::vector<int64_t> repeated_axes(const Shape& shape, const Shape& all);
// Contiguous.
std::vector<int64_t> strides_of(const Shape& shape);
// Axes counted from the front, sorted; empty means all. ValueError for one out of range or named twice.
std::vector<int64_t> resolve_axes(const char* where, const std::vector<int64_t>& axes, int64_t rank);
Shape reduced_shape(const Shape& shape, const std::vector<int64_t>& axes, bool keepdims);

// The runs of neighbouring axes to be summed over, from the back: (outer, reduced, inner) of one after the
// other.
struct SumPass {
  int64_t outer, reduced, inner;
};
std::vector<SumPass> sum_passes(const Shape& shape, const std::vector<int64_t>& axes);

// results (broadcast shape) of the inputs
std::vector<Tensor> evaluate(const char* where, const Expression& expression,
                             const std::vector<Tensor>& inputs);
// From the gradients by the results (broadcast shape), those by the inputs, each of its input's shape.
std::vector<Tensor> evaluate_backward(const char* where, const Expression& expression,
                                      const std::vector<Tensor>& dys, const std::vector<Tensor>& inputs);

// factor * the sums over the axes
Tensor sum(const char* where, const Tensor& x, const std::vector<int64_t>& axes, bool keepdims,
           double factor);
// dx of that shape: factor * dy, repeated over the axes
Tensor sum_backward(const char* where, const Tensor& dy, const Shape& shape, const std::vector<int64_t>& axes,
                    bool keepdims, double factor);
// ValueError where a pair is missing, or an extent below 0.
Shape padded_shape(const char* where, const Shape& shape,
                   const std::vector<std::pair<int64_t, int64_t>>& padding);
// y: x between `before` and `after` elements of `value` along each axis
Tensor pad(const char* where, const Tensor& x, const std::vector<std::pair<int64_t, int64_t>>& padding,
           double value);

}  // namespace nnx::ops
