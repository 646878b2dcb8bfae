#include <tuple>

#include "ops/dense.h"
#include "program/compiler.h"

namespace nnx::program {

template <class T>
void Compiler<T>::mark_gradients() {
  for (const Op& op : ops_) {
    bool wanted = false;
    for (int input : op.inputs) wanted = wanted || value(input).wants_gradient;
    for (int id : op.group < 0 ? op.node->inputs : group_of(op).inputs) wanted = wanted || trains_node(id);
    value(op.output).wants_gradient = wanted;
  }
}

template <class T>
std::pair<int, Policy> Compiler<T>::contribute(int id) {
  Value& v = value(id);
  if (v.gradient >= 0) return {v.gradient, Policy::accumulate};
  v.gradient = buffer_of(v.elements);
  return {v.gradient, Policy::assign};
}

template <class T>
std::pair<int, Policy> Compiler<T>::contribute_in_place(int id, int from) {
  Value& v = value(id);
  if (v.gradient >= 0) return {v.gradient, Policy::accumulate};
  v.gradient = from;
  return {from, Policy::assign};
}

template <class T>
int Compiler<T>::inner_layer(int id) const {
  const Value* v = &values_[static_cast<size_t>(id)];
  if (v->producer < 0 || v->readers != 1) return -1;
  const Op* op = &ops_[static_cast<size_t>(v->producer)];
  if (op->kind == NodeKind::max_pool2d) {
    // A maximum's derivative is that of the point it was taken from, and its value is that point's value.
    v = &values_[static_cast<size_t>(op->inputs[0])];
    if (v->producer < 0 || v->readers != 1) return -1;
    op = &ops_[static_cast<size_t>(v->producer)];
  }
  const bool fused = (op->kind == NodeKind::dense || op->kind == NodeKind::conv2d) &&
                     op->activation.kind != ActivationKind::identity;
  return fused && !v->gradient_is_inner ? static_cast<int>(op - ops_.data()) : -1;
}

template <class T>
Activation Compiler<T>::claim_inner(int id, Policy policy) {
  const int layer = policy == Policy::assign ? inner_layer(id) : -1;
  if (layer < 0) return {};
  const Op& op = ops_[static_cast<size_t>(layer)];
  value(op.output).gradient_is_inner = true;
  return op.activation;
}

template <class T>
void Compiler<T>::apply_inner(const Op& layer, const std::string& scope, int saved_value, int gradient) {
  const Ref<T> dy = ref(gradient), saved = value_ref(saved_value);
  const int64_t elements = value(saved_value).elements;
  emit(Phase::backward, scope, {gradient, value(saved_value).buffer},
       [=, activation = layer.activation, kernel = table_.activation.backward](Context& context, int64_t n) {
         kernel(context, n * elements, dy, saved, activation, Policy::assign, dy);
       });
  value(layer.output).gradient_is_inner = true;
}

template <class T>
void Compiler<T>::emit_backward(const Op& op) {
  if (!value(op.output).wants_gradient || value(op.output).gradient < 0) return;
  switch (op.kind) {
    case NodeKind::dense:
      return emit_dense_backward(op);
    case NodeKind::conv2d:
      return emit_conv2d_backward(op);
    case NodeKind::max_pool2d:
    case NodeKind::avg_pool2d:
    case NodeKind::global_avg_pool2d:
      return emit_pool2d_backward(op);
    case NodeKind::batch_norm:
    case NodeKind::local_response_norm:
      return emit_norm_backward(op);
    case NodeKind::arithmetic:
    case NodeKind::sum:
    case NodeKind::slice:
    case NodeKind::pad:
      return emit_arithmetic_backward(op);
    case NodeKind::conv2d_transpose:
      return emit_conv2d_transpose_backward(op);
    case NodeKind::global_max_pool2d:
      return emit_global_max_pool2d_backward(op);
    case NodeKind::upsample2d:
      return emit_upsample2d_backward(op);
    case NodeKind::group_norm:
      return emit_group_norm_backward(op);
    case NodeKind::channel_dropout:
    case NodeKind::noise:
    case NodeKind::warp:
    case NodeKind::contrast:
      return emit_augment_backward(op);
    default:
      return emit_elementwise_backward(op);
  }
}

template <class T>
void Compiler<T>::emit_weights_backward(const Op& op, int64_t rows, int64_t outputs,
                                        std::function<void(Context&, int64_t, Policy, T*, T*)> kernel) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, dy_buffer = value(op.output).gradient;
  const bool kernel_trains = trains(node, 1), bias_trains = trains(node, 2);
  const ParameterGradient kernel_gradient =
      kernel_trains ? contribute_parameter(node, 1) : ParameterGradient{};
  const ParameterGradient bias_gradient = bias_trains ? contribute_parameter(node, 2) : ParameterGradient{};
  const bool together = kernel_trains && bias_trains && kernel_gradient.policy == bias_gradient.policy;
  const Ref<T> db = bias_gradient.ref;
  if (kernel_trains) {
    emit(Phase::backward, node.scope,
         {x_buffer, dy_buffer, kernel_gradient.buffer, together ? bias_gradient.buffer : -1},
         [=, dw = kernel_gradient.ref, policy = kernel_gradient.policy](Context& context, int64_t n) {
           kernel(context, n, policy, dw, together ? static_cast<T*>(db) : nullptr);
         });
  }
  if (bias_trains && !together) {
    const Ref<T> dy = ref(dy_buffer);
    emit(Phase::backward, node.scope, {dy_buffer, bias_gradient.buffer},
         [=, policy = bias_gradient.policy, gradient = table_.elementwise.bias_gradient](
             Context& context, int64_t n) { gradient(context, n * rows, outputs, dy, policy, db); });
  }
}

template <class T>
void Compiler<T>::emit_dense_backward(const Op& op) {
  const Node& node = *op.node;
  if (op.activation.kind != ActivationKind::identity && !value(op.output).gradient_is_inner) {
    apply_inner(op, node.scope, op.output, value(op.output).gradient);
  }
  const DenseShape sample =
      ops::dense_shape("dense", input_shape(op).with_leading(1), graph_.node(node.inputs[1]).shape);
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient;
  const Ref<T> x = value_ref(input), dy = ref(dy_buffer);
  int dx_buffer = -1, saved_buffer = -1;
  Policy policy = Policy::assign;
  Activation inner;
  if (value(input).wants_gradient) {
    std::tie(dx_buffer, policy) = contribute(input);
    inner = claim_inner(input, policy);
    if (inner.kind != ActivationKind::identity) saved_buffer = value(input).buffer;
  }
  const Ref<T> dx = ref(dx_buffer), saved = ref(saved_buffer);
  if (table_.dense.update_weights != nullptr && updates_with_gradient(op)) {
    emit_update_with_gradient(
        op, dx_buffer, saved_buffer,
        [=, kernel = table_.dense.update_weights](Context& context, int64_t n, const SgdRule& rule,
                                                  SgdTarget<T> to_w, SgdTarget<T> to_b) {
          kernel(context, {sample.rows * n, sample.in, sample.out}, x, dy, {dx, {inner, saved}, policy}, rule,
                 to_w, to_b);
        });
    return;
  }
  emit_weights_backward(
      op, sample.rows, sample.out,
      [=, kernel = table_.dense.backward_weights](Context& context, int64_t n, Policy policy, T* dw, T* db) {
        kernel(context, {sample.rows * n, sample.in, sample.out}, x, dy, policy, dw, db);
      });
  if (dx_buffer < 0) return;
  const Ref<T> w = parameter_ref(node, 1);
  emit(Phase::backward, node.scope, {dy_buffer, dx_buffer, saved_buffer},
       [=, kernel = table_.dense.backward_input](Context& context, int64_t n) {
         kernel(context, {sample.rows * n, sample.in, sample.out}, dy, w, {inner, saved}, policy, dx);
       });
}

// Of a layer computed with its pool whose input wants no gradient: its weights' gradient is taken from that
// of the pool's output.
template <class T>
bool Compiler<T>::keeps_pooled_gradient(const Op& op) const {
  if (op.kind != NodeKind::conv2d || table_.conv2d.pools_weights == nullptr) return false;
  if (values_[static_cast<size_t>(op.inputs[0])].wants_gradient) return false;
  const int pool = pool_behind(op);
  return pool >= 0 &&
         table_.conv2d.pools_weights(conv2d_shape_of(op), pool2d_shape_of(ops_[static_cast<size_t>(pool)]));
}

template <class T>
void Compiler<T>::emit_conv2d_backward(const Op& op) {
  const Node& node = *op.node;
  if (op.activation.kind != ActivationKind::identity && !value(op.output).gradient_is_inner) {
    apply_inner(op, node.scope, op.output, value(op.output).gradient);
  }
  const Conv2dShape shape = conv2d_shape_of(op);
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient;
  const Ref<T> x = value_ref(input), dy = ref(dy_buffer);
  if (keeps_pooled_gradient(op)) {
    const Op& behind = ops_[static_cast<size_t>(pool_behind(op))];
    const Pool2dShape pool = pool2d_shape_of(behind);
    program_.memory_.touch(behind.saved, static_cast<int>(program_.steps_.size()));  // in the step to come
    emit_weights_backward(op, pool.oh * pool.ow, shape.o,
                          [=, index = index_ref(behind), kernel = table_.conv2d.backward_weights_pooled](
                              Context& context, int64_t n, Policy policy, T* dw, T* db) {
                            Conv2dShape actual = shape;
                            actual.n = n;
                            kernel(context, actual, pool, x, dy, index, policy, dw, db);
                          });
    return;
  }
  emit_weights_backward(
      op, shape.oh * shape.ow, shape.o,
      [=, kernel = table_.conv2d.backward_weights](Context& context, int64_t n, Policy policy, T* dw, T* db) {
        Conv2dShape actual = shape;
        actual.n = n;
        kernel(context, actual, x, dy, policy, dw, db);
      });
  if (!value(input).wants_gradient) return;
  const auto [dx_buffer, policy] = contribute(input);
  const Activation inner = claim_inner(input, policy);
  const Ref<T> w = parameter_ref(node, 1), dx = ref(dx_buffer);
  const bool claimed = inner.kind != ActivationKind::identity;
  emit(Phase::backward, node.scope, {dy_buffer, dx_buffer, claimed ? value(input).buffer : -1},
       [=, policy = policy, kernel = table_.conv2d.backward_input](Context& context, int64_t n) {
         Conv2dShape actual = shape;
         actual.n = n;
         kernel(context, actual, dy, w, {inner, claimed ? static_cast<const T*>(x) : nullptr}, policy, dx);
       });
}

template <class T>
void Compiler<T>::emit_pool2d_backward(const Op& op) {
  const Node& node = *op.node;
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient;
  if (op.kind == NodeKind::max_pool2d) {
    // Cheaper before the gradient is spread over the larger image.
    const int layer = inner_layer(op.output);
    if (layer >= 0) apply_inner(ops_[static_cast<size_t>(layer)], node.scope, op.output, dy_buffer);
  }
  const int producer = value(input).producer;
  if (producer >= 0 && keeps_pooled_gradient(ops_[static_cast<size_t>(producer)])) {
    value(input).gradient = dy_buffer;
    return;
  }
  const auto [dx_buffer, policy_now] = contribute(input);
  const Policy policy = policy_now;
  const Ref<T> dy = ref(dy_buffer), dx = ref(dx_buffer);
  const Shape image = input_shape(op).with_leading(1);
  if (op.kind == NodeKind::global_avg_pool2d) {
    emit(Phase::backward, node.scope, {dy_buffer, dx_buffer},
         [=, pixels = image[1] * image[2], channels = image[3],
          kernel = table_.pool2d.global_average_backward](Context& context, int64_t n) {
           kernel(context, n, pixels, channels, dy, policy, dx);
         });
    return;
  }
  const Pool2dShape shape = pool2d_shape_of(op);
  if (op.kind == NodeKind::avg_pool2d) {
    emit(Phase::backward, node.scope, {dy_buffer, dx_buffer},
         [=, count_include_pad = node.count_include_pad, kernel = table_.pool2d.average_backward](
             Context& context, int64_t n) {
           Pool2dShape actual = shape;
           actual.n = n;
           kernel(context, actual, count_include_pad, dy, policy, dx);
         });
    return;
  }
  const auto index = program_.memory_.template ref<int32_t>(op.saved);
  emit(Phase::backward, node.scope, {dy_buffer, dx_buffer, op.saved},
       [=, kernel = table_.pool2d.max_backward](Context& context, int64_t n) {
         Pool2dShape actual = shape;
         actual.n = n;
         kernel(context, actual, dy, index, policy, dx);
       });
}

// dx = gamma * dy / sqrt(variance + epsilon): what prediction does to x, without mean and beta.
template <class T>
void Compiler<T>::emit_frozen_norm_backward(const Op& op) {
  const Node& node = *op.node;
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient;
  if (!value(input).wants_gradient) return;
  const int64_t channels = node.shape.back(), elements = node.elements();
  const auto [dx_buffer, policy_now] = contribute(input);
  const Policy policy = policy_now;
  const int zeros_buffer = program_.memory_.add(channels * static_cast<int64_t>(sizeof(T)));
  const int own_buffer = policy == Policy::assign ? dx_buffer : buffer_of(elements);
  const Ref<T> dy = ref(dy_buffer), dx = ref(dx_buffer), own = ref(own_buffer), zeros = ref(zeros_buffer);
  const Ref<T> gamma = parameter_ref(node, 1), variance = parameter_ref(node, 4);
  emit(Phase::backward, node.scope, {dy_buffer, dx_buffer, own_buffer, zeros_buffer},
       [=, epsilon = node.epsilon, fill = table_.elementwise.fill, infer = table_.norm.batch_norm_infer,
        add = table_.elementwise.add](Context& context, int64_t n) {
         fill(context, channels, 0.0, zeros);
         infer(context, {n * elements / channels, channels}, dy, gamma, zeros, zeros, variance, epsilon, own);
         if (policy == Policy::accumulate) add(context, n * elements, own, dx, dx);
       });
}

template <class T>
void Compiler<T>::emit_norm_backward(const Op& op) {
  const Node& node = *op.node;
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient, x_buffer = value(input).buffer;
  const Ref<T> x = ref(x_buffer), dy = ref(dy_buffer);
  if (op.kind == NodeKind::local_response_norm) {
    const auto [dx_buffer, policy_now] = contribute(input);
    const Policy policy = policy_now;
    const Ref<T> dx = ref(dx_buffer);
    emit(Phase::backward, node.scope, {x_buffer, dy_buffer, dx_buffer},
         [=, response = node.response, kernel = table_.norm.local_response_norm_backward](Context& context,
                                                                                          int64_t n) {
           LocalResponseNormShape shape = response;
           shape.pixels *= n;
           kernel(context, shape, dy, x, policy, dx);
         });
    return;
  }
  if (is_frozen_norm(node)) return emit_frozen_norm_backward(op);
  const int64_t channels = node.shape.back(), rows = node.elements() / channels;
  int dx_buffer = -1;
  Policy policy_x = Policy::assign;
  if (value(input).wants_gradient) std::tie(dx_buffer, policy_x) = contribute(input);
  // The kernel writes both sums; those nobody trains go to a buffer of their own.
  int spare[2] = {-1, -1};
  ParameterGradient sums[2];
  for (size_t i = 0; i < 2; ++i) {
    if (trains(node, i + 1)) {
      sums[i] = contribute_parameter(node, i + 1);
    } else {
      spare[i] = program_.memory_.add(channels * static_cast<int64_t>(sizeof(T)));
      sums[i] = {ref(spare[i]), spare[i], Policy::assign};
    }
  }
  const Ref<T> dx = ref(dx_buffer), gamma = parameter_ref(node, 1), dgamma = sums[0].ref, dbeta = sums[1].ref;
  const Ref<T> mean = ref(op.saved), inverse = ref(op.saved_second);
  const Policy policy = spare[1] < 0 ? sums[1].policy : sums[0].policy;
  emit(Phase::backward, node.scope,
       {x_buffer, dy_buffer, dx_buffer, op.saved, op.saved_second, sums[0].buffer, sums[1].buffer},
       [=, kernel = table_.norm.batch_norm_backward](Context& context, int64_t n) {
         kernel(context, {rows * n, channels}, dy, x, gamma, mean, inverse, policy_x, dx, policy, dgamma,
                dbeta);
       });
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
