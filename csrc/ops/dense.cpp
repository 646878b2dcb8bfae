#include "ops/dense.h"

#include "ops/layer.h"

namespace nnx::ops {
namespace {

double work_of(const DenseShape& shape) {
  return 2.0 * static_cast<double>(shape.rows) * static_cast<double>(shape.in) *
         static_cast<double>(shape.out);
}

// The family's part of a table.
constexpr auto kernels_of = [](const auto& table) -> const auto& { return table.dense; };

}  // namespace

DenseShape dense_shape(const char* where, const Shape& x, const Shape& w) {
  if (x.rank() < 2) bad_value(where, "x", "shape (N, I)", x);
  expect_extents(where, "x", x, 1);
  expect_rank(where, "w", w, 2, "(I, O)");
  expect_extents(where, "w", w, 0);
  if (w[0] != x.back()) bad_value(where, "w", detail::concatenate("shape (", x.back(), ", O)"), w);
  return {x.elements(0, x.rank() - 1), w[0], w[1]};
}

void check_bias(const char* where, const Shape& b, int64_t out) { expect_shape(where, "b", b, Shape{out}); }

Tensor dense(const Tensor& x, const Tensor& w, const Tensor& b, Activation activation) {
  expect_float("dense", "x", x);
  expect_like("dense", "w", w, x);
  expect_rank("dense", "x", x.shape(), 2, "(N, I)");
  const DenseShape shape = dense_shape("dense", x.shape(), w.shape());
  if (b.defined()) {
    expect_like("dense", "b", b, x);
    check_bias("dense", b.shape(), shape.out);
  }
  return layer_forward(shape, {shape.rows, shape.out}, work_of(shape), kernels_of, x, w, b, activation);
}

LayerGradients dense_backward(const Tensor& dy, const Tensor& x, const Tensor& w, bool need_dx) {
  const char* where = "dense_backward";
  expect_float(where, "x", x);
  expect_like(where, "w", w, x);
  expect_like(where, "dy", dy, x);
  expect_rank(where, "x", x.shape(), 2, "(N, I)");
  const DenseShape shape = dense_shape(where, x.shape(), w.shape());
  expect_shape(where, "dy", dy.shape(), Shape{shape.rows, shape.out});
  return layer_backward(shape, shape.out, work_of(shape), kernels_of, dy, x, w, need_dx);
}

}  // namespace nnx::ops
