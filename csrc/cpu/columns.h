// Arrays (rows, cols) whose columns share something: sums over rows, and rows combined with one vector.
#pragma once

#include "cpu/parallel.h"
#include "cpu/wide.h"

namespace nnx::cpu::NNX_ISA {

// sums (kSums, cols) += over rows [begin, end), in double and in an order fixed by the shape. term(row, col,
// lanes, wide) fills wide[kSums] from columns col .. col + lanes - 1 of a row.
template <class T, int kSums, class F>
NNX_INLINE void add_columns(int64_t begin, int64_t end, int64_t cols, double* sums, const F& term) {
  constexpr int kTile = 4;  // vectors side by side: whole cache lines, and independent chains of additions
  constexpr int64_t kWidth = kTile * kLanes<T>;
  int64_t c = 0;
  for (; c + kWidth <= cols; c += kWidth) {
    Wide<T> tile[kTile][kSums];
    for (auto& column : tile) {
      for (auto& sum : column) sum = wide_zero<T>();
    }
    for (int64_t r = begin; r < end; ++r) {
#pragma GCC unroll 4
      for (int k = 0; k < kTile; ++k) {
        Wide<T> wide[kSums];
        const int64_t col = c + k * kLanes<T>;
        term(r, col, int64_t{kLanes<T>}, wide);
        for (int s = 0; s < kSums; ++s) add_to(tile[k][s], wide[s]);
      }
    }
    for (int k = 0; k < kTile; ++k) {
      for (int s = 0; s < kSums; ++s) {
        add_to_memory<T>(sums + s * cols + c + k * kLanes<T>, tile[k][s], kLanes<T>);
      }
    }
  }
  for_vectors<T>(c, cols, [&](int64_t col, int64_t lanes) {
    Wide<T> total[kSums];
    for (auto& sum : total) sum = wide_zero<T>();
    for (int64_t r = begin; r < end; ++r) {
      Wide<T> wide[kSums];
      term(r, col, lanes, wide);
      for (int s = 0; s < kSums; ++s) add_to(total[s], wide[s]);
    }
    for (int s = 0; s < kSums; ++s) add_to_memory<T>(sums + s * cols + col, total[s], lanes);
  });
}

// Few columns leave most lanes of a vector empty. So rows are taken `folds` at a time, as one row of folds *
// cols, and the sums of the folds are added up at the end.
inline constexpr int64_t kFoldedWidth = 256;

template <class T>
NNX_INLINE int64_t folds_of(int64_t rows, int64_t cols) {
  const int64_t most = kFoldedWidth / (cols < 1 ? 1 : cols);
  return cols >= 2 * kLanes<T> || rows < 64 ? 1 : most;
}

// A vector (cols) repeated `times` times.
template <class T>
NNX_INLINE const T* repeat(const T* vector, int64_t cols, int64_t times, T* to) {
  for (int64_t i = 0; i < times; ++i) {
    for (int64_t c = 0; c < cols; ++c) to[i * cols + c] = vector[c];
  }
  return to;
}

// body(at, col, lanes, vectors) over all elements of (rows, cols): `lanes` elements at offset `at`, to be
// combined with vectors[0][col], vectors[1][col], ... where vectors are kVectors pointers to (cols), or to
// repetitions of them that make rows longer than a vector.
template <class T, int kVectors, class F>
NNX_INLINE void for_rows(Context& context, int64_t rows, int64_t cols, const T* const (&vectors)[kVectors],
                         const F& body) {
  const int64_t folds = folds_of<T>(rows, cols);
  const int64_t width = folds * cols, n = rows * cols;
  const T* wide[kVectors];
  for (int k = 0; k < kVectors; ++k) {
    T* room = static_cast<T*>(context.scratch) + k * kFoldedWidth;
    wide[k] = folds == 1 ? vectors[k] : repeat(vectors[k], cols, folds, room);
  }
  const int64_t runs = width > 0 ? ceil_div(n, width) : 0;
  for_ranges(context, runs, max_of(1, 8192 / max_of(width, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t run = begin; run < end; ++run) {
      const int64_t at = run * width;
      for_vectors<T>(0, min_of(width, n - at),
                     [&](int64_t col, int64_t lanes) { body(at + col, col, lanes, wide); });
    }
  });
}

// As add_columns, over rows [begin, end) by folds; `folded` has kSums * kFoldedWidth numbers. term(at, col,
// lanes, wide) is given the offset `at` of its elements from the array's beginning, and the column in the
// folded row.
template <class T, int kSums, class F>
NNX_INLINE void add_folded(int64_t begin, int64_t end, int64_t cols, int64_t folds, double* folded,
                           double* sums, const F& term) {
  const int64_t width = folds * cols, runs = (end - begin) / folds;
  int64_t first = begin;
  if (folds > 1) {
    for (int64_t i = 0; i < kSums * width; ++i) folded[i] = 0.0;
    add_columns<T, kSums>(0, runs, width, folded,
                          [&](int64_t run, int64_t col, int64_t lanes, Wide<T>* wide) {
                            term(begin * cols + run * width + col, col, lanes, wide);
                          });
    for (int s = 0; s < kSums; ++s) {
      for (int64_t i = 0; i < width; ++i) sums[s * cols + i % cols] += folded[s * width + i];
    }
    first += runs * folds;
  }
  add_columns<T, kSums>(first, end, cols, sums, [&](int64_t row, int64_t col, int64_t lanes, Wide<T>* wide) {
    term(row * cols + col, col, lanes, wide);
  });
}

}  // namespace nnx::cpu::NNX_ISA
