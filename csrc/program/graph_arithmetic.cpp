// Nodes of elementwise arithmetic, sums over axes, slices and padding.
#include "core/error.h"
#include "ops/arithmetic.h"
#include "ops/checks.h"
#include "program/graph.h"

namespace nnx::program {

int Graph::constant(double value) {
  const int id = append(NodeKind::constant, Shape{}, {});
  nodes_.back().factor = value;
  return id;
}

int Graph::arithmetic(Operation operation, const std::vector<int>& inputs) {
  const char* const where = ops::name_of(operation);
  std::vector<Shape> shapes;
  int64_t rank = -1;
  for (int input : inputs) {
    const Node& of = node(input);
    shapes.push_back(of.shape);
    if (of.kind == NodeKind::parameter || of.kind == NodeKind::constant) continue;
    if (rank >= 0 && of.shape.rank() != rank) {
      bad_value(where, "b", detail::concatenate("as many axes as the other array has, ", rank + 1),
                detail::concatenate("shape ", of.shape.with_leading(-1)));
    }
    rank = of.shape.rank();
  }
  if (rank < 0) bad_value(where, "a", "a value that depends on the input", "none");
  for (size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].rank() > rank) {
      bad_value(where, "b", detail::concatenate("at most ", rank, " axes of a weight"), shapes[i]);
    }
  }
  const int id = append(NodeKind::arithmetic, ops::broadcast_shape(where, shapes), inputs);
  nodes_.back().operation = operation;
  return id;
}

int Graph::sum(int x, const std::vector<int64_t>& axes, bool keepdims, double factor) {
  const Shape shape = batched("sum", x);
  std::vector<int64_t> resolved = ops::resolve_axes("sum", axes, shape.rank());
  if (resolved.front() == 0) {
    if (!axes.empty()) bad_value("sum", "axis", "axes other than the batch's", 0);
    resolved.erase(resolved.begin());
  }
  for (int64_t& axis : resolved) --axis;
  const int id = append(NodeKind::sum, ops::reduced_shape(node(x).shape, resolved, keepdims), {x});
  nodes_.back().axes = std::move(resolved);
  nodes_.back().factor = factor;
  return id;
}

int Graph::slice(int x, const std::vector<int64_t>& starts, const std::vector<int64_t>& counts,
                 const std::vector<int64_t>& steps) {
  batched("slice", x);
  const Shape shape = node(x).shape;
  const auto rank = static_cast<size_t>(shape.rank());
  if (starts.size() != rank || counts.size() != rank || steps.size() != rank) {
    bad_value("slice", "starts", detail::concatenate("numbers for each of ", rank, " axes"), starts.size());
  }
  for (size_t axis = 0; axis < rank; ++axis) {
    const int64_t extent = shape.dims()[axis], last = starts[axis] + (counts[axis] - 1) * steps[axis];
    const bool inside = starts[axis] >= 0 && starts[axis] < extent && last >= 0 && last < extent;
    if (counts[axis] < 1 || !inside) {
      bad_value("slice", "starts", detail::concatenate("elements within ", extent, " along axis ", axis + 1),
                detail::concatenate(counts[axis], " from ", starts[axis], " on"));
    }
  }
  const int id = append(NodeKind::slice, Shape(counts), {x});
  nodes_.back().starts = starts;
  nodes_.back().steps = steps;
  return id;
}

int Graph::pad(int x, const std::vector<std::pair<int64_t, int64_t>>& padding, double value) {
  batched("pad", x);
  const int id = append(NodeKind::pad, ops::padded_shape("pad", node(x).shape, padding), {x});
  for (const auto& [before, after] : padding) nodes_.back().starts.push_back(before);
  nodes_.back().factor = value;
  return id;
}

}  // namespace nnx::program
