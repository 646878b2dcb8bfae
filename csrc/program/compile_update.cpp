// Where parameters change. Gradient descent without clipping needs no gradient but the parameter's own: each
// is updated as soon as its gradient is complete and the backward pass has read it for the last time, by the
// kernel that computes the gradient where there is one. Then gradients live in the arena, or nowhere.
// Otherwise they are all kept, and the update is the last step. Of steps so long that somebody may want to
// interrupt them the updates come last, too: up to then a step can be left undone.
#include "program/compiler.h"

namespace nnx::program {
namespace {

// Of a step, about half a second's work.
constexpr double kLongStepFlops = 2e10;

}  // namespace

template <class T>
void Compiler<T>::count_uses() {
  const std::optional<OptimizerSpec>& optimizer = program_.options_.optimizer;
  // A device without such kernels updates everything in one.
  updates_at_once_ = optimizer && plain_descent() && table_.dense.update_weights != nullptr;
  updates_late_ =
      program_.flops_training_ * static_cast<double>(program_.options_.max_batch) > kLongStepFlops;
  uses_left_.assign(parameters_.entries().size(), 0);
  gradients_.assign(parameters_.entries().size(), -1);
  updated_.assign(parameters_.entries().size(), false);
  for (const Op& op : ops_) {
    for (int parameter : trained_by(op)) ++uses_left_[static_cast<size_t>(parameter)];
  }
}

template <class T>
bool Compiler<T>::plain_descent() const {
  const ProgramOptions& options = program_.options_;
  const OptimizerSpec& optimizer = *options.optimizer;
  return optimizer.kind == OptimizerKind::sgd && !optimizer.clip_norm && !optimizer.clip_value &&
         optimizer.ema == 0.0 && options.parameters.empty() && options.accumulate == 1 &&
         options.measure_every == 0;
}

template <class T>
std::vector<int> Compiler<T>::trained_by(const Op& op) const {
  std::vector<int> result;
  if (op.group < 0 && op.kind != op.node->kind) return result;  // a part split off a layer
  for (int id : op.group < 0 ? op.node->inputs : group_of(op).inputs) {
    if (trains_node(id)) result.push_back(graph_.node(id).parameter);
  }
  return result;
}

template <class T>
Ref<T> Compiler<T>::slot_ref(int parameter, Slot slot) {
  if (slot == Slot::gradient) program_.keeps_gradients_ = true;
  if (program_.options_.describe) return {};
  program_.parameter_cells_.push_back(parameters_.view(parameter, slot).raw());
  return {&program_.parameter_cells_.back()};
}

template <class T>
typename Compiler<T>::ParameterGradient Compiler<T>::contribute_parameter(int parameter) {
  const auto index = static_cast<size_t>(parameter);
  const bool adds = parameter_seen_[index] || program_.options_.accumulate > 1;
  const Policy policy = adds ? Policy::accumulate : Policy::assign;
  parameter_seen_[index] = true;
  if (!updates_at_once_) return {slot_ref(parameter, Slot::gradient), -1, policy};
  int& buffer = gradients_[index];
  if (buffer < 0) {
    const int64_t elements = parameters_.entry(parameter).shape.elements();
    buffer = program_.memory_.add(elements * static_cast<int64_t>(sizeof(T)));
  }
  return {ref(buffer), buffer, policy};
}

template <class T>
SgdRule Compiler<T>::sgd_rule() const {
  const OptimizerSpec& optimizer = *program_.options_.optimizer;
  SgdRule rule;
  rule.learning_rate.at = &program_.state_->learning_rate;
  rule.momentum = optimizer.momentum;
  rule.nesterov = optimizer.nesterov;
  rule.weight_decay = optimizer.weight_decay;
  rule.guard = program_.state_;
  return rule;
}

template <class T>
Ref<T> Compiler<T>::velocity_ref(int parameter) {
  return program_.options_.optimizer->momentum != 0.0 ? slot_ref(parameter, Slot::state0) : Ref<T>{};
}

template <class T>
bool Compiler<T>::updates_with_gradient(const Op& op) const {
  const std::vector<int> parameters = trained_by(op);
  if (!updates_at_once_ || updates_late_ || !trains(*op.node, 1)) return false;
  return std::all_of(parameters.begin(), parameters.end(), [&](int parameter) {
    return uses_left_[static_cast<size_t>(parameter)] == 1 &&
           !parameter_seen_[static_cast<size_t>(parameter)];
  });
}

template <class T>
void Compiler<T>::emit_update_with_gradient(
    const Op& op, int dx_buffer, int saved_buffer,
    std::function<void(Context&, int64_t, const SgdRule&, SgdTarget<T>, SgdTarget<T>)> kernel) {
  const Node& node = *op.node;
  Ref<T> p[2], velocity[2];
  for (size_t i = 0; i < 2; ++i) {
    if (!trains(node, i + 1)) continue;
    const int parameter = graph_.node(node.inputs[i + 1]).parameter;
    p[i] = slot_ref(parameter, Slot::value);
    velocity[i] = velocity_ref(parameter);
    updated_[static_cast<size_t>(parameter)] = true;
  }
  emit(Phase::update, node.scope,
       {value(op.inputs[0]).buffer, value(op.output).gradient, dx_buffer, saved_buffer},
       [=, rule = sgd_rule(), w = p[0], w_velocity = velocity[0], b = p[1], b_velocity = velocity[1]](
           Context& context, int64_t n) { kernel(context, n, rule, {w, w_velocity}, {b, b_velocity}); });
}

template <class T>
void Compiler<T>::emit_finished_updates(const Op& op) {
  if (updates_late_) return;
  for (int parameter : trained_by(op)) {
    const auto index = static_cast<size_t>(parameter);
    if (--uses_left_[index] == 0 && updates_at_once_ && gradients_[index] >= 0)
      emit_parameter_update(parameter);
  }
}

template <class T>
void Compiler<T>::emit_zero_gradient(int parameter) {
  const Ref<T> g = slot_ref(parameter, Slot::gradient);
  emit(Phase::backward, "optimizer", {},
       [=, count = parameters_.entry(parameter).shape.elements(), kernel = table_.elementwise.fill](
           Context& context, int64_t) { kernel(context, count, 0.0, g); });
}

template <class T>
void Compiler<T>::emit_parameter_update(int parameter) {
  const int buffer = gradients_[static_cast<size_t>(parameter)];
  // One that no gradient reaches still decays and coasts: its gradient is zero.
  if (buffer < 0) emit_zero_gradient(parameter);
  const Ref<T> g = buffer >= 0 ? ref(buffer) : slot_ref(parameter, Slot::gradient);
  const Ref<T> p = slot_ref(parameter, Slot::value), velocity = velocity_ref(parameter);
  emit(Phase::update, "optimizer", {buffer},
       [=, count = parameters_.entry(parameter).shape.elements(), rule = sgd_rule(),
        kernel = table_.optimizer.sgd](Context& context, int64_t) {
         kernel(context, count, p, g, velocity, rule);
       });
  updated_[static_cast<size_t>(parameter)] = true;
}

template <class T>
void Compiler<T>::emit_update() {
  const std::optional<OptimizerSpec>& optimizer = program_.options_.optimizer;
  if (!updates_at_once_ && !program_.options_.apply) {
    for (size_t i = 0; i < parameter_seen_.size(); ++i) {
      const int parameter = static_cast<int>(i);
      if (parameters_.entry(parameter).trainable && !parameter_seen_[i]) emit_zero_gradient(parameter);
    }
  }
  if (updates_at_once_) {
    for (size_t i = 0; i < updated_.size(); ++i) {
      const int parameter = static_cast<int>(i);
      if (parameters_.entry(parameter).trainable && !updated_[i]) emit_parameter_update(parameter);
    }
    return;
  }
  if (!program_.options_.apply) emit_penalty_gradients();
  if (optimizer) emit_kept_update();
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
