// Elementwise expressions, sums over axes, slices and padding: all of them evaluations over strided arrays,
// but for the sums.
#include "ops/arithmetic.h"
#include "program/compiler.h"

namespace nnx::program {
namespace {

ops::Expression times(double factor) {
  ops::Expression expression;
  expression.results = {
      expression.apply(Operation::multiply, expression.input(0), expression.constant(factor))};
  return expression;
}

}  // namespace

template <class T>
void Compiler<T>::find_groups(const std::vector<bool>& needed) {
  groups_ = arithmetic_groups(graph_, needed, readers_of_nodes_, training_);
  groups_of_nodes_.assign(needed.size(), -1);
  for (size_t group = 0; group < groups_.size(); ++group) {
    for (int id : groups_[group].members) groups_of_nodes_[static_cast<size_t>(id)] = static_cast<int>(group);
  }
}

template <class T>
typename Compiler<T>::Operand Compiler<T>::whole_operand(int buffer, const Shape& shape,
                                                         Policy policy) const {
  std::vector<int64_t> strides = ops::strides_of(shape);
  strides.insert(strides.begin(), shape.elements());
  return {ref(buffer), buffer, std::move(strides), 0, policy};
}

template <class T>
typename Compiler<T>::Operand Compiler<T>::operand_of(int id, const Shape& all) {
  const Node& node = graph_.node(id);
  const bool parameter = node.kind == NodeKind::parameter;
  const int buffer = parameter ? -1 : value(value_of(id)).buffer;
  std::vector<int64_t> strides = ops::broadcast_strides(node.shape, all);
  strides.insert(strides.begin(), parameter ? 0 : node.elements());
  return {parameter ? weight_ref(node.parameter) : ref(buffer), buffer, std::move(strides)};
}

template <class T>
typename Compiler<T>::Operand Compiler<T>::part_operand(int buffer, const Shape& shape,
                                                        const std::vector<int64_t>& starts,
                                                        const std::vector<int64_t>& steps,
                                                        Policy policy) const {
  Operand part = whole_operand(buffer, shape, policy);
  for (size_t axis = 0; axis < starts.size(); ++axis) {
    int64_t& stride = part.strides[axis + 1];
    part.offset += starts[axis] * stride;
    if (!steps.empty()) stride *= steps[axis];
  }
  return part;
}

template <class T>
void Compiler<T>::emit_evaluation(Phase phase, const Op& op, const ops::Expression& expression,
                                  const Shape& all, const std::vector<Operand>& operands) {
  const ExpressionCode code = *ops::encode(expression);
  ops::Layout layout{all.with_leading(1).dims(), {}};
  std::vector<int> buffers;
  for (const Operand& operand : operands) {
    layout.strides.push_back(operand.strides);
    buffers.push_back(operand.buffer);
  }
  layout.collapse();
  Evaluation<T> work = layout.evaluation<T>("program", code.inputs);
  std::vector<std::pair<Ref<T>, int64_t>> places;
  for (size_t i = 0; i < operands.size(); ++i) {
    places.emplace_back(operands[i].ref, operands[i].offset);
    const int result = static_cast<int>(i) - code.inputs;
    if (result >= 0) work.policies[result] = operands[i].policy;
  }
  const int result = phase == Phase::forward ? buffers.back() : -1;
  emit(
      phase, op.node->scope, buffers,
      [=, kernel = table_.arithmetic.evaluate](Context& context, int64_t n) {
        Evaluation<T> actual = work;
        actual.extents[0] *= n;
        for (int i = 0; i < code.inputs + code.results; ++i) {
          const auto& [ref, offset] = places[static_cast<size_t>(i)];
          T* const data = static_cast<T*>(ref) + offset;
          if (i < code.inputs) {
            actual.inputs[i].data = data;
          } else {
            actual.results[i - code.inputs].data = data;
          }
        }
        kernel(context, code, actual);
      },
      result, result < 0 ? 0 : op.node->elements());
}

template <class T>
void Compiler<T>::emit_sums(Phase phase, const Op& op, const Shape& shape, const std::vector<int64_t>& axes,
                            bool samples, double factor, int x_buffer, Ref<T> y, int y_buffer,
                            Policy policy) {
  std::vector<int64_t> all_axes;
  if (samples) all_axes.push_back(0);
  for (int64_t axis : axes) all_axes.push_back(axis + 1);
  std::vector<ops::SumPass> passes;
  if (all_axes.empty()) {
    passes.push_back({1, 1, shape.elements()});  // a copy
  } else {
    passes = ops::sum_passes(shape.with_leading(1), all_axes);
  }
  for (size_t i = 0; i < passes.size(); ++i) {
    const ops::SumPass pass = passes[i];
    const bool last = i + 1 == passes.size(), over_samples = samples && last;
    const int to_buffer = last ? y_buffer : buffer_of(pass.outer * pass.inner);
    const Ref<T> from = ref(x_buffer), to = last ? y : ref(to_buffer);
    const bool makes_value = last && phase == Phase::forward;
    emit(
        phase, op.node->scope, {x_buffer, to_buffer},
        [=, by = last ? factor : 1.0, how = last ? policy : Policy::assign, kernel = table_.arithmetic.sum](
            Context& context, int64_t n) {
          kernel(context, over_samples ? pass.outer : pass.outer * n,
                 over_samples ? pass.reduced * n : pass.reduced, pass.inner, by, from, how, to);
        },
        makes_value ? y_buffer : -1, makes_value ? op.node->elements() : 0);
    x_buffer = to_buffer;
  }
}

template <class T>
void Compiler<T>::emit_arithmetic(const Op& op) {
  const Node& node = *op.node;
  const int y_buffer = value(op.output).buffer;
  const Operand y = whole_operand(y_buffer, node.shape);
  if (op.group >= 0) {
    const ArithmeticGroup& group = group_of(op);
    std::vector<Operand> operands;
    for (int id : group.inputs) operands.push_back(operand_of(id, node.shape));
    operands.push_back(y);
    return emit_evaluation(Phase::forward, op, group.expression, node.shape, operands);
  }
  const int x_buffer = value(op.inputs[0]).buffer;
  const Shape& shape = input_shape(op);
  switch (op.kind) {
    case NodeKind::sum:
      return emit_sums(Phase::forward, op, shape, node.axes, false, node.factor, x_buffer, y.ref, y_buffer,
                       Policy::assign);
    case NodeKind::slice:
      return emit_evaluation(Phase::forward, op, times(1.0), node.shape,
                             {part_operand(x_buffer, shape, node.starts, node.steps, Policy::assign), y});
    default:  // pad
      emit(Phase::forward, node.scope, {y_buffer},
           [to = y.ref, elements = node.elements(), around = node.factor, fill = table_.elementwise.fill](
               Context& context, int64_t n) { fill(context, n * elements, around, to); });
      return emit_evaluation(Phase::forward, op, times(1.0), shape,
                             {whole_operand(x_buffer, shape),
                              part_operand(y_buffer, node.shape, node.starts, {}, Policy::assign)});
  }
}

template <class T>
void Compiler<T>::emit_arithmetic_backward(const Op& op) {
  if (op.group >= 0) return emit_group_backward(op);
  const Node& node = *op.node;
  const int input = op.inputs[0], dy_buffer = value(op.output).gradient;
  const Shape& shape = input_shape(op);
  const auto [dx_buffer, policy_now] = contribute(input);
  const Policy policy = policy_now;
  switch (op.kind) {
    case NodeKind::sum: {
      std::vector<int64_t> kept = shape.dims();
      for (int64_t axis : node.axes) kept[static_cast<size_t>(axis)] = 1;
      Operand dy = whole_operand(dy_buffer, node.shape);
      dy.strides = ops::broadcast_strides(Shape(kept), shape);
      dy.strides.insert(dy.strides.begin(), node.elements());
      return emit_evaluation(Phase::backward, op, times(node.factor), shape,
                             {dy, whole_operand(dx_buffer, shape, policy)});
    }
    case NodeKind::slice:
      if (policy == Policy::assign) {
        emit(Phase::backward, node.scope, {dx_buffer},
             [dx = ref(dx_buffer), elements = shape.elements(), fill = table_.elementwise.fill](
                 Context& context, int64_t n) { fill(context, n * elements, 0.0, dx); });
      }
      return emit_evaluation(Phase::backward, op, times(1.0), node.shape,
                             {whole_operand(dy_buffer, node.shape),
                              part_operand(dx_buffer, shape, node.starts, node.steps, policy)});
    default:  // pad
      return emit_evaluation(Phase::backward, op, times(1.0), shape,
                             {part_operand(dy_buffer, node.shape, node.starts, {}, Policy::assign),
                              whole_operand(dx_buffer, shape, policy)});
  }
}

// What is spread over the group's axes gets its gradient by sums of one that is not.
template <class T>
void Compiler<T>::emit_group_backward(const Op& op) {
  const ArithmeticGroup& group = group_of(op);
  const Shape& all = op.node->shape;
  std::vector<Operand> operands;
  std::vector<bool> wanted;
  for (int id : group.inputs) {
    const bool parameter = graph_.node(id).kind == NodeKind::parameter;
    wanted.push_back(parameter ? trains_node(id) : value(value_of(id)).wants_gradient);
    operands.push_back(operand_of(id, all));
  }
  operands.push_back(whole_operand(value(op.output).gradient, all));
  std::vector<std::pair<int, int>> spread;  // nodes, and the buffers of their gradients over all axes
  for (size_t i = 0; i < group.inputs.size(); ++i) {
    if (!wanted[i]) continue;
    const int id = group.inputs[i];
    const Node& input = graph_.node(id);
    if (input.kind != NodeKind::parameter && input.shape == all) {
      const auto [buffer, policy] = contribute(value_of(id));
      operands.push_back(whole_operand(buffer, all, policy));
    } else {
      spread.emplace_back(id, buffer_of(all.elements()));
      operands.push_back(whole_operand(spread.back().second, all));
    }
  }
  emit_evaluation(Phase::backward, op, ops::gradient(group.expression, wanted), all, operands);
  for (const auto& [id, from] : spread) {
    const Node& input = graph_.node(id);
    const std::vector<int64_t> axes = ops::repeated_axes(input.shape, all);
    if (input.kind == NodeKind::parameter) {
      const ParameterGradient to = contribute_parameter(input.parameter);
      emit_sums(Phase::backward, op, all, axes, true, 1.0, from, to.ref, to.buffer, to.policy);
    } else {
      const auto [buffer, policy] = contribute(value_of(id));
      emit_sums(Phase::backward, op, all, axes, false, 1.0, from, ref(buffer), buffer, policy);
    }
  }
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
