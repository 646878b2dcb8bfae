#include "program/compiler.h"

namespace nnx::program {

template <class T>
void Compiler<T>::emit_elementwise_backward(const Op& op) {
  const Node& node = *op.node;
  const int64_t elements = node.elements();
  const int dy_buffer = value(op.output).gradient, x_buffer = value(op.inputs[0]).buffer;
  const int y_buffer = value(op.output).buffer;
  const Ref<T> dy = ref(dy_buffer), x = ref(x_buffer), y = ref(y_buffer);

  // Appends body(context, n, policy, dx) for an input whose gradient may take over dy's memory.
  const auto in_place = [&](int input, int reads, auto body) {
    if (!value(input).wants_gradient) return;
    const auto [dx_buffer, policy_now] = contribute_in_place(input, dy_buffer);
    const Ref<T> dx = ref(dx_buffer);
    emit(Phase::backward, node.scope, {dy_buffer, dx_buffer, reads},
         [=, policy = policy_now](Context& context, int64_t n) { body(context, n, policy, dx); });
  };
  const auto apart = [&](int input, int reads, auto body) {
    if (!value(input).wants_gradient) return;
    const auto [dx_buffer, policy_now] = contribute(input);
    const Ref<T> dx = ref(dx_buffer);
    emit(Phase::backward, node.scope, {dy_buffer, dx_buffer, reads},
         [=, policy = policy_now](Context& context, int64_t n) { body(context, n, policy, dx); });
  };
  const int input = op.inputs[0];

  switch (op.kind) {
    case NodeKind::activation: {
      const bool reads_input = gradient_reads_input(op.activation.kind);
      return in_place(
          input, reads_input ? x_buffer : y_buffer,
          [=, saved = reads_input ? x : y, activation = op.activation, kernel = table_.activation.backward](
              Context& context, int64_t n, Policy policy, T* dx) {
            kernel(context, n * elements, dy, saved, activation, policy, dx);
          });
    }
    case NodeKind::softmax:
    case NodeKind::log_softmax: {
      auto* const kernel =
          op.kind == NodeKind::softmax ? table_.softmax.backward : table_.softmax.log_backward;
      const int64_t classes = node.shape.back();
      return in_place(input, y_buffer, [=](Context& context, int64_t n, Policy policy, T* dx) {
        kernel(context, {n * elements / classes, classes, 1}, dy, y, policy, dx);
      });
    }
    case NodeKind::log:
      return apart(
          input, x_buffer,
          [=, kernel = table_.elementwise.log_backward](Context& context, int64_t n, Policy policy, T* dx) {
            kernel(context, n * elements, dy, x, policy, dx);
          });
    case NodeKind::dropout: {
      const DropoutKey key = dropout_key(node);
      return in_place(input, -1,
                      [=, kernel = table_.dropout.apply](Context& context, int64_t n, Policy policy, T* dx) {
                        kernel(context, n * elements, dy, key, policy, dx);
                      });
    }
    case NodeKind::scale:
      return in_place(input, -1,
                      [=, factor = node.factor, kernel = table_.elementwise.scale](
                          Context& context, int64_t n, Policy policy, T* dx) {
                        kernel(context, n * elements, factor, dy, policy, dx);
                      });
    case NodeKind::normalize: {
      const Ref<T> deviation = parameter_ref(node, 2);
      const int64_t channels = node.shape.back();
      return apart(input, -1,
                   [=, kernel = table_.elementwise.normalize_backward](Context& context, int64_t n,
                                                                       Policy policy, T* dx) {
                     kernel(context, n * elements / channels, channels, dy, deviation, policy, dx);
                   });
    }
    case NodeKind::multiply: {
      const int other_buffer = value(op.inputs[1]).buffer;
      const Ref<T> other = ref(other_buffer);
      const auto product = [=, kernel = table_.elementwise.multiply](Ref<T> factor) {
        return [=](Context& context, int64_t n, Policy policy, T* dx) {
          kernel(context, n * elements, dy, factor, policy, dx);
        };
      };
      apart(op.inputs[1], x_buffer, product(x));
      return apart(input, other_buffer, product(other));
    }
    case NodeKind::add: {
      const auto pass_on = [=, kernel = table_.elementwise.scale](Context& context, int64_t n, Policy policy,
                                                                  T* dx) {
        kernel(context, n * elements, 1.0, dy, policy, dx);
      };
      // The second input gets a copy first; the first may then take over dy.
      apart(op.inputs[1], -1, pass_on);
      if (!value(input).wants_gradient) return;
      if (value(input).gradient < 0) {
        value(input).gradient = dy_buffer;
        return;
      }
      return apart(input, -1, pass_on);
    }
    default:  // concat
      break;
  }
  const int64_t outer = node.shape.elements(0, node.axis), from_stride = elements / outer;
  int64_t place = 0;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const int64_t run = input_shape(op, i).elements() / outer;
    apart(op.inputs[i], -1,
          [=, kernel = table_.elementwise.copy_strided](Context& context, int64_t n, Policy policy, T* dx) {
            kernel(context, {n * outer, run, from_stride, run}, dy + place, policy, dx);
          });
    place += run;
  }
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
