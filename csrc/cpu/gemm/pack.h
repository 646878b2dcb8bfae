// Copies of B into panels: [k][kTileColumns], zeros behind the last column.
#pragma once

#include "cpu/gemm/tiles.h"

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define NNX_HAS_SHUFFLE 1
#endif
#endif

namespace nnx::cpu::NNX_ISA {

// Rows of B no further apart than this may be read where they lie; others, and rows that end within a panel,
// are copied.
inline constexpr int64_t kDirectBytes = 2048;

// to[k][c] = from[k * stride + c] for c < columns.
template <class T>
NNX_INLINE void pack_rows(const T* from, int64_t stride, int64_t depth, int64_t columns, T* to) {
  if (columns == kTileColumns<T>) {
    for (int64_t k = 0; k < depth; ++k, from += stride, to += kTileColumns<T>) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) store(to + v * kLanes<T>, load(from + v * kLanes<T>));
    }
    return;
  }
  int64_t lanes[kTileVectors];
  for (int v = 0; v < kTileVectors; ++v) lanes[v] = max_of(0, min_of(kLanes<T>, columns - v * kLanes<T>));
  for (int64_t k = 0; k < depth; ++k, from += stride, to += kTileColumns<T>) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      // No pointer behind the row's end, even if nothing is read there.
      store(to + v * kLanes<T>, lanes[v] > 0 ? load_some(from + v * kLanes<T>, lanes[v]) : Vec<T>{});
    }
  }
}

#if NNX_HAS_SHUFFLE
// The lanes of a and b in turn, from their lower or upper halves.
template <class T, bool Upper>
NNX_INLINE Vec<T> interleave(Vec<T> a, Vec<T> b) {
  constexpr int n = kLanes<T>, h = Upper ? n / 2 : 0;
  if constexpr (n == 2) {
    return __builtin_shufflevector(a, b, h, h + n);
  } else if constexpr (n == 4) {
    return __builtin_shufflevector(a, b, h, h + n, h + 1, h + 1 + n);
  } else if constexpr (n == 8) {
    return __builtin_shufflevector(a, b, h, h + n, h + 1, h + 1 + n, h + 2, h + 2 + n, h + 3, h + 3 + n);
  } else {
    return __builtin_shufflevector(a, b, h, h + n, h + 1, h + 1 + n, h + 2, h + 2 + n, h + 3, h + 3 + n,
                                   h + 4, h + 4 + n, h + 5, h + 5 + n, h + 6, h + 6 + n, h + 7, h + 7 + n);
  }
}

// Transposes a square of vectors: log2(lanes) rounds of pairing row i with row i + lanes / 2.
template <class T>
NNX_INLINE void transpose_square(Vec<T> (&rows)[kLanes<T>]) {
  constexpr int n = kLanes<T>;
#pragma GCC unroll 4
  for (int round = 1; round < n; round *= 2) {
    Vec<T> next[n];
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; ++i) {
      next[2 * i] = interleave<T, false>(rows[i], rows[i + n / 2]);
      next[2 * i + 1] = interleave<T, true>(rows[i], rows[i + n / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) rows[i] = next[i];
  }
}
#endif

// to[k][c] = from[c * stride + k] for c < columns.
template <class T>
void pack_transposed(const T* from, int64_t stride, int64_t depth, int64_t columns, T* to) {
  constexpr int64_t lanes = kLanes<T>, width = kTileColumns<T>;
  int64_t c = 0;
#if NNX_HAS_SHUFFLE
  for (; c + lanes <= columns; c += lanes) {
    int64_t k = 0;
    for (; k + lanes <= depth; k += lanes) {
      Vec<T> square[lanes];
#pragma GCC unroll 16
      for (int i = 0; i < lanes; ++i) square[i] = load(from + (c + i) * stride + k);
      transpose_square<T>(square);
#pragma GCC unroll 16
      for (int i = 0; i < lanes; ++i) store(to + (k + i) * width + c, square[i]);
    }
    for (; k < depth; ++k) {
      for (int64_t i = c; i < c + lanes; ++i) to[k * width + i] = from[i * stride + k];
    }
  }
#endif
  for (; c < columns; ++c) {
    for (int64_t k = 0; k < depth; ++k) to[k * width + c] = from[c * stride + k];
  }
  if (columns < width) {
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t i = columns; i < width; ++i) to[k * width + i] = 0;
    }
  }
}

}  // namespace nnx::cpu::NNX_ISA
