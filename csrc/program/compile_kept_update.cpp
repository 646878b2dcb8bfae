// The update as the last thing of a step, of gradients that are all kept: what layers say of their weights,
// clipping, the optimizers' rules, and averages.
#include "program/compiler.h"

namespace nnx::program {

std::vector<Slot> OptimizerSpec::slots() const {
  std::vector<Slot> slots;
  switch (kind) {
    case OptimizerKind::sgd:
      if (momentum != 0.0) slots = {Slot::state0};
      break;
    case OptimizerKind::adam:
      slots = {Slot::state0, Slot::state1};
      break;
    case OptimizerKind::rmsprop:
      slots = {Slot::state0};
      if (momentum != 0.0) slots.push_back(Slot::state1);
      if (centered) slots.push_back(Slot::state2);
      break;
    case OptimizerKind::adagrad:
    case OptimizerKind::lion:
      slots = {Slot::state0};
      break;
  }
  if (ema != 0.0) slots.push_back(Slot::average);
  return slots;
}

// body(index, what its layer says) for every trained parameter with a penalty
template <class T>
template <class F>
void Compiler<T>::for_penalties(const F& body) {
  const std::vector<ParameterSpec>& specs = program_.options_.parameters;
  for (size_t i = 0; i < specs.size(); ++i) {
    const int parameter = static_cast<int>(i);
    if (specs[i].penalized() && parameters_.entry(parameter).trainable) body(parameter, specs[i].penalty);
  }
}

template <class T>
void Compiler<T>::emit_penalties() {
  for_penalties([&](int parameter, const Penalty& penalty) {
    emit(Phase::penalty, "loss", {},
         [=, count = parameters_.entry(parameter).shape.elements(), w = weight_ref(parameter),
          state = program_.state_, kernel = table_.optimizer.penalty](Context& context, int64_t) {
           kernel(context, count, w, penalty, Policy::accumulate, &state->loss);
         });
  });
}

template <class T>
void Compiler<T>::emit_penalty_gradients() {
  for_penalties([&](int parameter, const Penalty& penalty) {
    emit(Phase::update, "optimizer", {},
         [=, count = parameters_.entry(parameter).shape.elements(), w = slot_ref(parameter, Slot::value),
          g = slot_ref(parameter, Slot::gradient), kernel = table_.optimizer.penalty_gradient](
             Context& context, int64_t) { kernel(context, count, w, penalty, g); });
  });
}

template <class T>
Ref<T> Compiler<T>::whole_slot(Slot slot, double initial) {
  if (program_.options_.describe) return {};
  program_.parameter_cells_.push_back(parameters_.slot(slot, initial).raw());
  return {&program_.parameter_cells_.back()};
}

// Before the first part: all parts add to what is there.
template <class T>
void Compiler<T>::emit_begin() {
  if (program_.options_.accumulate == 1) return;
  emit(Phase::begin, "optimizer", {},
       [=, g = whole_slot(Slot::gradient), count = parameters_.trainable_elements(),
        kernel = table_.elementwise.fill](Context& context, int64_t) { kernel(context, count, 0.0, g); });
}

template <class T>
void Compiler<T>::emit_clipping(Ref<T> g) {
  const OptimizerSpec& optimizer = *program_.options_.optimizer;
  const int64_t elements = parameters_.trainable_elements();
  if (optimizer.clip_value) {
    emit(Phase::update, "optimizer", {},
         [=, bound = *optimizer.clip_value, kernel = table_.optimizer.clip](Context& context, int64_t) {
           kernel(context, elements, bound, g);
         });
  }
  if (optimizer.clip_norm) {
    emit(Phase::update, "optimizer", {},
         [=, clip = *optimizer.clip_norm, state = program_.state_, norm = table_.optimizer.squared_norm,
          kernel = table_.optimizer.clip_scale](Context& context, int64_t) {
           norm(context, elements, g, Policy::assign, &state->squared_norm);
           kernel(context, &state->squared_norm, clip, &state->gradient_scale);
         });
  }
}

// body(values, place in the other slots, elements, factor on the learning rate)
template <class T>
template <class F>
void Compiler<T>::for_trainable_runs(const F& body) {
  std::vector<double> factors;
  for (const ParameterSpec& spec : program_.options_.parameters) factors.push_back(spec.rate_factor);
  for (const ParameterRun& run : parameters_.trainable_runs(factors)) {
    if (run.elements > 0) body(static_cast<T*>(run.values), run.offset, run.elements, run.kind);
  }
}

// kernel(context, elements, place in the other slots, p, rule) for all parameters
template <class T>
template <class Rule, class F>
void Compiler<T>::emit_rule(Rule rule, const F& kernel) {
  const OptimizerSpec& optimizer = *program_.options_.optimizer;
  StepState* const state = program_.state_;
  rule.learning_rate.at = &state->learning_rate;
  rule.weight_decay = optimizer.weight_decay;
  if (optimizer.clip_norm) rule.gradient_scale.at = &state->gradient_scale;
  rule.guard = state;
  for_trainable_runs([&](T* p, int64_t at, int64_t count, double factor) {
    rule.rate_factor = factor;
    emit(Phase::update, "optimizer", {},
         [=](Context& context, int64_t) { kernel(context, count, at, p, rule); });
  });
}

template <class T>
void Compiler<T>::emit_kept_update() {
  const OptimizerSpec& optimizer = *program_.options_.optimizer;
  const Ref<T> g = whole_slot(Slot::gradient);
  program_.keeps_gradients_ = true;
  emit_clipping(g);
  const auto& kernels = table_.optimizer;
  const auto moved = [](Ref<T> slot, int64_t at) { return slot == nullptr ? nullptr : slot + at; };
  const bool has_velocity = optimizer.momentum != 0.0;
  switch (optimizer.kind) {
    case OptimizerKind::sgd: {
      const Ref<T> velocity = has_velocity ? whole_slot(Slot::state0) : Ref<T>{};
      emit_rule(sgd_rule(), [=, kernel = kernels.sgd](Context& context, int64_t n, int64_t at, T* p,
                                                      const SgdRule& rule) {
        kernel(context, n, p, g + at, moved(velocity, at), rule);
      });
      break;
    }
    case OptimizerKind::adam: {
      AdamRule adam;
      adam.beta1 = optimizer.beta1;
      adam.beta2 = optimizer.beta2;
      adam.epsilon = optimizer.epsilon;
      adam.decoupled = optimizer.decoupled;
      adam.step.at = &program_.state_->step;
      const Ref<T> m = whole_slot(Slot::state0), v = whole_slot(Slot::state1);
      emit_rule(adam, [=, kernel = kernels.adam](Context& context, int64_t n, int64_t at, T* p,
                                                 const AdamRule& rule) {
        kernel(context, n, p, g + at, m + at, v + at, rule);
      });
      break;
    }
    case OptimizerKind::rmsprop: {
      RmspropRule rmsprop;
      rmsprop.rho = optimizer.rho;
      rmsprop.momentum = optimizer.momentum;
      rmsprop.epsilon = optimizer.epsilon;
      const Ref<T> square = whole_slot(Slot::state0);
      const Ref<T> velocity = has_velocity ? whole_slot(Slot::state1) : Ref<T>{};
      const Ref<T> mean = optimizer.centered ? whole_slot(Slot::state2) : Ref<T>{};
      emit_rule(rmsprop, [=, kernel = kernels.rmsprop](Context& context, int64_t n, int64_t at, T* p,
                                                       const RmspropRule& rule) {
        kernel(context, n, p, g + at, square + at, moved(mean, at), moved(velocity, at), rule);
      });
      break;
    }
    case OptimizerKind::adagrad: {
      AdagradRule adagrad;
      adagrad.epsilon = optimizer.epsilon;
      const Ref<T> sum = whole_slot(Slot::state0, optimizer.initial_accumulator_value);
      emit_rule(adagrad, [=, kernel = kernels.adagrad](Context& context, int64_t n, int64_t at, T* p,
                                                       const AdagradRule& rule) {
        kernel(context, n, p, g + at, sum + at, rule);
      });
      break;
    }
    case OptimizerKind::lion: {
      LionRule lion;
      lion.beta1 = optimizer.beta1;
      lion.beta2 = optimizer.beta2;
      const Ref<T> m = whole_slot(Slot::state0);
      emit_rule(lion, [=, kernel = kernels.lion](Context& context, int64_t n, int64_t at, T* p,
                                                 const LionRule& rule) {
        kernel(context, n, p, g + at, m + at, rule);
      });
      break;
    }
  }
  if (optimizer.ema != 0.0) emit_averages();
}

template <class T>
void Compiler<T>::emit_averages() {
  StepState* const state = program_.state_;
  const AverageRule rule{program_.options_.optimizer->ema, {0, &state->step}, state};
  const Ref<T> average = whole_slot(Slot::average);
  for_trainable_runs([&](T* p, int64_t at, int64_t count, double) {
    emit(Phase::update, "optimizer", {}, [=, kernel = table_.optimizer.average](Context& context, int64_t) {
      kernel(context, count, p, average + at, rule);
    });
  });
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
