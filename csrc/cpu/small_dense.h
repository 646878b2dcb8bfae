// Dense layers too small for tiles: a few hundred multiplications, where every nanosecond of set-up shows.
#pragma once

#include "cpu/fill.h"
#include "cpu/sgd.h"
#include "cpu/simd_reduce.h"
#include "kernels/dense.h"

namespace nnx::cpu::NNX_ISA {

inline constexpr int64_t kSmallWork = 2048;

NNX_INLINE bool is_small(const DenseShape& s) {
  return s.rows * s.in <= kSmallWork && s.rows * s.in * s.out <= kSmallWork;
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

// The gradient in between, since whole vectors of w can be updated then, however narrow its rows are.
template <class T, SgdKind kind>
void small_update(const DenseShape& s, const T* x, const T* dy, const Sgd<T>& rule, SgdTarget<T> w,
                  SgdTarget<T> b) {
  T dw[kSmallWork], db[kSmallWork];
  small_backward_weights(s, x, dy, Policy::assign, dw, b.p != nullptr ? db : nullptr);
  for_vectors<T>(0, s.in * s.out,
                 [&](int64_t i, int64_t n) { sgd_step<T, kind>(rule, load_some(dw + i, n), w, i, n); });
  for_vectors<T>(0, b.p != nullptr ? s.out : 0,
                 [&](int64_t j, int64_t n) { sgd_step<T, kind>(rule, load_some(db + j, n), b, j, n); });
}

}  // namespace nnx::cpu::NNX_ISA
