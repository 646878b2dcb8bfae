#include "cpu/fill.h"
#include "cpu/measures.h"
#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/sgd.h"
#include "cpu/vmath.h"
#include "cpu/wide.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 8192;

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
  const double learning_rate = value_of(rule.learning_rate);
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
void fill(kernels::OptimizerKernels<T>& table) {
  table.sgd = sgd<T>;
  table.adam = adam<T>;
  table.squared_norm = squared_norm<T>;
  table.clip_scale = clip_scale<T>;
  table.keep = keep<T>;
  table.measure = measure<T>;
  table.end_step = end_step<T>;
}

template void fill(kernels::OptimizerKernels<float>&);
template void fill(kernels::OptimizerKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
