// RMSprop, Adagrad and Lion; what is done to gradients before an update, and to averages after it.
#pragma once

#include "kernels/optimizer.h"
#include "vector.cuh"

namespace nnx::cuda {

__device__ __forceinline__ bool held_back(const StepState* guard) {
  if (guard == nullptr) return false;
  return guard->fault.found != 0 || (guard->watch != 0 && !is_finite(guard->loss));
}

__device__ __forceinline__ double rate_of(const UpdateRule& rule) {
  return value_of(rule.learning_rate) * rule.rate_factor;
}

// Four elements at a time of the arrays that an update reads and writes; a null array is left out.
template <class T, int N, class F>
__device__ __forceinline__ void for_fours(int64_t n, bool whole, T* const (&arrays)[N], const T* read,
                                          const F& change) {
  for (int64_t i = 4 * thread_of_grid(); i < n; i += 4 * threads_of_grid()) {
    const Pack<T, 4> given = load_four(read + i, n - i, whole);
    Pack<T, 4> packs[N];
#pragma unroll
    for (int a = 0; a < N; ++a)
      packs[a] = arrays[a] != nullptr ? load_four(arrays[a] + i, n - i, whole) : Pack<T, 4>{};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      T values[N];
#pragma unroll
      for (int a = 0; a < N; ++a) values[a] = packs[a].at[k];
      change(given.at[k], values);
#pragma unroll
      for (int a = 0; a < N; ++a) packs[a].at[k] = values[a];
    }
#pragma unroll
    for (int a = 0; a < N; ++a) {
      if (arrays[a] != nullptr) put_four(arrays[a] + i, packs[a], n - i, whole);
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) rmsprop_kernel(int64_t n, bool whole, T* p, const T* g, T* square,
                                                           T* mean, T* velocity, RmspropRule rule) {
  begin_kernel();
  if (held_back(rule.guard)) return;
  const T rate = static_cast<T>(rate_of(rule)), scale = static_cast<T>(value_of(rule.gradient_scale));
  const T decay = static_cast<T>(rule.weight_decay), momentum = static_cast<T>(rule.momentum);
  const T rho = static_cast<T>(rule.rho), rest = static_cast<T>(1.0 - rule.rho);
  const T epsilon = static_cast<T>(rule.epsilon);
  T* const arrays[4] = {p, square, mean, velocity};
  for_fours(n, whole, arrays, g, [&](T given, T(&at)[4]) {
    const T gradient = given * scale + at[0] * decay;
    at[1] = at[1] * rho + gradient * gradient * rest;
    T spread = at[1];
    if (mean != nullptr) {
      at[2] = at[2] * rho + gradient * rest;
      spread -= at[2] * at[2];
      if (spread < T(0)) spread = T(0);
    }
    at[3] = at[3] * momentum + gradient * rate / sqrt(spread + epsilon);
    at[0] -= at[3];
  });
}

template <class T>
static void rmsprop(Context& context, int64_t n, T* p, const T* g, T* square, T* mean, T* velocity,
                    const RmspropRule& rule) {
  launch(context, "rmsprop", rmsprop_kernel<T>, dim3(blocks_for(n, 4 * kThreads)), dim3(kThreads), 0, n,
         aligned(p, g, square, mean, velocity), p, g, square, mean, velocity, rule);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    adagrad_kernel(int64_t n, bool whole, T* p, const T* g, T* sum, AdagradRule rule) {
  begin_kernel();
  if (held_back(rule.guard)) return;
  const T rate = static_cast<T>(rate_of(rule)), scale = static_cast<T>(value_of(rule.gradient_scale));
  const T decay = static_cast<T>(rule.weight_decay), epsilon = static_cast<T>(rule.epsilon);
  T* const arrays[2] = {p, sum};
  for_fours(n, whole, arrays, g, [&](T given, T(&at)[2]) {
    const T gradient = given * scale + at[0] * decay;
    at[1] += gradient * gradient;
    at[0] -= gradient * rate / sqrt(at[1] + epsilon);
  });
}

template <class T>
static void adagrad(Context& context, int64_t n, T* p, const T* g, T* sum, const AdagradRule& rule) {
  launch(context, "adagrad", adagrad_kernel<T>, dim3(blocks_for(n, 4 * kThreads)), dim3(kThreads), 0, n,
         aligned(p, g, sum), p, g, sum, rule);
}

// 1, -1, 0; of NaN NaN.
template <class T>
__device__ __forceinline__ T sign_of(T v) {
  return v > T(0) ? T(1) : v < T(0) ? T(-1) : v;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    lion_kernel(int64_t n, bool whole, T* p, const T* g, T* m, LionRule rule) {
  begin_kernel();
  if (held_back(rule.guard)) return;
  const double learning_rate = rate_of(rule);
  const T rate = static_cast<T>(learning_rate), decay = static_cast<T>(learning_rate * rule.weight_decay);
  const T scale = static_cast<T>(value_of(rule.gradient_scale));
  const T beta1 = static_cast<T>(rule.beta1), rest1 = static_cast<T>(1.0 - rule.beta1);
  const T beta2 = static_cast<T>(rule.beta2), rest2 = static_cast<T>(1.0 - rule.beta2);
  T* const arrays[2] = {p, m};
  for_fours(n, whole, arrays, g, [&](T given, T(&at)[2]) {
    const T gradient = given * scale;
    const T step = sign_of(at[1] * beta1 + gradient * rest1);
    at[1] = at[1] * beta2 + gradient * rest2;
    at[0] = at[0] - at[0] * decay - step * rate;
  });
}

template <class T>
static void lion(Context& context, int64_t n, T* p, const T* g, T* m, const LionRule& rule) {
  launch(context, "lion", lion_kernel<T>, dim3(blocks_for(n, 4 * kThreads)), dim3(kThreads), 0, n,
         aligned(p, g, m), p, g, m, rule);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    average_kernel(int64_t n, bool whole, const T* p, T* average, AverageRule rule) {
  begin_kernel();
  if (held_back(rule.guard)) return;
  const double kept = value_of(rule.step) == 0 ? 0.0 : rule.momentum;
  const T momentum = static_cast<T>(kept), rest = static_cast<T>(1.0 - kept);
  T* const arrays[1] = {average};
  for_fours(n, whole, arrays, p, [&](T value, T(&at)[1]) { at[0] = at[0] * momentum + value * rest; });
}

template <class T>
static void average(Context& context, int64_t n, const T* p, T* average, const AverageRule& rule) {
  launch(context, "average", average_kernel<T>, dim3(blocks_for(n, 4 * kThreads)), dim3(kThreads), 0, n,
         aligned(p, average), p, average, rule);
}

template <class T>
__global__ void __launch_bounds__(kThreads) clip_kernel(int64_t n, bool whole, T bound, T* g) {
  begin_kernel();
  T* const arrays[1] = {g};
  for_fours(n, whole, arrays, static_cast<const T*>(g), [&](T, T(&at)[1]) {
    at[0] = at[0] > bound ? bound : at[0] < -bound ? -bound : at[0];
  });
}

template <class T>
static void clip(Context& context, int64_t n, double bound, T* g) {
  launch(context, "clip", clip_kernel<T>, dim3(blocks_for(n, 4 * kThreads)), dim3(kThreads), 0, n, aligned(g),
         static_cast<T>(bound), g);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    penalty_gradient_kernel(int64_t n, bool whole, const T* w, Penalty rule, T* g) {
  begin_kernel();
  const T l1 = static_cast<T>(rule.l1), twice = static_cast<T>(2.0 * rule.l2);
  T* const arrays[1] = {g};
  for_fours(n, whole, arrays, w, [&](T value, T(&at)[1]) { at[0] += sign_of(value) * l1 + value * twice; });
}

template <class T>
static void penalty_gradient(Context& context, int64_t n, const T* w, const Penalty& rule, T* g) {
  launch(context, "penalty_gradient", penalty_gradient_kernel<T>, dim3(blocks_for(n, 4 * kThreads)),
         dim3(kThreads), 0, n, aligned(w, g), w, rule, g);
}

}  // namespace nnx::cuda
