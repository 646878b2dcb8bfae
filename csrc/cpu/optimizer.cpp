#include "cpu/fill.h"
#include "cpu/measures.h"
#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/rules.h"
#include "cpu/sgd.h"
#include "cpu/vmath.h"
#include "cpu/wide.h"

namespace nnx::cpu::NNX_ISA {

template <class T>
static void sgd(Context& context, int64_t n, T* p, const T* g, T* velocity, const SgdRule& rule) {
  if (held_back(rule.guard)) return;
  const Sgd<T> numbers = sgd_of<T>(rule);
  const SgdTarget<T> to{p, velocity};
  with_sgd_kind(rule, velocity != nullptr, [&](auto kind) {
    for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
      for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
        sgd_step<T, kind.value>(numbers, load_some(g + i, lanes), to, i, lanes);
      });
    });
  });
}

template <class T>
static void adam(Context& context, int64_t n, T* p, const T* g, T* m, T* v, const AdamRule& rule) {
  if (held_back(rule.guard)) return;
  const double t = static_cast<double>(value_of(rule.step) + 1);
  const double learning_rate = rate_of(rule);
  const T rate = static_cast<T>(learning_rate / (1.0 - __builtin_pow(rule.beta1, t)));
  const T correction = static_cast<T>(1.0 / __builtin_sqrt(1.0 - __builtin_pow(rule.beta2, t)));
  const T beta1 = static_cast<T>(rule.beta1), rest1 = static_cast<T>(1.0 - rule.beta1);
  const T beta2 = static_cast<T>(rule.beta2), rest2 = static_cast<T>(1.0 - rule.beta2);
  const T epsilon = static_cast<T>(rule.epsilon);
  const T scale = static_cast<T>(value_of(rule.gradient_scale));
  const T coupled = static_cast<T>(rule.decoupled ? 0.0 : rule.weight_decay);
  const T decoupled = static_cast<T>(rule.decoupled ? learning_rate * rule.weight_decay : 0.0);
  for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
      const Vec<T> parameter = load_some(p + i, lanes);
      const Vec<T> gradient = load_some(g + i, lanes) * scale + parameter * coupled;
      const Vec<T> first = load_some(m + i, lanes) * beta1 + gradient * rest1;
      const Vec<T> second = load_some(v + i, lanes) * beta2 + gradient * gradient * rest2;
      store_some(m + i, first, lanes);
      store_some(v + i, second, lanes);
      const Vec<T> step = first * rate / (square_root(second) * correction + epsilon);
      store_some(p + i, parameter - parameter * decoupled - step, lanes);
    });
  });
}

template <class T>
static void average(Context& context, int64_t n, const T* p, T* to, const AverageRule& rule) {
  if (held_back(rule.guard)) return;
  const double kept = value_of(rule.step) == 0 ? 0.0 : rule.momentum;
  const T momentum = static_cast<T>(kept), rest = static_cast<T>(1.0 - kept);
  for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
      store_some(to + i, load_some(to + i, lanes) * momentum + load_some(p + i, lanes) * rest, lanes);
    });
  });
}

template <class T>
static void clip(Context& context, int64_t n, double bound, T* g) {
  const Vec<T> high = broadcast(static_cast<T>(bound)), low = -high;
  for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
      const Vec<T> v = load_some(g + i, lanes);
      store_some(g + i, select<T>(v > high, high, select<T>(v < low, low, v)), lanes);
    });
  });
}

template <class T>
static void penalty(Context& context, int64_t n, const T* w, const Penalty& rule, Policy policy,
                    double* sum) {
  const double total = sum_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    Wide<T> sizes = wide_zero<T>(), squares = wide_zero<T>();
    for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
      const Vec<T> v = load_some(w + i, lanes);
      const Wide<T> wide = widen<T>(v);
      add_to(sizes, widen<T>(absolute<T>(v)));
      add_product_to(squares, wide, wide);
    });
    return rule.l1 * sum_of_wide(sizes) + rule.l2 * sum_of_wide(squares);
  });
  put(sum, total, policy);
}

template <class T>
static void penalty_gradient(Context& context, int64_t n, const T* w, const Penalty& rule, T* g) {
  const T l1 = static_cast<T>(rule.l1), twice = static_cast<T>(2.0 * rule.l2);
  for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
      const Vec<T> v = load_some(w + i, lanes);
      store_some(g + i, load_some(g + i, lanes) + (sign_of<T>(v) * l1 + v * twice), lanes);
    });
  });
}

template <class T>
static void squared_norm(Context& context, int64_t n, const T* g, Policy policy, double* sum) {
  const double squares = sum_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    Wide<T> sums = wide_zero<T>();
    for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
      const Wide<T> v = widen<T>(load_some(g + i, lanes));
      add_product_to(sums, v, v);
    });
    return sum_of_wide(sums);
  });
  put(sum, squares, policy);
}

template <class T>
static void clip_scale(Context&, const double* sum, double clip_norm, double* scale) {
  const double norm = __builtin_sqrt(*sum);
  *scale = norm > clip_norm && __builtin_isfinite(norm) ? clip_norm / norm : 1.0;
}

template <class T>
static void end_step(Context&, int64_t rows, const double* rates, int64_t count, StepState* state) {
  if (state->halted != 0 || held_back(state)) {
    state->halted = 1;
    return;
  }
  state->loss_sum += state->loss * static_cast<double>(rows);
  state->start += rows;
  ++state->step;
  ++state->done;
  if (rates != nullptr) state->learning_rate = rates[min_of(state->done, count - 1)];
}

template <class T>
static void end_part(Context&, int64_t rows, bool last, StepState* state) {
  state->loss_of_parts += state->loss;
  state->row += rows;
  state->start += rows;
  if (!last) return;
  state->loss = state->loss_of_parts;
  state->start -= state->row;
  state->loss_of_parts = 0.0;
  state->row = 0;
}

template <class T>
void fill(kernels::OptimizerKernels<T>& table) {
  table.sgd = sgd<T>;
  table.adam = adam<T>;
  table.rmsprop = rmsprop<T>;
  table.adagrad = adagrad<T>;
  table.lion = lion<T>;
  table.average = average<T>;
  table.clip = clip<T>;
  table.penalty = penalty<T>;
  table.penalty_gradient = penalty_gradient<T>;
  table.squared_norm = squared_norm<T>;
  table.clip_scale = clip_scale<T>;
  table.keep = keep<T>;
  table.measure = measure<T>;
  table.end_step = end_step<T>;
  table.end_part = end_part<T>;
}

template void fill(kernels::OptimizerKernels<float>&);
template void fill(kernels::OptimizerKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
