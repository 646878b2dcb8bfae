#include "program/graph.h"

#include "core/error.h"
#include "core/size.h"
#include "ops/activation.h"
#include "ops/checks.h"
#include "ops/dense.h"
#include "ops/elementwise.h"
#include "ops/softmax.h"

namespace nnx::program {

const char* name_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::input:
      return "input";
    case NodeKind::target:
      return "target";
    case NodeKind::parameter:
      return "parameter";
    case NodeKind::dense:
      return "dense";
    case NodeKind::conv2d:
      return "conv2d";
    case NodeKind::conv2d_transpose:
      return "conv2d_transpose";
    case NodeKind::max_pool2d:
      return "max_pool2d";
    case NodeKind::avg_pool2d:
      return "avg_pool2d";
    case NodeKind::global_avg_pool2d:
      return "global_avg_pool2d";
    case NodeKind::global_max_pool2d:
      return "global_max_pool2d";
    case NodeKind::upsample2d:
      return "upsample2d";
    case NodeKind::activation:
      return "activation";
    case NodeKind::softmax:
      return "softmax";
    case NodeKind::log_softmax:
      return "log_softmax";
    case NodeKind::log:
      return "log";
    case NodeKind::dropout:
      return "dropout";
    case NodeKind::channel_dropout:
      return "channel_dropout";
    case NodeKind::noise:
      return "noise";
    case NodeKind::warp:
      return "warp";
    case NodeKind::contrast:
      return "contrast";
    case NodeKind::batch_norm:
      return "batch_norm";
    case NodeKind::group_norm:
      return "group_norm";
    case NodeKind::local_response_norm:
      return "local_response_norm";
    case NodeKind::add:
      return "add";
    case NodeKind::multiply:
      return "multiply";
    case NodeKind::scale:
      return "scale";
    case NodeKind::concat:
      return "concat";
    case NodeKind::reshape:
      return "reshape";
    case NodeKind::normalize:
      return "normalize";
    case NodeKind::constant:
      return "constant";
    case NodeKind::arithmetic:
      return "arithmetic";
    case NodeKind::sum:
      return "sum";
    case NodeKind::slice:
      return "slice";
    case NodeKind::pad:
      return "pad";
  }
  return "?";
}

const Node& Graph::node(int id) const {
  if (id < 0 || id >= static_cast<int>(nodes_.size())) {
    bad_value("graph", "node", detail::concatenate("a node in [0, ", nodes_.size(), ")"), id);
  }
  return nodes_[static_cast<size_t>(id)];
}

int Graph::append(NodeKind kind, const Shape& shape, std::vector<int> inputs) {
  expect_bytes(name_of(kind), {shape.elements(), sizeof(float)});
  Node node;
  node.kind = kind;
  node.scope = scope_;
  node.shape = shape;
  node.inputs = std::move(inputs);
  nodes_.push_back(std::move(node));
  return static_cast<int>(nodes_.size()) - 1;
}

Shape Graph::batched(const char* where, int id) const {
  const Node& x = node(id);
  if (x.kind == NodeKind::parameter || x.kind == NodeKind::constant)
    bad_value(where, "x", "a value that depends on the input", detail::concatenate("a ", name_of(x.kind)));
  return x.shape.with_leading(1);
}

void Graph::expect_channels(const char* where, const char* name, int id, int64_t channels) const {
  ops::expect_shape(where, name, node(id).shape, Shape{channels});
}

int Graph::input(const Shape& shape) {
  ops::expect_extents("input", "shape", shape, 0);
  shape.elements();
  return append(NodeKind::input, shape, {});
}

int Graph::target(const Shape& shape) {
  ops::expect_size("target", "shape", shape);
  return append(NodeKind::target, shape, {});
}

int Graph::parameter(int index, const Shape& shape) {
  const int id = append(NodeKind::parameter, shape, {});
  nodes_.back().parameter = index;
  return id;
}

int Graph::dense(int x, int w, int b, Activation activation) {
  const DenseShape shape = ops::dense_shape("dense", batched("dense", x), node(w).shape);
  if (b >= 0) ops::check_bias("dense", node(b).shape, shape.out);
  std::vector<int64_t> dims = node(x).shape.dims();
  dims.back() = shape.out;
  const int id = append(NodeKind::dense, Shape(std::move(dims)), {x, w, b});
  nodes_.back().activation = activation;
  return id;
}

int Graph::conv2d(int x, int w, int b, const ops::Conv2dOptions& options, Activation activation) {
  const Conv2dShape shape = ops::conv2d_shape("conv2d", batched("conv2d", x), node(w).shape, options);
  if (b >= 0) ops::check_bias("conv2d", node(b).shape, shape.o);
  const int id = append(NodeKind::conv2d, Shape{shape.oh, shape.ow, shape.o}, {x, w, b});
  nodes_.back().conv2d = options;
  nodes_.back().activation = activation;
  return id;
}

int Graph::max_pool2d(int x, const ops::Pool2dOptions& options) {
  const Pool2dShape shape = ops::max_pool2d_shape("max_pool2d", batched("max_pool2d", x), options);
  const int id = append(NodeKind::max_pool2d, Shape{shape.oh, shape.ow, shape.c}, {x});
  nodes_.back().pool2d = options;
  return id;
}

int Graph::avg_pool2d(int x, const ops::Pool2dOptions& options, bool count_include_pad) {
  const Pool2dShape shape = ops::pool2d_shape("avg_pool2d", batched("avg_pool2d", x), options);
  const int id = append(NodeKind::avg_pool2d, Shape{shape.oh, shape.ow, shape.c}, {x});
  nodes_.back().pool2d = options;
  nodes_.back().count_include_pad = count_include_pad;
  return id;
}

int Graph::global_avg_pool2d(int x) {
  const Shape shape = ops::global_avg_pool2d_shape("global_avg_pool2d", batched("global_avg_pool2d", x));
  return append(NodeKind::global_avg_pool2d, shape.without_leading(), {x});
}

int Graph::activation(int x, Activation activation) {
  batched(ops::name_of(activation.kind), x);
  const int id = append(NodeKind::activation, node(x).shape, {x});
  nodes_.back().activation = activation;
  return id;
}

int Graph::softmax(int x) {
  ops::softmax_shape("softmax", batched("softmax", x), -1);
  return append(NodeKind::softmax, node(x).shape, {x});
}

int Graph::log_softmax(int x) {
  ops::softmax_shape("log_softmax", batched("log_softmax", x), -1);
  return append(NodeKind::log_softmax, node(x).shape, {x});
}

int Graph::log(int x) {
  batched("log", x);
  return append(NodeKind::log, node(x).shape, {x});
}

int Graph::dropout(int x, double rate, uint32_t layer) {
  batched("dropout", x);
  ops::expect_rate("dropout", "rate", rate);
  const int id = append(NodeKind::dropout, node(x).shape, {x});
  nodes_.back().rate = rate;
  nodes_.back().layer = layer;
  return id;
}

int Graph::append_drawn(NodeKind kind, const Shape& shape, int x, uint32_t layer,
                        std::optional<uint64_t> seed) {
  const int id = append(kind, shape, {x});
  nodes_.back().layer = layer;
  nodes_.back().seed = seed;
  return id;
}

int Graph::channel_dropout(int x, double rate, uint32_t layer, std::optional<uint64_t> seed) {
  ops::expect_rank("spatial_dropout2d", "x", batched("spatial_dropout2d", x), 4, "(N, H, W, C)");
  ops::expect_rate("spatial_dropout2d", "rate", rate);
  const int id = append_drawn(NodeKind::channel_dropout, node(x).shape, x, layer, seed);
  nodes_.back().rate = rate;
  return id;
}

int Graph::noise(int x, double stddev, uint32_t layer, std::optional<uint64_t> seed) {
  batched("gaussian_noise", x);
  ops::expect_not_negative("gaussian_noise", "stddev", stddev);
  const int id = append_drawn(NodeKind::noise, node(x).shape, x, layer, seed);
  nodes_.back().rate = stddev;
  return id;
}

int Graph::warp(const char* where, int x, const ops::WarpOptions& options, uint32_t layer,
                std::optional<uint64_t> seed) {
  const WarpShape shape = ops::warp_shape(where, batched(where, x), options);
  const Warp warp = ops::make_warp(where, options);
  const int id = append_drawn(NodeKind::warp, Shape{shape.oh, shape.ow, shape.c}, x, layer, seed);
  nodes_.back().warp = warp;
  return id;
}

int Graph::contrast(int x, const Contrast& contrast, uint32_t layer, std::optional<uint64_t> seed) {
  ops::contrast_shape("random_contrast", batched("random_contrast", x));
  ops::check_contrast("random_contrast", contrast);
  const int id = append_drawn(NodeKind::contrast, node(x).shape, x, layer, seed);
  nodes_.back().contrast = contrast;
  return id;
}

int Graph::batch_norm(int x, int gamma, int beta, int mean, int variance, double momentum, double epsilon) {
  const BatchNormShape shape = ops::batch_norm_shape("batch_norm", batched("batch_norm", x));
  ops::check_batch_norm("batch_norm", momentum, epsilon);
  expect_channels("batch_norm", "gamma", gamma, shape.channels);
  expect_channels("batch_norm", "beta", beta, shape.channels);
  expect_channels("batch_norm", "running_mean", mean, shape.channels);
  expect_channels("batch_norm", "running_var", variance, shape.channels);
  const int id = append(NodeKind::batch_norm, node(x).shape, {x, gamma, beta, mean, variance});
  nodes_.back().momentum = momentum;
  nodes_.back().epsilon = epsilon;
  return id;
}

int Graph::local_response_norm(int x, int64_t size, double alpha, double beta, double k) {
  const LocalResponseNormShape shape = ops::local_response_norm_shape(
      "local_response_norm", batched("local_response_norm", x), size, alpha, beta, k);
  const int id = append(NodeKind::local_response_norm, node(x).shape, {x});
  nodes_.back().response = shape;
  return id;
}

int Graph::add(int a, int b) {
  batched("add", a);
  ops::expect_shape("add", "b", batched("add", b).without_leading(), node(a).shape);
  return append(NodeKind::add, node(a).shape, {a, b});
}

int Graph::multiply(int a, int b) {
  batched("multiply", a);
  ops::expect_shape("multiply", "b", batched("multiply", b).without_leading(), node(a).shape);
  return append(NodeKind::multiply, node(a).shape, {a, b});
}

int Graph::scale(int x, double factor) {
  batched("scale", x);
  ops::expect_finite("scale", "factor", factor);
  const int id = append(NodeKind::scale, node(x).shape, {x});
  nodes_.back().factor = factor;
  return id;
}

int Graph::concat(const std::vector<int>& xs, int64_t axis) {
  if (xs.empty()) bad_value("concat", "arrays", "at least one array", "none");
  std::vector<Shape> shapes;
  for (int x : xs) shapes.push_back(batched("concat", x));
  const int64_t resolved = ops::resolve_axis("concat", axis, shapes.front().rank());
  if (resolved == 0) bad_value("concat", "axis", "an axis other than the batch's", axis);
  const Shape shape = ops::concat_shape("concat", shapes, resolved);
  const int id = append(NodeKind::concat, shape.without_leading(), xs);
  nodes_.back().axis = resolved - 1;
  return id;
}

int Graph::reshape(int x, const Shape& shape) {
  batched("reshape", x);
  return append(NodeKind::reshape, ops::resolve_reshape("reshape", shape, node(x).elements()), {x});
}

int Graph::normalize(int x, int mean, int deviation) {
  const Shape shape = batched("normalize", x);
  expect_channels("normalize", "mean", mean, shape.back());
  expect_channels("normalize", "deviation", deviation, shape.back());
  return append(NodeKind::normalize, node(x).shape, {x, mean, deviation});
}

double Graph::flops(int id) const {
  const Node& n = node(id);
  const auto elements = static_cast<double>(n.elements());
  switch (n.kind) {
    case NodeKind::input:
    case NodeKind::target:
    case NodeKind::parameter:
    case NodeKind::reshape:
    case NodeKind::concat:
    case NodeKind::constant:
    case NodeKind::slice:
    case NodeKind::pad:
      return 0.0;
    case NodeKind::dense:
      return elements * 2.0 * static_cast<double>(node(n.inputs[1]).shape[0]);
    case NodeKind::conv2d:
      return elements * 2.0 * static_cast<double>(node(n.inputs[1]).shape.elements(0, 3));
    case NodeKind::conv2d_transpose:
      return static_cast<double>(node(n.inputs[0]).elements()) * 2.0 *
             static_cast<double>(node(n.inputs[1]).shape.elements(0, 3));
    case NodeKind::max_pool2d:
    case NodeKind::avg_pool2d:
      return elements * static_cast<double>(n.pool2d.pool_size.h * n.pool2d.pool_size.w);
    case NodeKind::global_avg_pool2d:
    case NodeKind::sum:
    case NodeKind::global_max_pool2d:
      return static_cast<double>(node(n.inputs[0]).elements());
    default:
      return elements;
  }
}

}  // namespace nnx::program
