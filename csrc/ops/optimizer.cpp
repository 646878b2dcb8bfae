#include "ops/optimizer.h"

#include "ops/checks.h"

namespace nnx::ops {
namespace {

// One array the update writes; it may share memory with no other.
struct State {
  const char* name;
  const Tensor& tensor;
};

void check_update(const char* where, const Tensor& p, const Tensor& g, std::initializer_list<State> states) {
  expect_float(where, "p", p);
  expect_writable(where, "p", p);
  expect_like(where, "g", g, p);
  expect_shape(where, "g", g.shape(), p.shape());
  expect_disjoint(where, "g", g, p);
  for (const State& state : states) {
    expect_like(where, state.name, state.tensor, p);
    expect_shape(where, state.name, state.tensor.shape(), p.shape());
    expect_writable(where, state.name, state.tensor);
    expect_disjoint(where, state.name, state.tensor, p);
    expect_disjoint(where, state.name, state.tensor, g);
  }
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

void sgd_update(const Tensor& p, const Tensor& g, const Tensor& velocity, const SgdRule& rule) {
  const char* where = "sgd_update";
  if (velocity.defined()) {
    check_update(where, p, g, {{"velocity", velocity}});
  } else {
    check_update(where, p, g, {});
    if (rule.momentum != 0.0) bad_value(where, "velocity", "an array, as there is momentum", "None");
  }
  check_rule(where, rule);
  Device& device = device_of(p.device());
  dispatch(p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().optimizer;
    run(device, 4.0 * static_cast<double>(p.elements()), 0, [&](Context& context) {
      kernels.sgd(context, p.elements(), p.data<T>(), g.data<T>(), velocity.data<T>(), rule);
    });
  });
}

void adam_update(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const AdamRule& rule) {
  const char* where = "adam_update";
  check_update(where, p, g, {{"m", m}, {"v", v}});
  expect_disjoint(where, "v", v, m);
  check_rule(where, rule);
  Device& device = device_of(p.device());
  dispatch(p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().optimizer;
    run(device, 16.0 * static_cast<double>(p.elements()), 0, [&](Context& context) {
      kernels.adam(context, p.elements(), p.data<T>(), g.data<T>(), m.data<T>(), v.data<T>(), rule);
    });
  });
}

}  // namespace nnx::ops
