// RMSprop, Adagrad and Lion.
#pragma once

#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/sgd.h"
#include "cpu/vmath.h"

namespace nnx::cpu::NNX_ISA {

inline constexpr int64_t kGrain = 8192;

// body(i, lanes, p, gradient): the parameters and the gradient that the rule goes by, a vector at a time.
template <class T, class F>
NNX_INLINE void for_gradients(Context& context, int64_t n, const T* p, const T* g, const UpdateRule& rule,
                              double coupled_decay, const F& body) {
  const T scale = static_cast<T>(value_of(rule.gradient_scale)), decay = static_cast<T>(coupled_decay);
  for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
      const Vec<T> parameter = load_some(p + i, lanes);
      body(i, lanes, parameter, load_some(g + i, lanes) * scale + parameter * decay);
    });
  });
}

template <class T>
static void rmsprop(Context& context, int64_t n, T* p, const T* g, T* square, T* mean, T* velocity,
                    const RmspropRule& rule) {
  if (held_back(rule.guard)) return;
  const T rate = static_cast<T>(rate_of(rule)), momentum = static_cast<T>(rule.momentum);
  const T rho = static_cast<T>(rule.rho), rest = static_cast<T>(1.0 - rule.rho);
  const T epsilon = static_cast<T>(rule.epsilon);
  for_gradients(context, n, p, g, rule, rule.weight_decay,
                [&](int64_t i, int64_t lanes, Vec<T> parameter, Vec<T> gradient) {
                  Vec<T> spread = load_some(square + i, lanes) * rho + gradient * gradient * rest;
                  store_some(square + i, spread, lanes);
                  if (mean != nullptr) {
                    const Vec<T> m = load_some(mean + i, lanes) * rho + gradient * rest;
                    store_some(mean + i, m, lanes);
                    const Vec<T> variance = spread - m * m;
                    spread = select<T>(variance < 0, Vec<T>{}, variance);
                  }
                  Vec<T> step = gradient * rate / square_root(spread + epsilon);
                  if (velocity != nullptr) {
                    step = load_some(velocity + i, lanes) * momentum + step;
                    store_some(velocity + i, step, lanes);
                  }
                  store_some(p + i, parameter - step, lanes);
                });
}

template <class T>
static void adagrad(Context& context, int64_t n, T* p, const T* g, T* sum, const AdagradRule& rule) {
  if (held_back(rule.guard)) return;
  const T rate = static_cast<T>(rate_of(rule)), epsilon = static_cast<T>(rule.epsilon);
  for_gradients(context, n, p, g, rule, rule.weight_decay,
                [&](int64_t i, int64_t lanes, Vec<T> parameter, Vec<T> gradient) {
                  const Vec<T> squares = load_some(sum + i, lanes) + gradient * gradient;
                  store_some(sum + i, squares, lanes);
                  store_some(p + i, parameter - gradient * rate / square_root(squares + epsilon), lanes);
                });
}

// 1, -1, 0; of NaN NaN.
template <class T>
NNX_INLINE Vec<T> sign_of(Vec<T> v) {
  return select<T>(v > 0, broadcast<T>(1), select<T>(v < 0, broadcast<T>(-1), v));
}

template <class T>
static void lion(Context& context, int64_t n, T* p, const T* g, T* m, const LionRule& rule) {
  if (held_back(rule.guard)) return;
  const double learning_rate = rate_of(rule);
  const T rate = static_cast<T>(learning_rate), decay = static_cast<T>(learning_rate * rule.weight_decay);
  const T beta1 = static_cast<T>(rule.beta1), rest1 = static_cast<T>(1.0 - rule.beta1);
  const T beta2 = static_cast<T>(rule.beta2), rest2 = static_cast<T>(1.0 - rule.beta2);
  for_gradients(context, n, p, g, rule, 0.0,
                [&](int64_t i, int64_t lanes, Vec<T> parameter, Vec<T> gradient) {
                  const Vec<T> before = load_some(m + i, lanes);
                  const Vec<T> step = sign_of<T>(before * beta1 + gradient * rest1);
                  store_some(m + i, before * beta2 + gradient * rest2, lanes);
                  store_some(p + i, parameter - parameter * decay - step * rate, lanes);
                });
}

}  // namespace nnx::cpu::NNX_ISA
