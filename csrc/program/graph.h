// What a model's forward pass does, traced once: nodes with shapes, per sample (no batch axis).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/shape.h"
#include "kernels/arithmetic.h"
#include "ops/augment.h"
#include "ops/conv2d.h"
#include "ops/norm.h"
#include "ops/pool2d.h"

namespace nnx::program {

enum class NodeKind {
  input,
  target,
  parameter,
  dense,
  conv2d,
  conv2d_transpose,
  max_pool2d,
  avg_pool2d,
  global_avg_pool2d,
  global_max_pool2d,
  upsample2d,
  activation,
  softmax,
  log_softmax,
  log,
  dropout,
  channel_dropout,
  noise,
  warp,
  contrast,
  batch_norm,
  group_norm,
  local_response_norm,
  add,
  multiply,
  scale,
  concat,
  reshape,
  normalize,
  constant,
  arithmetic,
  sum,
  slice,
  pad,
};

const char* name_of(NodeKind kind);

struct Node {
  NodeKind kind;
  std::string scope;        // the layer it belongs to
  Shape shape;              // per sample; of a parameter: its own
  std::vector<int> inputs;  // nodes: values first, then parameters; -1 for an absent bias
  int parameter = -1;       // index into Parameters, for a parameter node

  // Attributes; each kind reads its own.
  Activation activation;
  ops::Conv2dOptions conv2d;
  ops::Conv2dTransposeOptions transposed;
  ops::Pool2dOptions pool2d;
  bool count_include_pad = false;
  ops::Pair size;                        // upsample2d
  bool bilinear = false;                 // upsample2d
  double factor = 1.0;                   // scale, sum; the value of constant, and of what pad puts around
  double rate = 0.0;                     // dropout, channel_dropout; of noise the standard deviation
  uint32_t layer = 0;                    // what is drawn at random
  std::optional<uint64_t> seed;          // the same; without one, the program's
  Warp warp{};                           // keys apart
  Contrast contrast{};                   // key apart
  double momentum = 0.0, epsilon = 0.0;  // batch_norm, group_norm
  GroupNormShape groups{};               // group_norm and layer_norm, of one sample
  LocalResponseNormShape response{};     // local_response_norm: size, alpha, beta, k
  int64_t axis = 0;                      // concat: per-sample axis
  Operation operation{};                 // arithmetic
  std::vector<int64_t> axes;             // sum: per-sample axes
  std::vector<int64_t> starts, steps;    // slice, of each per-sample axis; pad: what stands before

  int64_t elements() const { return shape.elements(); }
};

class Graph {
 public:
  // Nodes added from now on belong to the layer of this name.
  void scope(std::string name) { scope_ = std::move(name); }

  int input(const Shape& shape);
  // What a loss compares an output with.
  int target(const Shape& shape);
  int parameter(int index, const Shape& shape);
  int dense(int x, int w, int b, Activation activation);
  int conv2d(int x, int w, int b, const ops::Conv2dOptions& options, Activation activation);
  int max_pool2d(int x, const ops::Pool2dOptions& options);
  int avg_pool2d(int x, const ops::Pool2dOptions& options, bool count_include_pad);
  int global_avg_pool2d(int x);
  int activation(int x, Activation activation);
  // graph_layers.cpp
  int conv2d_transpose(int x, int w, int b, const ops::Conv2dTransposeOptions& options);
  int global_max_pool2d(int x);
  int upsample2d(int x, ops::Pair size, bool bilinear);
  // gamma and beta: parameters or -1
  int group_norm(int x, int gamma, int beta, int64_t groups, double epsilon);
  int layer_norm(int x, int gamma, int beta, int64_t axes, double epsilon);
  int softmax(int x);
  int log_softmax(int x);
  int log(int x);
  int dropout(int x, double rate, uint32_t layer);
  int channel_dropout(int x, double rate, uint32_t layer, std::optional<uint64_t> seed);
  int noise(int x, double stddev, uint32_t layer, std::optional<uint64_t> seed);
  int warp(const char* where, int x, const ops::WarpOptions& options, uint32_t layer,
           std::optional<uint64_t> seed);
  int contrast(int x, const Contrast& contrast, uint32_t layer, std::optional<uint64_t> seed);
  int batch_norm(int x, int gamma, int beta, int mean, int variance, double momentum, double epsilon);
  int local_response_norm(int x, int64_t size, double alpha, double beta, double k);
  int add(int a, int b);
  int multiply(int a, int b);
  int scale(int x, double factor);
  int concat(const std::vector<int>& xs, int64_t axis);  // axis 0 is the batch, which it may not be
  int reshape(int x, const Shape& shape);
  int normalize(int x, int mean, int deviation);
  // A number, for arithmetic.
  int constant(double value);
  // Of values, parameters and constants, a value among them: values of one rank, spread over each other's
  // axes of extent 1; parameters by their last axes.
  int arithmetic(Operation operation, const std::vector<int>& inputs);
  // Axes are counted with the batch's, which may not be among them; none: all others.
  int sum(int x, const std::vector<int64_t>& axes, bool keepdims, double factor);
  // Of each per-sample axis `counts` elements from `starts` on, `steps` apart, which may be below 0.
  int slice(int x, const std::vector<int64_t>& starts, const std::vector<int64_t>& counts,
            const std::vector<int64_t>& steps);
  int pad(int x, const std::vector<std::pair<int64_t, int64_t>>& padding, double value);

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(int id) const;  // ValueError for an id that is none
  // Floating-point operations of a node's forward pass, per sample.
  double flops(int id) const;

 private:
  int append_norm(const char* where, int x, int gamma, int beta, int64_t axes, const GroupNormShape& shape,
                  double epsilon);
  int append_drawn(NodeKind kind, const Shape& shape, int x, uint32_t layer, std::optional<uint64_t> seed);
  int append(NodeKind kind, const Shape& shape, std::vector<int> inputs);
  // The shape of a value node, with a batch of one in front.
  Shape batched(const char* where, int id) const;
  void expect_channels(const char* where, const char* name, int id, int64_t channels) const;

  std::vector<Node> nodes_;
  std::string scope_;
};

}  // namespace nnx::program
