#include "measures.cuh"
#include "rules.cuh"
#include "table.h"

namespace nnx::cuda {

// Reads p, g and velocity once and writes p and velocity once, for parameters of any number.
template <class T>
__global__ void __launch_bounds__(kThreads)
    sgd_kernel(int64_t n, bool whole, T* p, const T* g, T* velocity, SgdRule rule) {
  begin_kernel();
  if (held_back(rule.guard)) return;
  const T rate = static_cast<T>(rate_of(rule));
  const T scale = static_cast<T>(value_of(rule.gradient_scale));
  const T decay = static_cast<T>(rule.weight_decay);
  const T momentum = static_cast<T>(rule.momentum);
  for (int64_t i = 4 * thread_of_grid(); i < n; i += 4 * threads_of_grid()) {
    Pack<T, 4> parameter = load_four(p + i, n - i, whole);
    const Pack<T, 4> gradient = load_four(g + i, n - i, whole);
    Pack<T, 4> v{};
    if (velocity != nullptr) v = load_four(velocity + i, n - i, whole);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const T step = (gradient.at[k] * scale + parameter.at[k] * decay) * rate;
      v.at[k] = v.at[k] * momentum - step;
      parameter.at[k] += velocity == nullptr ? -step : rule.nesterov ? v.at[k] * momentum - step : v.at[k];
    }
    if (velocity != nullptr) put_four(velocity + i, v, n - i, whole);
    put_four(p + i, parameter, n - i, whole);
  }
}

template <class T>
static void sgd(Context& context, int64_t n, T* p, const T* g, T* velocity, const SgdRule& rule) {
  launch(context, "sgd", sgd_kernel<T>, dim3(blocks_for(n, 4 * kThreads)), dim3(kThreads), 0, n,
         aligned(p, g, velocity), p, g, velocity, rule);
}

// What the powers of a step come to: a thread of each block finds them for all.
template <class T>
struct AdamStep {
  T rate, correction, decoupled;
  bool held;
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    adam_kernel(int64_t n, bool whole, T* p, const T* g, T* m, T* v, AdamRule rule) {
  begin_kernel();
  auto& now = shared_storage<AdamStep<T>>();
  if (threadIdx.x == 0) {
    const double t = static_cast<double>(value_of(rule.step) + 1);
    const double learning_rate = rate_of(rule);
    now.rate = static_cast<T>(learning_rate / (1.0 - pow(rule.beta1, t)));
    now.correction = static_cast<T>(1.0 / sqrt(1.0 - pow(rule.beta2, t)));
    now.decoupled = static_cast<T>(rule.decoupled ? learning_rate * rule.weight_decay : 0.0);
    now.held = held_back(rule.guard);
  }
  sync_block();
  if (now.held) return;
  const T rate = now.rate, correction = now.correction, decoupled = now.decoupled;
  const T beta1 = static_cast<T>(rule.beta1), rest1 = static_cast<T>(1.0 - rule.beta1);
  const T beta2 = static_cast<T>(rule.beta2), rest2 = static_cast<T>(1.0 - rule.beta2);
  const T epsilon = static_cast<T>(rule.epsilon);
  const T scale = static_cast<T>(value_of(rule.gradient_scale));
  const T coupled = static_cast<T>(rule.decoupled ? 0.0 : rule.weight_decay);
  for (int64_t i = 4 * thread_of_grid(); i < n; i += 4 * threads_of_grid()) {
    Pack<T, 4> parameter = load_four(p + i, n - i, whole);
    const Pack<T, 4> g4 = load_four(g + i, n - i, whole);
    Pack<T, 4> first = load_four(m + i, n - i, whole), second = load_four(v + i, n - i, whole);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const T at = parameter.at[k], gradient = g4.at[k] * scale + at * coupled;
      first.at[k] = first.at[k] * beta1 + gradient * rest1;
      second.at[k] = second.at[k] * beta2 + gradient * gradient * rest2;
      const T step = first.at[k] * rate / (sqrt(second.at[k]) * correction + epsilon);
      parameter.at[k] = at - at * decoupled - step;
    }
    put_four(m + i, first, n - i, whole);
    put_four(v + i, second, n - i, whole);
    put_four(p + i, parameter, n - i, whole);
  }
}

template <class T>
static void adam(Context& context, int64_t n, T* p, const T* g, T* m, T* v, const AdamRule& rule) {
  launch(context, "adam", adam_kernel<T>, dim3(blocks_for(n, 4 * kThreads, 1024)), dim3(kThreads),
         sizeof(AdamStep<T>), n, aligned(p, g, m, v), p, g, m, v, rule);
}

template <class T>
struct AddSquares {
  const T* g;
  bool whole;
  __device__ void operator()(int64_t i, int64_t count, double (&sums)[1]) const {
    const Pack<T, 4> four = load_four(g + i, count, whole);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const double value = static_cast<double>(four.at[k]);
      sums[0] += value * value;
    }
  }
};

template <class T>
static void squared_norm(Context& context, int64_t n, const T* g, Policy policy, double* to) {
  sum<1>(context, "squared_norm", n, AddSquares<T>{g, aligned(g)}, total_to(context, to, 1.0, policy));
}

template <class T>
struct AddPenalty {
  const T* w;
  bool whole;
  Penalty rule;
  __device__ void operator()(int64_t i, int64_t count, double (&sums)[1]) const {
    const Pack<T, 4> four = load_four(w + i, count, whole);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const double value = static_cast<double>(four.at[k]);
      sums[0] += rule.l1 * fabs(value) + rule.l2 * (value * value);
    }
  }
};

template <class T>
static void penalty(Context& context, int64_t n, const T* w, const Penalty& rule, Policy policy, double* to) {
  sum<1>(context, "penalty", n, AddPenalty<T>{w, aligned(w), rule}, total_to(context, to, 1.0, policy));
}

__global__ void clip_scale_kernel(const double* sum, double clip_norm, double* scale) {
  begin_kernel();
  const double norm = sqrt(*sum);
  *scale = norm > clip_norm && is_finite(norm) ? clip_norm / norm : 1.0;
}

static void clip_scale(Context& context, const double* sum, double clip_norm, double* scale) {
  launch(context, "clip_scale", clip_scale_kernel, dim3(1), dim3(1), 0, sum, clip_norm, scale);
}

__global__ void end_step_kernel(int64_t rows, const double* rates, int64_t count, StepState* state) {
  begin_kernel();
  if (state->halted != 0 || held_back(state)) {
    state->halted = 1;
    return;
  }
  state->loss_sum += state->loss * static_cast<double>(rows);
  state->start += rows;
  ++state->step;
  ++state->done;
  if (rates != nullptr) state->learning_rate = rates[min(state->done, count - 1)];
}

static void end_step(Context& context, int64_t rows, const double* rates, int64_t count, StepState* state) {
  launch(context, "end_step", end_step_kernel, dim3(1), dim3(1), 0, rows, rates, count, state);
}

__global__ void end_part_kernel(int64_t rows, bool last, StepState* state) {
  begin_kernel();
  state->loss_of_parts += state->loss;
  state->row += rows;
  state->start += rows;
  if (!last) return;
  state->loss = state->loss_of_parts;
  state->start -= state->row;
  state->loss_of_parts = 0.0;
  state->row = 0;
}

static void end_part(Context& context, int64_t rows, bool last, StepState* state) {
  launch(context, "end_part", end_part_kernel, dim3(1), dim3(1), 0, rows, last, state);
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
  table.clip_scale = clip_scale;
  table.keep = keep<T>;
  table.measure = measure<T>;
  table.end_step = end_step;
  table.end_part = end_part;
}

template void fill(kernels::OptimizerKernels<float>&);
template void fill(kernels::OptimizerKernels<double>&);

}  // namespace nnx::cuda
