// Dense layers of a single row: every pass reads the weights once and computes next to nothing, so they are
// streamed in the order they lie in. Threads part the inputs, each pass alike: a run of w's rows stays in the
// cache of one thread. (Parting the columns, a few lines of each row, was measured to take twice as long as
// one thread alone.)
#pragma once

#include "cpu/fill.h"
#include "cpu/gemm/tiles.h"
#include "cpu/parallel.h"
#include "cpu/sgd.h"
#include "cpu/simd_reduce.h"
#include "kernels/dense.h"

namespace nnx::cpu::NNX_ISA {

// The runs of w's rows that are chunks, by shape alone: the forward pass adds up in them.
NNX_INLINE Tiling input_parts(const DenseShape& s) {
  constexpr int64_t elements = 12288, most = 16;
  return {s.in, max_of(1, min_of(min_of(most, s.in), s.in * s.out / elements))};
}

template <class T>
NNX_INLINE int64_t one_row_workspace(const DenseShape& s) {
  return input_parts(s).count * s.out;
}

// sums[j] += x[k] * w[k][j] for Rows of k
template <class T, int Rows>
NNX_INLINE void add_rows(const T* x, const T* w, int64_t stride, int64_t columns, T* sums) {
  Vec<T> factors[Rows];
#pragma GCC unroll 8
  for (int k = 0; k < Rows; ++k) factors[k] = broadcast(x[k]);
  for_vectors<T>(0, columns, [&](int64_t j, int64_t n) {
    Vec<T> sum = load(sums + j);
#pragma GCC unroll 8
    for (int k = 0; k < Rows; ++k) sum += factors[k] * load_some(w + k * stride + j, n);
    store(sums + j, sum);
  });
}

template <class T>
void one_row_forward(Context& context, const DenseShape& s, const T* x, const T* w, const T* b,
                     Activation activation, T* y) {
  const Tiling part = input_parts(s);
  T* const parts = part.count > 1 ? static_cast<T*>(context.workspace) : y;
  for_each(context, part.count, [&](int64_t i) {
    constexpr int rows = 8;
    constexpr int64_t most = 1024;  // columns at a time: their sums stay in the first cache level
    alignas(64) T sums[most];
    T* const to = parts + i * s.out;
    const int64_t begin = part.begin(i), end = part.begin(i + 1);
    for (int64_t first = 0; first < s.out; first += most) {
      const int64_t columns = min_of(most, s.out - first);
      for (int64_t j = 0; j < columns; j += kLanes<T>) store(sums + j, Vec<T>{});
      int64_t k = begin;
      for (; k + rows <= end; k += rows)
        add_rows<T, rows>(x + k, w + k * s.out + first, s.out, columns, sums);
      for (; k < end; ++k) add_rows<T, 1>(x + k, w + k * s.out + first, s.out, columns, sums);
      for_vectors<T>(0, columns,
                     [&](int64_t j, int64_t n) { store_some(to + first + j, load(sums + j), n); });
    }
  });
  for_vectors<T>(0, s.out, [&](int64_t j, int64_t n) {
    Vec<T> sum = load_some(parts + j, n);
    for (int64_t i = 1; i < part.count; ++i) sum += load_some(parts + i * s.out + j, n);
    if (b != nullptr) sum += load_some(b + j, n);
    store_some(y + j, sum, n);
  });
  if (activation.kind == ActivationKind::identity) return;
  kernels::ActivationKernels<T> kernel;
  fill(kernel);
  Context alone;
  kernel.forward(alone, s.out, y, activation, y);
}

// Inputs [begin, end) of dx, whose dot products are there, through the activation's gradient.
template <class T>
NNX_INLINE void finish_inputs(const DenseInput<T>& input, int64_t begin, int64_t end) {
  if (input.gradient.saved == nullptr) return;
  kernels::ActivationKernels<T> kernel;
  fill(kernel);
  Context alone;
  kernel.backward(alone, end - begin, input.dx + begin, input.gradient.saved + begin,
                  input.gradient.activation, Policy::assign, input.dx + begin);
}

template <class T>
NNX_INLINE void put_input(const DenseInput<T>& input, int64_t k, Vec<T> products) {
  const T sum = sum_of<T>(products);
  input.dx[k] = input.policy == Policy::assign ? sum : input.dx[k] + sum;
}

template <class T>
void one_row_backward_input(Context& context, const DenseShape& s, const T* dy, const T* w,
                            const DenseInput<T>& input) {
  const Tiling part = input_parts(s);
  for_each(context, part.count, [&](int64_t i) {
    for (int64_t k = part.begin(i); k < part.begin(i + 1); ++k) {
      Vec<T> products{};
      for_vectors<T>(0, s.out, [&](int64_t j, int64_t n) {
        products += load_some(dy + j, n) * load_some(w + k * s.out + j, n);
      });
      put_input(input, k, products);
    }
    finish_inputs(input, part.begin(i), part.begin(i + 1));
  });
}

// dx on the way, while a row of w is at hand: the same bits as one_row_backward_input's.
template <class T, SgdKind kind>
void one_row_update(Context& context, const DenseShape& s, const T* x, const T* dy,
                    const DenseInput<T>& input, const Sgd<T>& rule, SgdTarget<T> w, SgdTarget<T> b) {
  const Tiling part = input_parts(s);
  for_each(context, part.count, [&](int64_t i) {
    // Copies, since what is stored could otherwise be taken to change them.
    const Sgd<T> numbers = rule;
    const int64_t end = part.begin(i + 1), out = s.out;
    const T* const from = dy;
    for (int64_t k = part.begin(i); k < end; ++k) {
      const Vec<T> factor = broadcast(x[k]);
      const SgdTarget<T> to = moved(w, k * out);
      if (input.dx == nullptr) {
        for_vectors<T>(0, out, [&](int64_t j, int64_t n) {
          sgd_step<T, kind>(numbers, factor * load_some(from + j, n), to, j, n);
        });
        continue;
      }
      Vec<T> products{};
      for_vectors<T>(0, out, [&](int64_t j, int64_t n) {
        const Vec<T> slope = load_some(from + j, n);
        products += slope * load_some(to.p + j, n);
        sgd_step<T, kind>(numbers, factor * slope, to, j, n);
      });
      put_input(input, k, products);
    }
    if (input.dx != nullptr) finish_inputs(input, part.begin(i), end);
  });
  if (b.p == nullptr) return;
  for_vectors<T>(0, s.out,
                 [&](int64_t j, int64_t n) { sgd_step<T, kind>(rule, load_some(dy + j, n), b, j, n); });
}

}  // namespace nnx::cpu::NNX_ISA
