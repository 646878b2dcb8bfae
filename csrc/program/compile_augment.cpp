// What training does to samples at random, but for dropout by element: see kernels/augment.h.
#include "program/compiler.h"

namespace nnx::program {

// Flips are done in the pass of the motion behind them, where nobody else reads what they give.
template <class T>
int Compiler<T>::lower_warp(const Node& node, int input) {
  const Motion motion = node.warp.motion;
  if (!training_ && motion != Motion::crop && motion != Motion::center_crop) return input;
  const int before = node.inputs[0];
  const Node& flip = graph_.node(before);
  const bool flips = node.warp.flips_rows || node.warp.flips_columns;
  if (training_ && motion != Motion::none && !flips && flip.kind == NodeKind::warp &&
      flip.warp.motion == Motion::none && readers_of_nodes_[static_cast<size_t>(before)] == 1) {
    Op& op = ops_[static_cast<size_t>(value(input).producer)];
    op.flip = op.node;
    op.node = &node;
    value(input).elements = node.elements();
    return input;
  }
  return append_op(node, node.kind, {}, {input});
}

template <class T>
RowKey Compiler<T>::row_key(const Node& node) const {
  const DropoutKey key = dropout_key(node);
  return {key.seed, key.layer, key.step, key.row};
}

template <class T>
Warp Compiler<T>::warp_of(const Op& op) const {
  const Node& flip = op.flip != nullptr ? *op.flip : *op.node;
  Warp warp = op.node->warp;
  warp.flips_rows = flip.warp.flips_rows;
  warp.flips_columns = flip.warp.flips_columns;
  warp.flip = row_key(flip);
  warp.move = row_key(*op.node);
  if (!training_ && warp.motion == Motion::crop) warp.motion = Motion::center_crop;
  return warp;
}

// Of one sample.
template <class T>
WarpShape Compiler<T>::warp_shape_of(const Op& op) const {
  const Shape &x = input_shape(op), &y = op.node->shape;
  return {1, x[0], x[1], x[2], y[0], y[1]};
}

template <class T>
void Compiler<T>::emit_augment(const Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer);
  const int64_t elements = node.elements();
  const auto append = [&](auto run) {
    emit(Phase::forward, node.scope, {x_buffer, y_buffer}, run, y_buffer, elements);
  };
  switch (op.kind) {
    case NodeKind::channel_dropout: {
      const int64_t c = node.shape.back();
      return append(
          [=, key = dropout_key(node), kernel = table_.dropout.apply_channels](Context& context, int64_t n) {
            kernel(context, n, c > 0 ? elements / c : 0, c, x, key, Policy::assign, y);
          });
    }
    case NodeKind::noise:
      return append([=, key = dropout_key(node), stddev = node.rate, kernel = table_.dropout.add_normal](
                        Context& context, int64_t n) { kernel(context, n * elements, x, key, stddev, y); });
    case NodeKind::warp:
      return append([=, sample = warp_shape_of(op), warp = warp_of(op), kernel = table_.augment.warp](
                        Context& context, int64_t n) {
        WarpShape shape = sample;
        shape.n = n;
        kernel(context, shape, warp, x, y);
      });
    default: {
      Contrast contrast = node.contrast;
      contrast.key = row_key(node);
      const int64_t c = node.shape.back();
      return append([=, kernel = table_.augment.contrast](Context& context, int64_t n) {
        kernel(context, {n, elements / c, c}, contrast, x, y);
      });
    }
  }
}

template <class T>
void Compiler<T>::emit_augment_backward(const Op& op) {
  const Node& node = *op.node;
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient;
  const int64_t elements = node.elements();
  if (!value(input).wants_gradient) return;
  if (op.kind == NodeKind::noise && value(input).gradient < 0) {
    value(input).gradient = dy_buffer;
    return;
  }
  const bool in_place = op.kind == NodeKind::channel_dropout;
  const auto [dx_buffer, policy_now] = in_place ? contribute_in_place(input, dy_buffer) : contribute(input);
  const int x_buffer = op.kind == NodeKind::contrast ? value(input).buffer : -1;
  const Ref<T> dy = ref(dy_buffer), x = ref(x_buffer), dx = ref(dx_buffer);
  const auto append = [&, to = dx_buffer](auto run) {
    emit(Phase::backward, node.scope, {dy_buffer, to, x_buffer}, run);
  };
  switch (op.kind) {
    case NodeKind::channel_dropout: {
      const int64_t c = node.shape.back();
      return append([=, policy = policy_now, key = dropout_key(node), kernel = table_.dropout.apply_channels](
                        Context& context, int64_t n) {
        kernel(context, n, c > 0 ? elements / c : 0, c, dy, key, policy, dx);
      });
    }
    case NodeKind::noise:
      return append([=, policy = policy_now, kernel = table_.elementwise.scale](Context& context, int64_t n) {
        kernel(context, n * elements, 1.0, dy, policy, dx);
      });
    case NodeKind::warp:
      return append([=, policy = policy_now, sample = warp_shape_of(op), warp = warp_of(op),
                     kernel = table_.augment.warp_backward](Context& context, int64_t n) {
        WarpShape shape = sample;
        shape.n = n;
        kernel(context, shape, warp, dy, policy, dx);
      });
    default: {
      Contrast contrast = node.contrast;
      contrast.key = row_key(node);
      const int64_t c = node.shape.back();
      return append(
          [=, policy = policy_now, kernel = table_.augment.contrast_backward](Context& context, int64_t n) {
            kernel(context, {n, elements / c, c}, contrast, dy, x, policy, dx);
          });
    }
  }
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
