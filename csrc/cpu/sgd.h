// One step of gradient descent on a vector of parameters: what the update by itself and the one behind a
// weight gradient have in common, so that both give the same bits.
#pragma once

#include "cpu/put.h"
#include "cpu/simd.h"
#include "kernels/optimizer.h"

namespace nnx::cpu::NNX_ISA {

template <class T>
struct Sgd {
  T rate, scale, decay, momentum;
};

NNX_INLINE double rate_of(const UpdateRule& rule) { return value_of(rule.learning_rate) * rule.rate_factor; }

template <class T>
NNX_INLINE Sgd<T> sgd_of(const SgdRule& rule) {
  return {static_cast<T>(rate_of(rule)), static_cast<T>(value_of(rule.gradient_scale)),
          static_cast<T>(rule.weight_decay), static_cast<T>(rule.momentum)};
}

NNX_INLINE bool held_back(const StepState* guard) {
  if (guard == nullptr) return false;
  return guard->fault.found != 0 || (guard->watch != 0 && !__builtin_isfinite(guard->loss));
}

enum class SgdKind { plain, momentum, nesterov };

template <SgdKind kind>
struct SgdConstant {
  static constexpr SgdKind value = kind;
};

// body(SgdConstant) of the kind the rule asks for: one loop for each.
template <class F>
NNX_INLINE void with_sgd_kind(const SgdRule& rule, bool has_velocity, const F& body) {
  if (!has_velocity) {
    body(SgdConstant<SgdKind::plain>{});
  } else if (rule.nesterov) {
    body(SgdConstant<SgdKind::nesterov>{});
  } else {
    body(SgdConstant<SgdKind::momentum>{});
  }
}

template <class T>
NNX_INLINE SgdTarget<T> moved(const SgdTarget<T>& target, int64_t by) {
  return {target.p + by, target.velocity != nullptr ? target.velocity + by : nullptr};
}

// v, which no compiler may contract with what is done to it next: of two products that are added either could
// go into the fused operation, and here it must be the same one everywhere.
template <class T>
NNX_INLINE Vec<T> rounded(Vec<T> v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__x86_64__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

template <class T, SgdKind kind>
NNX_INLINE void sgd_step(const Sgd<T>& rule, Vec<T> gradient, const SgdTarget<T>& to, int64_t at,
                         int64_t lanes) {
  T* const p = to.p + at;
  const Vec<T> parameter = load_some(p, lanes);
  const Vec<T> step = rounded<T>((rounded<T>(gradient * rule.scale) + parameter * rule.decay) * rule.rate);
  if constexpr (kind == SgdKind::plain) {
    store_some(p, parameter - step, lanes);
  } else {
    T* const velocity = to.velocity + at;
    const Vec<T> v = load_some(velocity, lanes) * rule.momentum - step;
    store_some(velocity, v, lanes);
    store_some(p, parameter + (kind == SgdKind::nesterov ? v * rule.momentum - step : v), lanes);
  }
}

}  // namespace nnx::cpu::NNX_ISA
