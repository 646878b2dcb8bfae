// Both passes of layers that stand by themselves: nothing is fused into their kernels.
#include <tuple>

#include "program/compiler.h"

namespace nnx::program {

template <class T>
Conv2dShape Compiler<T>::transposed_shape_of(const Op& op) const {
  return ops::conv2d_transpose_shape("conv2d_transpose",
                                     input_shape(op).with_leading(program_.options_.max_batch),
                                     graph_.node(op.node->inputs[1]).shape, op.node->transposed);
}

template <class T>
void Compiler<T>::emit_conv2d_transpose(const Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const Conv2dShape shape = transposed_shape_of(op);
  want_workspace(table_.conv2d.workspace(shape));
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer), w = parameter_ref(node, 1), b = parameter_ref(node, 2);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer},
      [=, has_bias = node.inputs[2] >= 0, kernel = table_.conv2d.backward_input,
       bias_add = table_.elementwise.bias_add](Context& context, int64_t n) {
        Conv2dShape actual = shape;
        actual.n = n;
        kernel(context, actual, x, w, {}, Policy::assign, y);
        if (has_bias) bias_add(context, n * shape.h * shape.w, shape.c, y, b, y);
      },
      y_buffer, node.elements());
}

template <class T>
void Compiler<T>::emit_conv2d_transpose_backward(const Op& op) {
  const Node& node = *op.node;
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient;
  const Conv2dShape shape = transposed_shape_of(op);
  const Ref<T> x = value_ref(input), dy = ref(dy_buffer);
  emit_weights_backward(
      op, shape.h * shape.w, shape.c,
      [=, kernel = table_.conv2d.backward_weights, bias_gradient = table_.elementwise.bias_gradient](
          Context& context, int64_t n, Policy policy, T* dw, T* db) {
        Conv2dShape actual = shape;
        actual.n = n;
        kernel(context, actual, dy, x, policy, dw, nullptr);
        if (db == nullptr) return;
        bias_gradient(context, n * shape.h * shape.w, shape.c, dy, policy, db);
      });
  if (!value(input).wants_gradient) return;
  const auto [dx_buffer, policy_now] = contribute(input);
  const Policy policy = policy_now;
  const int64_t elements = value(input).elements;
  // A convolution's forward pass only assigns.
  const int own_buffer = policy == Policy::assign ? dx_buffer : buffer_of(elements);
  const Ref<T> dx = ref(dx_buffer), own = ref(own_buffer), w = parameter_ref(node, 1);
  emit(Phase::backward, node.scope, {dy_buffer, dx_buffer, own_buffer},
       [=, kernel = table_.conv2d.forward, add = table_.elementwise.add](Context& context, int64_t n) {
         Conv2dShape actual = shape;
         actual.n = n;
         kernel(context, actual, dy, w, nullptr, {}, own);
         if (policy == Policy::accumulate) add(context, n * elements, own, dx, dx);
       });
}

template <class T>
void Compiler<T>::emit_global_max_pool2d(Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  if (training_) op.saved = buffer_of(node.elements(), sizeof(int32_t));
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer, op.saved},
      [=, pixels = input_shape(op).elements(0, 2), channels = node.elements(), index = index_ref(op),
       kernel = table_.pool2d.global_max_forward](Context& context, int64_t n) {
        kernel(context, n, pixels, channels, x, y, index);
      },
      y_buffer, node.elements());
}

template <class T>
void Compiler<T>::emit_global_max_pool2d_backward(const Op& op) {
  const int dy_buffer = value(op.output).gradient;
  const auto [dx_buffer, policy_now] = contribute(op.inputs[0]);
  const Ref<T> dy = ref(dy_buffer), dx = ref(dx_buffer);
  emit(Phase::backward, op.node->scope, {dy_buffer, dx_buffer, op.saved},
       [=, policy = policy_now, pixels = input_shape(op).elements(0, 2), channels = op.node->elements(),
        index = index_ref(op), kernel = table_.pool2d.global_max_backward](Context& context, int64_t n) {
         kernel(context, n, pixels, channels, dy, index, policy, dx);
       });
}

template <class T>
void Compiler<T>::emit_upsample2d(const Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer);
  const Shape& image = input_shape(op);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer},
      [=, kernel = table_.pool2d.upsample_forward, h = image[0], w = image[1], c = image[2], size = node.size,
       bilinear = node.bilinear](Context& context, int64_t n) {
        kernel(context, {n, h, w, c, size.h, size.w, bilinear}, x, y);
      },
      y_buffer, node.elements());
}

template <class T>
void Compiler<T>::emit_upsample2d_backward(const Op& op) {
  const Node& node = *op.node;
  const int dy_buffer = value(op.output).gradient;
  const auto [dx_buffer, policy_now] = contribute(op.inputs[0]);
  const Ref<T> dy = ref(dy_buffer), dx = ref(dx_buffer);
  const Shape& image = input_shape(op);
  emit(Phase::backward, node.scope, {dy_buffer, dx_buffer},
       [=, policy = policy_now, kernel = table_.pool2d.upsample_backward, h = image[0], w = image[1],
        c = image[2], size = node.size, bilinear = node.bilinear](Context& context, int64_t n) {
         kernel(context, {n, h, w, c, size.h, size.w, bilinear}, dy, policy, dx);
       });
}

template <class T>
void Compiler<T>::emit_group_norm(Op& op) {
  const Node& node = *op.node;
  const int x_buffer = value(op.inputs[0]).buffer, y_buffer = value(op.output).buffer;
  const Ref<T> x = ref(x_buffer), y = ref(y_buffer);
  const Ref<T> gamma = parameter_ref(node, 1), beta = parameter_ref(node, 2);
  if (training_) op.saved = buffer_of(2 * node.groups.samples * node.groups.groups, sizeof(double));
  const Ref<double> statistics =
      op.saved < 0 ? Ref<double>{} : program_.memory_.template ref<double>(op.saved);
  emit(
      Phase::forward, node.scope, {x_buffer, y_buffer, op.saved},
      [=, sample = node.groups, epsilon = node.epsilon, kernel = table_.norm.group_norm](Context& context,
                                                                                         int64_t n) {
        GroupNormShape shape = sample;
        shape.samples *= n;
        kernel(context, shape, x, gamma, beta, epsilon, y, statistics);
      },
      y_buffer, node.elements());
}

template <class T>
void Compiler<T>::emit_group_norm_backward(const Op& op) {
  const Node& node = *op.node;
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient, x_buffer = value(input).buffer;
  GroupNormShape largest = node.groups;
  largest.samples *= program_.options_.max_batch;
  want_workspace(table_.norm.group_norm_workspace(largest));
  int dx_buffer = -1;
  Policy policy_x = Policy::assign;
  if (value(input).wants_gradient) std::tie(dx_buffer, policy_x) = contribute(input);
  const ParameterGradient gamma_gradient =
      trains(node, 1) ? contribute_parameter(node, 1) : ParameterGradient{};
  const ParameterGradient beta_gradient =
      trains(node, 2) ? contribute_parameter(node, 2) : ParameterGradient{};
  const Ref<T> x = ref(x_buffer), dy = ref(dy_buffer), dx = ref(dx_buffer), gamma = parameter_ref(node, 1);
  const auto statistics = program_.memory_.template ref<double>(op.saved);
  emit(Phase::backward, node.scope,
       {x_buffer, dy_buffer, dx_buffer, op.saved, gamma_gradient.buffer, beta_gradient.buffer},
       [=, sample = node.groups, dgamma = gamma_gradient.ref, dbeta = beta_gradient.ref,
        policy_gamma = gamma_gradient.policy, policy_beta = beta_gradient.policy,
        kernel = table_.norm.group_norm_backward](Context& context, int64_t n) {
         GroupNormShape shape = sample;
         shape.samples *= n;
         kernel(context, shape, dy, x, gamma, statistics, policy_x, dx, policy_gamma, dgamma, policy_beta,
                dbeta);
       });
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
