#include "ops/dense.h"
#include "program/compiler.h"

namespace nnx::program {

template <class T>
void Compiler<T>::emit_forward(Op& op) {
  if (op.kind == NodeKind::conv2d && pool_behind(op) >= 0) return;  // emitted with the pool
  Value& output = value(op.output);
  output.buffer = buffer_of(output.elements);
  switch (op.kind) {
    case NodeKind::dense:
      return emit_dense(op);
    case NodeKind::conv2d:
      return emit_conv2d(op);
    case NodeKind::max_pool2d:
    case NodeKind::avg_pool2d:
    case NodeKind::global_avg_pool2d:
      return emit_pool2d(op);
    case NodeKind::batch_norm:
      return emit_batch_norm(op);
    case NodeKind::arithmetic:
    case NodeKind::sum:
    case NodeKind::slice:
    case NodeKind::pad:
      return emit_arithmetic(op);
    case NodeKind::conv2d_transpose:
      return emit_conv2d_transpose(op);
    case NodeKind::global_max_pool2d:
      return emit_global_max_pool2d(op);
    case NodeKind::upsample2d:
      return emit_upsample2d(op);
    case NodeKind::group_norm:
      return emit_group_norm(op);
    case NodeKind::channel_dropout:
    case NodeKind::noise:
    case NodeKind::warp:
    case NodeKind::contrast:
      return emit_augment(op);
    default:
      return emit_elementwise(op);
  }
}

template <class T>
void Compiler<T>::emit_dense(const Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const DenseShape sample =
      ops::dense_shape("dense", input_shape(op).with_leading(1), graph_.node(node.inputs[1]).shape);
  DenseShape largest = sample;
  largest.rows *= program_.options_.max_batch;
  want_workspace(table_.dense.workspace(largest));
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer), w = parameter_ref(node, 1), b = parameter_ref(node, 2);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer},
      [=, kernel = table_.dense.forward, activation = op.activation](Context& context, int64_t n) {
        kernel(context, {sample.rows * n, sample.in, sample.out}, x, w, b, activation, y);
      },
      y_buffer, node.elements());
}

template <class T>
Conv2dShape Compiler<T>::conv2d_shape_of(const Op& op) const {
  expect_batch(op.node->elements());  // of one computed with its pool, too, which no buffer holds
  return ops::conv2d_shape("conv2d", input_shape(op).with_leading(program_.options_.max_batch),
                           graph_.node(op.node->inputs[1]).shape, op.node->conv2d);
}

template <class T>
Pool2dShape Compiler<T>::pool2d_shape_of(const Op& op) const {
  return ops::pool2d_shape(name_of(op.kind), input_shape(op).with_leading(program_.options_.max_batch),
                           op.node->pool2d);
}

template <class T>
void Compiler<T>::emit_conv2d(const Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const Conv2dShape shape = conv2d_shape_of(op);
  want_workspace(table_.conv2d.workspace(shape));
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer), w = parameter_ref(node, 1), b = parameter_ref(node, 2);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer},
      [=, kernel = table_.conv2d.forward, activation = op.activation](Context& context, int64_t n) {
        Conv2dShape actual = shape;
        actual.n = n;
        kernel(context, actual, x, w, b, activation, y);
      },
      y_buffer, node.elements());
}

// Its output is then never stored. Training can do without: the activation's derivative is taken from the
// pool's value.
template <class T>
int Compiler<T>::pool_behind(const Op& op) const {
  const Value& between = values_[static_cast<size_t>(op.output)];
  if (table_.conv2d.pools == nullptr || between.readers != 1 || is_output(op.output)) return -1;
  for (size_t i = 0; i < ops_.size(); ++i) {
    const Op& pool = ops_[i];
    if (pool.kind != NodeKind::max_pool2d || pool.inputs[0] != op.output) continue;
    const bool derived = training_ && op.activation.kind != ActivationKind::identity;
    if (derived && values_[static_cast<size_t>(pool.output)].readers != 1) return -1;
    return table_.conv2d.pools(conv2d_shape_of(op), pool2d_shape_of(pool)) ? static_cast<int>(i) : -1;
  }
  return -1;
}

template <class T>
void Compiler<T>::emit_conv2d_pooled(const Op& op, const Op& pool) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(pool.output).buffer;
  const Conv2dShape shape = conv2d_shape_of(op);
  want_workspace(table_.conv2d.workspace(shape));
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer), w = parameter_ref(node, 1), b = parameter_ref(node, 2);
  const Ref<int32_t> index = index_ref(pool);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer, pool.saved},
      [=, pool = pool2d_shape_of(pool), kernel = table_.conv2d.forward_pooled, activation = op.activation](
          Context& context, int64_t n) {
        Conv2dShape actual = shape;
        actual.n = n;
        kernel(context, actual, pool, x, w, b, activation, y, index);
      },
      y_buffer, pool.node->elements());
}

template <class T>
void Compiler<T>::emit_pool2d(Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer);
  const Shape image = input_shape(op).with_leading(program_.options_.max_batch);
  if (op.kind == NodeKind::global_avg_pool2d) {
    emit(
        Phase::forward, node.scope, {x_buffer, y_buffer},
        [=, pixels = image[1] * image[2], channels = image[3], kernel = table_.pool2d.global_average_forward](
            Context& context, int64_t n) { kernel(context, n, pixels, channels, x, y); },
        y_buffer, node.elements());
    return;
  }
  const Pool2dShape shape = pool2d_shape_of(op);
  if (op.kind == NodeKind::avg_pool2d) {
    emit(
        Phase::forward, node.scope, {x_buffer, y_buffer},
        [=, count_include_pad = node.count_include_pad, kernel = table_.pool2d.average_forward](
            Context& context, int64_t n) {
          Pool2dShape actual = shape;
          actual.n = n;
          kernel(context, actual, count_include_pad, x, y);
        },
        y_buffer, node.elements());
    return;
  }
  if (training_) op.saved = buffer_of(node.elements(), sizeof(int32_t));
  const int producer = value(op.inputs[0]).producer;
  if (producer >= 0 && x_buffer < 0) return emit_conv2d_pooled(ops_[static_cast<size_t>(producer)], op);
  const Ref<int32_t> index = index_ref(op);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer, op.saved},
      [=, kernel = table_.pool2d.max_forward](Context& context, int64_t n) {
        Pool2dShape actual = shape;
        actual.n = n;
        kernel(context, actual, x, y, index);
      },
      y_buffer, node.elements());
}

// A batch norm whose weights are not trained works as in prediction: it leaves its statistics alone, too.
template <class T>
bool Compiler<T>::is_frozen_norm(const Node& node) const {
  return !trains(node, 1) && !trains(node, 2);
}

template <class T>
void Compiler<T>::emit_batch_norm(Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const int64_t channels = node.shape.back(), rows = node.elements() / channels;
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer);
  const Ref<T> gamma = parameter_ref(node, 1), beta = parameter_ref(node, 2);
  const Ref<T> mean = parameter_ref(node, 3), variance = parameter_ref(node, 4);
  want_workspace(table_.norm.batch_norm_workspace({rows * program_.options_.max_batch, channels}));
  if (!training_ || is_frozen_norm(node)) {
    emit(
        Phase::forward, node.scope, {x_buffer, y_buffer},
        [=, epsilon = node.epsilon, kernel = table_.norm.batch_norm_infer](Context& context, int64_t n) {
          kernel(context, {rows * n, channels}, x, gamma, beta, mean, variance, epsilon, y);
        },
        y_buffer, node.elements());
    return;
  }
  op.saved = program_.memory_.add(channels * static_cast<int64_t>(sizeof(T)));
  op.saved_second = program_.memory_.add(channels * static_cast<int64_t>(sizeof(T)));
  for (T* statistic : {static_cast<T*>(mean), static_cast<T*>(variance)}) {
    if (statistic != nullptr)
      program_.statistics_.emplace_back(statistic, static_cast<size_t>(channels) * sizeof(T));
  }
  const Ref<T> saved_mean = ref(op.saved), saved_inverse = ref(op.saved_second);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer, op.saved, op.saved_second},
      [=, epsilon = node.epsilon, momentum = node.momentum, state = program_.state_,
       kernel = table_.norm.batch_norm_train](Context& context, int64_t n) {
        kernel(context, {rows * n, channels}, x, gamma, beta, epsilon, momentum, mean, variance, y,
               saved_mean, saved_inverse, state);
      },
      y_buffer, node.elements());
}

template <class T>
void Compiler<T>::emit_elementwise(const Op& op) {
  const Node& node = *op.node;
  const int64_t elements = node.elements();
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer);
  const auto append = [&](auto run, int other = -1) {
    emit(Phase::forward, node.scope, {x_buffer, y_buffer, other}, std::move(run), y_buffer, elements);
  };
  switch (op.kind) {
    case NodeKind::activation:
      return append([=, activation = op.activation, kernel = table_.activation.forward](
                        Context& context, int64_t n) { kernel(context, n * elements, x, activation, y); });
    case NodeKind::softmax:
    case NodeKind::log_softmax: {
      auto* const kernel = op.kind == NodeKind::softmax ? table_.softmax.forward : table_.softmax.log_forward;
      const int64_t classes = node.shape.back();
      return append(
          [=](Context& context, int64_t n) { kernel(context, {n * elements / classes, classes, 1}, x, y); });
    }
    case NodeKind::log:
      return append([=, kernel = table_.elementwise.log_forward](Context& context, int64_t n) {
        kernel(context, n * elements, x, y);
      });
    case NodeKind::dropout: {
      const DropoutKey key = dropout_key(node);
      return append([=, kernel = table_.dropout.apply](Context& context, int64_t n) {
        kernel(context, n * elements, x, key, Policy::assign, y);
      });
    }
    case NodeKind::local_response_norm:
      return append([=, response = node.response, kernel = table_.norm.local_response_norm](Context& context,
                                                                                            int64_t n) {
        LocalResponseNormShape shape = response;
        shape.pixels *= n;
        kernel(context, shape, x, y);
      });
    case NodeKind::normalize: {
      const Ref<T> mean = parameter_ref(node, 1), deviation = parameter_ref(node, 2);
      const int64_t channels = node.shape.back();
      return append([=, kernel = table_.elementwise.normalize](Context& context, int64_t n) {
        kernel(context, n * elements / channels, channels, x, mean, deviation, y);
      });
    }
    case NodeKind::scale:
      return append(
          [=, factor = node.factor, kernel = table_.elementwise.scale](Context& context, int64_t n) {
            kernel(context, n * elements, factor, x, Policy::assign, y);
          });
    case NodeKind::add:
    case NodeKind::multiply: {
      const int other = value(op.inputs[1]).buffer;
      const Ref<T> b = ref(other);
      if (op.kind == NodeKind::add) {
        return append([=, kernel = table_.elementwise.add](
                          Context& context, int64_t n) { kernel(context, n * elements, x, b, y); },
                      other);
      }
      return append(
          [=, kernel = table_.elementwise.multiply](Context& context, int64_t n) {
            kernel(context, n * elements, x, b, Policy::assign, y);
          },
          other);
    }
    default:  // concat: one strided copy for each part
      break;
  }
  const int64_t outer = node.shape.elements(0, node.axis), to_stride = elements / outer;
  int64_t place = 0;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const int part_buffer = value(op.inputs[i]).buffer;
    const Ref<T> part = ref(part_buffer);
    const int64_t run = input_shape(op, i).elements() / outer;
    emit(
        Phase::forward, node.scope, {part_buffer, y_buffer},
        [=, kernel = table_.elementwise.copy_strided](Context& context, int64_t n) {
          kernel(context, {n * outer, run, run, to_stride}, part, Policy::assign, y + place);
        },
        i + 1 == op.inputs.size() ? y_buffer : -1, elements);
    place += run;
  }
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
