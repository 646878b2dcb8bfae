#include "core/error.h"
#include "ops/checks.h"
#include "program/graph.h"

namespace nnx::program {

int Graph::conv2d_transpose(int x, int w, int b, const ops::Conv2dTransposeOptions& options) {
  const char* where = "conv2d_transpose";
  const Conv2dShape shape = ops::conv2d_transpose_shape(where, batched(where, x), node(w).shape, options);
  if (b >= 0) ops::check_bias(where, node(b).shape, shape.c);
  const int id = append(NodeKind::conv2d_transpose, ops::input_shape(shape).without_leading(), {x, w, b});
  nodes_.back().transposed = options;
  return id;
}

int Graph::global_max_pool2d(int x) {
  const Shape shape = ops::global_max_pool2d_shape("global_max_pool2d", batched("global_max_pool2d", x));
  return append(NodeKind::global_max_pool2d, shape.without_leading(), {x});
}

int Graph::upsample2d(int x, ops::Pair size, bool bilinear) {
  const UpsampleShape shape = ops::upsample2d_shape("upsample2d", batched("upsample2d", x), size, bilinear);
  const int id = append(NodeKind::upsample2d, ops::output_shape(shape).without_leading(), {x});
  nodes_.back().size = size;
  nodes_.back().bilinear = bilinear;
  return id;
}

int Graph::append_norm(const char* where, int x, int gamma, int beta, int64_t axes,
                       const GroupNormShape& shape, double epsilon) {
  ops::expect_positive(where, "epsilon", epsilon);
  const std::vector<int64_t>& dims = node(x).shape.dims();
  const Shape weights(std::vector<int64_t>(dims.end() - axes, dims.end()));
  if (gamma >= 0) ops::expect_shape(where, "gamma", node(gamma).shape, weights);
  if (beta >= 0) ops::expect_shape(where, "beta", node(beta).shape, weights);
  const int id = append(NodeKind::group_norm, node(x).shape, {x, gamma, beta});
  nodes_.back().groups = shape;
  nodes_.back().epsilon = epsilon;
  return id;
}

int Graph::group_norm(int x, int gamma, int beta, int64_t groups, double epsilon) {
  const GroupNormShape shape = ops::group_norm_shape("group_norm", batched("group_norm", x), groups);
  return append_norm("group_norm", x, gamma, beta, 1, shape, epsilon);
}

int Graph::layer_norm(int x, int gamma, int beta, int64_t axes, double epsilon) {
  const GroupNormShape shape = ops::layer_norm_shape("layer_norm", batched("layer_norm", x), axes);
  return append_norm("layer_norm", x, gamma, beta, axes, shape, epsilon);
}

}  // namespace nnx::program
