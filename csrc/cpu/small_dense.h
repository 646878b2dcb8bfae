// Dense layers too small for tiles: a few hundred multiplications, where every nanosecond of set-up shows.
#pragma once

#include "cpu/fill.h"
#include "cpu/sgd.h"
#include "cpu/simd_reduce.h"
#include "kernels/dense.h"

namespace nnx::cpu::NNX_ISA {

NNX_INLINE bool is_small(const DenseShape& s) {
  return s.rows * s.in <= 2048 && s.rows * s.in * s.out <= 2048;
}

template <class T>
void small_forward(const DenseShape& s, const T* x, const T* w, const T* b, Activation activation, T* y) {
  for (int64_t r = 0; r < s.rows; ++r) {
    const T* const row = x + r * s.in;
    for_vectors<T>(0, s.out, [&](int64_t j, int64_t n) {
      Vec<T> sum = b != nullptr ? load_some(b + j, n) : Vec<T>{};
      for (int64_t k = 0; k < s.in; ++k) sum += row[k] * load_some(w + k * s.out + j, n);
      store_some(y + r * s.out + j, sum, n);
    });
  }
  if (activation.kind == ActivationKind::identity) return;
  kernels::ActivationKernels<T> kernel;
  fill(kernel);
  Context alone;
  kernel.forward(alone, s.rows * s.out, y, activation, y);
}

template <class T>
void small_backward_input(const DenseShape& s, const T* dy, const T* w, ActivationGradient<T> gradient,
                          Policy policy, T* dx) {
  for (int64_t r = 0; r < s.rows; ++r) {
    const T* const row = dy + r * s.out;
    for (int64_t k = 0; k < s.in; ++k) {
      Vec<T> sum{};
      for_vectors<T>(0, s.out, [&](int64_t j, int64_t n) {
        sum += load_some(row + j, n) * load_some(w + k * s.out + j, n);
      });
      T& to = dx[r * s.in + k];
      to = policy == Policy::assign ? sum_of<T>(sum) : to + sum_of<T>(sum);
    }
  }
  if (gradient.saved == nullptr) return;
  kernels::ActivationKernels<T> kernel;
  fill(kernel);
  Context alone;
  kernel.backward(alone, s.rows * s.in, dx, gradient.saved, gradient.activation, Policy::assign, dx);
}

template <class T>
void small_backward_weights(const DenseShape& s, const T* x, const T* dy, Policy policy, T* dw, T* db) {
  const bool add = policy == Policy::accumulate;
  for_vectors<T>(0, s.out, [&](int64_t j, int64_t n) {
    for (int64_t k = 0; k < s.in; ++k) {
      Vec<T> sum = add ? load_some(dw + k * s.out + j, n) : Vec<T>{};
      for (int64_t r = 0; r < s.rows; ++r) sum += x[r * s.in + k] * load_some(dy + r * s.out + j, n);
      store_some(dw + k * s.out + j, sum, n);
    }
    if (db == nullptr) return;
    Vec<T> sum = add ? load_some(db + j, n) : Vec<T>{};
    for (int64_t r = 0; r < s.rows; ++r) sum += load_some(dy + r * s.out + j, n);
    store_some(db + j, sum, n);
  });
}

template <class T, SgdKind kind>
void small_update(const DenseShape& s, const T* x, const T* dy, const Sgd<T>& rule, SgdTarget<T> w,
                  SgdTarget<T> b) {
  for_vectors<T>(0, s.out, [&](int64_t j, int64_t n) {
    for (int64_t k = 0; k < s.in; ++k) {
      Vec<T> sum{};
      for (int64_t r = 0; r < s.rows; ++r) sum += x[r * s.in + k] * load_some(dy + r * s.out + j, n);
      sgd_step<T, kind>(rule, sum, w.p + k * s.out + j, w.velocity + k * s.out + j, n);
    }
    if (b.p == nullptr) return;
    Vec<T> sum{};
    for (int64_t r = 0; r < s.rows; ++r) sum += load_some(dy + r * s.out + j, n);
    sgd_step<T, kind>(rule, sum, b.p + j, b.velocity + j, n);
  });
}

}  // namespace nnx::cpu::NNX_ISA
