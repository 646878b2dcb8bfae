#include "ops/optimizer.h"

#include <vector>

#include "ops/checks.h"

namespace nnx::ops {
namespace {

// One array the update writes; it may share memory with no other.
struct State {
  const char* name;
  const Tensor& tensor;
};

void check_update(const char* where, const Tensor& p, const Tensor& g, const std::vector<State>& states) {
  expect_float(where, "p", p);
  expect_writable(where, "p", p);
  expect_like(where, "g", g, p);
  expect_shape(where, "g", g.shape(), p.shape());
  expect_disjoint(where, "g", g, p);
  for (size_t i = 0; i < states.size(); ++i) {
    const auto& [name, tensor] = states[i];
    expect_like(where, name, tensor, p);
    expect_shape(where, name, tensor.shape(), p.shape());
    expect_writable(where, name, tensor);
    expect_disjoint(where, name, tensor, p);
    expect_disjoint(where, name, tensor, g);
    for (size_t before = 0; before < i; ++before) expect_disjoint(where, name, tensor, states[before].tensor);
  }
}

// `written` is changed with the help of `read`.
void check_pair(const char* where, const char* name, const Tensor& written, const char* other,
                const Tensor& read) {
  expect_float(where, name, written);
  expect_writable(where, name, written);
  expect_like(where, other, read, written);
  expect_shape(where, other, read.shape(), written.shape());
  expect_disjoint(where, other, read, written);
}

// body(kernels, context, n, T{}) on the device of p
template <class F>
void on_elements(const Tensor& p, double work, const F& body) {
  Device& device = device_of(p.device());
  dispatch(p.dtype(), [&](auto zero) {
    const auto& kernels = device.table<decltype(zero)>().optimizer;
    run(device, work * static_cast<double>(p.elements()), 0,
        [&](Context& context) { body(kernels, context, p.elements(), zero); });
  });
}

}  // namespace

void check_rule(const char* where, const SgdRule& rule) {
  expect_finite(where, "learning_rate", rule.learning_rate.value);
  expect_not_negative(where, "momentum", rule.momentum);
  expect_not_negative(where, "weight_decay", rule.weight_decay);
}

void check_rule(const char* where, const AdamRule& rule) {
  expect_finite(where, "learning_rate", rule.learning_rate.value);
  expect_rate(where, "beta1", rule.beta1);
  expect_rate(where, "beta2", rule.beta2);
  expect_positive(where, "epsilon", rule.epsilon);
  expect_not_negative(where, "weight_decay", rule.weight_decay);
}

void check_rule(const char* where, const RmspropRule& rule) {
  expect_finite(where, "learning_rate", rule.learning_rate.value);
  expect_rate(where, "rho", rule.rho);
  expect_not_negative(where, "momentum", rule.momentum);
  expect_positive(where, "epsilon", rule.epsilon);
  expect_not_negative(where, "weight_decay", rule.weight_decay);
}

void check_rule(const char* where, const AdagradRule& rule) {
  expect_finite(where, "learning_rate", rule.learning_rate.value);
  expect_positive(where, "epsilon", rule.epsilon);
  expect_not_negative(where, "weight_decay", rule.weight_decay);
}

void check_rule(const char* where, const LionRule& rule) {
  expect_finite(where, "learning_rate", rule.learning_rate.value);
  expect_rate(where, "beta1", rule.beta1);
  expect_rate(where, "beta2", rule.beta2);
  expect_not_negative(where, "weight_decay", rule.weight_decay);
}

void sgd_update(const Tensor& p, const Tensor& g, const Tensor& velocity, const SgdRule& rule) {
  const char* where = "sgd_update";
  std::vector<State> states;
  if (velocity.defined()) states.push_back({"velocity", velocity});
  check_update(where, p, g, states);
  if (!velocity.defined() && rule.momentum != 0.0) {
    bad_value(where, "velocity", "an array, as there is momentum", "None");
  }
  check_rule(where, rule);
  on_elements(p, 4.0, [&](const auto& kernels, Context& context, int64_t n, auto zero) {
    using T = decltype(zero);
    kernels.sgd(context, n, p.data<T>(), g.data<T>(), velocity.data<T>(), rule);
  });
}

void adam_update(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const AdamRule& rule) {
  const char* where = "adam_update";
  check_update(where, p, g, {{"m", m}, {"v", v}});
  check_rule(where, rule);
  on_elements(p, 16.0, [&](const auto& kernels, Context& context, int64_t n, auto zero) {
    using T = decltype(zero);
    kernels.adam(context, n, p.data<T>(), g.data<T>(), m.data<T>(), v.data<T>(), rule);
  });
}

void rmsprop_update(const Tensor& p, const Tensor& g, const Tensor& square, const Tensor& mean,
                    const Tensor& velocity, const RmspropRule& rule) {
  const char* where = "rmsprop_update";
  std::vector<State> states = {{"square", square}};
  if (mean.defined()) states.push_back({"mean", mean});
  if (velocity.defined()) states.push_back({"velocity", velocity});
  check_update(where, p, g, states);
  if (!velocity.defined() && rule.momentum != 0.0) {
    bad_value(where, "velocity", "an array, as there is momentum", "None");
  }
  check_rule(where, rule);
  on_elements(p, 16.0, [&](const auto& kernels, Context& context, int64_t n, auto zero) {
    using T = decltype(zero);
    kernels.rmsprop(context, n, p.data<T>(), g.data<T>(), square.data<T>(), mean.data<T>(),
                    velocity.data<T>(), rule);
  });
}

void adagrad_update(const Tensor& p, const Tensor& g, const Tensor& sum, const AdagradRule& rule) {
  check_update("adagrad_update", p, g, {{"sum", sum}});
  check_rule("adagrad_update", rule);
  on_elements(p, 12.0, [&](const auto& kernels, Context& context, int64_t n, auto zero) {
    using T = decltype(zero);
    kernels.adagrad(context, n, p.data<T>(), g.data<T>(), sum.data<T>(), rule);
  });
}

void lion_update(const Tensor& p, const Tensor& g, const Tensor& m, const LionRule& rule) {
  check_update("lion_update", p, g, {{"m", m}});
  check_rule("lion_update", rule);
  on_elements(p, 8.0, [&](const auto& kernels, Context& context, int64_t n, auto zero) {
    using T = decltype(zero);
    kernels.lion(context, n, p.data<T>(), g.data<T>(), m.data<T>(), rule);
  });
}

void average_update(const Tensor& average, const Tensor& p, const AverageRule& rule) {
  check_pair("average_update", "average", average, "p", p);
  expect_unit("average_update", "momentum", rule.momentum);
  on_elements(p, 3.0, [&](const auto& kernels, Context& context, int64_t n, auto zero) {
    using T = decltype(zero);
    kernels.average(context, n, p.data<T>(), average.data<T>(), rule);
  });
}

void clip_gradient(const Tensor& g, double bound) {
  expect_float("clip_gradient", "g", g);
  expect_writable("clip_gradient", "g", g);
  expect_positive("clip_gradient", "clip_value", bound);
  on_elements(g, 2.0, [&](const auto& kernels, Context& context, int64_t n, auto zero) {
    kernels.clip(context, n, bound, g.data<decltype(zero)>());
  });
}

double penalty(const Tensor& w, const Penalty& rule, const Tensor& g) {
  const char* where = "penalty";
  if (g.defined()) {
    check_pair(where, "g", g, "w", w);
  } else {
    expect_float(where, "w", w);
  }
  expect_not_negative(where, "l1", rule.l1);
  expect_not_negative(where, "l2", rule.l2);
  const Tensor sum = Tensor::zeros({1}, DType::float64, w.device());
  on_elements(w, 8.0, [&](const auto& kernels, Context& context, int64_t n, auto zero) {
    using T = decltype(zero);
    kernels.penalty(context, n, w.data<T>(), rule, Policy::assign, sum.data<double>());
    if (g.defined()) kernels.penalty_gradient(context, n, w.data<T>(), rule, g.data<T>());
  });
  double result = 0.0;
  device_of(w.device()).copy_to_host(&result, sum.raw(), sizeof result);
  return result;
}

}  // namespace nnx::ops
