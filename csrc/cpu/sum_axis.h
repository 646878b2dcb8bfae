// Sums along an axis, in double and in an order fixed by the shape.
#pragma once

#include "cpu/columns.h"
#include "cpu/parallel.h"
#include "cpu/put.h"

namespace nnx::cpu::NNX_ISA {

template <class T>
NNX_INLINE double sum_of_run(const T* x, int64_t n) {
  Wide<T> total = wide_zero<T>();
  for_vectors<T>(0, n, [&](int64_t i, int64_t lanes) { add_to(total, widen<T>(load_some(x + i, lanes))); });
  double sum = 0.0;
  for (int part = 0; part < Wide<T>::kParts; ++part) sum += sum_of<double>(total.part[part]);
  return sum;
}

// Of rows: each by one thread, unless they are few and long.
template <class T>
static void sum_rows(Context& context, int64_t rows, int64_t length, double factor, const T* x, Policy policy,
                     T* y) {
  if (rows < 8 && length > 65536) {
    for (int64_t r = 0; r < rows; ++r) {
      const double sum = sum_ranges(context, length, 8192, [&](int64_t begin, int64_t end) {
        return sum_of_run(x + r * length + begin, end - begin);
      });
      put(y + r, static_cast<T>(factor * sum), policy);
    }
    return;
  }
  for_ranges(context, rows, max_of(1, 16384 / max_of(length, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      put(y + r, static_cast<T>(factor * sum_of_run(x + r * length, length)), policy);
    }
  });
}

// y (outer, inner) = or += factor * sums of x (outer, reduced, inner) over the middle axis, in double
template <class T>
static void sum(Context& context, int64_t outer, int64_t reduced, int64_t inner, double factor, const T* x,
                Policy policy, T* y) {
  if (inner == 1) return sum_rows(context, outer, reduced, factor, x, policy, y);
  // As elementwise's bias_gradient where there is one block of rows; threads share out blocks and columns.
  const int64_t folds = outer == 1 ? folds_of<T>(reduced, inner) : 1;
  const int64_t width = folds > 1 ? inner : kFoldedWidth, tiles = ceil_div(inner, width);
  const int64_t grain = max_of(1, 16384 / max_of(reduced * min_of(width, inner), 1));
  for_ranges(context, outer * tiles, grain, [&](int64_t begin, int64_t end) {
    double sums[kFoldedWidth], folded[kFoldedWidth];
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t first = tile % tiles * width, cols = min_of(width, inner - first);
      const T* const from = x + tile / tiles * reduced * inner;
      for (int64_t c = 0; c < cols; ++c) sums[c] = 0.0;
      if (folds > 1) {
        add_folded<T, 1>(0, reduced, inner, folds, folded, sums,
                         [&](int64_t at, int64_t, int64_t lanes, Wide<T>* wide) {
                           wide[0] = widen<T>(load_some(from + at, lanes));
                         });
      } else {
        add_columns<T, 1>(0, reduced, cols, sums,
                          [&](int64_t row, int64_t col, int64_t lanes, Wide<T>* wide) {
                            wide[0] = widen<T>(load_some(from + row * inner + first + col, lanes));
                          });
      }
      T* const to = y + tile / tiles * inner + first;
      for (int64_t c = 0; c < cols; ++c) put(to + c, static_cast<T>(factor * sums[c]), policy);
    }
  });
}

}  // namespace nnx::cpu::NNX_ISA
