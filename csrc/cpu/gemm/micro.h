// The micro-kernels: a tile of sums, kept in registers over the whole reduction.
//
//   C (M, kTileColumns) = sum over k of A[., k] * B[k, .]
//
// A is read in one of two ways: by row pointers, each contiguous in k (forward passes and input gradients),
// or by column runs, M neighbours for each k (weight gradients). The reduction comes as a list of segments,
// so that image patches are read where they lie. Tile heights from 1 to kTileRows are all instantiated.
#pragma once

#include "cpu/gemm/epilogue.h"
#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

// Registers: accumulators kTileRows * kTileVectors, kTileVectors of B, one broadcast of A.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 12, kTileVectors = 2;
#elif defined(__AVX__)
inline constexpr int kTileRows = 6, kTileVectors = 2;
#elif defined(__aarch64__)
inline constexpr int kTileRows = 6, kTileVectors = 4;
#else
inline constexpr int kTileRows = 4, kTileVectors = 2;
#endif

template <class T>
inline constexpr int kTileColumns = kTileVectors * kLanes<T>;

// A by rows.
template <class T>
struct RowOperand {
  const T* const* rows;    // [segments][kTileRows]: first element of each row in each segment
  const int64_t* lengths;  // [segments]
  int64_t segments;
  const T* b;  // (sum of lengths, kTileColumns), rows b_stride apart
  int64_t b_stride;
};

// A by columns: the M elements for k lie side by side at a + k * a_stride.
template <class T>
struct ColumnSegment {
  const T* a;
  const T* b;
  int64_t length;
};

template <class T>
struct ColumnOperand {
  const ColumnSegment<T>* segments;
  int64_t count;
  int64_t a_offset, b_offset;  // added to every segment's pointers
  int64_t a_stride, b_stride;
};

// sums += outer product of x(0), ..., x(M - 1) and one row of B.
template <class T, int M, int V, class X>
NNX_INLINE void add_outer_product(Vec<T> (&sums)[M][V], const T* b, const X& x) {
  Vec<T> row[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) row[v] = load(b + v * kLanes<T>);
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
    const Vec<T> factor = broadcast(x(m));
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[m][v] += factor * row[v];
  }
}

// V: the vectors of B that matter, fewer than kTileVectors in a narrow panel.
template <class T, int M, int V>
void micro_rows(const RowOperand<T>& operand, const TileTarget<T>& target) {
  Vec<T> sums[M][V] = {};
  const T* b = operand.b;
  const int64_t b_stride = operand.b_stride;
  for (int64_t s = 0; s < operand.segments; ++s) {
    const T* const* const rows = operand.rows + s * kTileRows;
    const T* a[M];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) a[m] = rows[m];
    const int64_t length = operand.lengths[s];
    for (int64_t k = 0; k < length; ++k, b += b_stride) {
      add_outer_product<T, M>(sums, b, [&](int m) { return a[m][k]; });
    }
  }
  write_tile<T, M, V>(sums, target);
}

template <class T, int M, int V>
void micro_columns(const ColumnOperand<T>& operand, const TileTarget<T>& target) {
  Vec<T> sums[M][V] = {};
  const int64_t a_stride = operand.a_stride, b_stride = operand.b_stride;
  for (int64_t s = 0; s < operand.count; ++s) {
    const T* a = operand.segments[s].a + operand.a_offset;
    const T* b = operand.segments[s].b + operand.b_offset;
    for (int64_t k = operand.segments[s].length; k > 0; --k, a += a_stride, b += b_stride) {
      add_outer_product<T, M>(sums, b, [&](int m) { return a[m]; });
    }
  }
  write_tile<T, M, V>(sums, target);
}

}  // namespace nnx::cpu::NNX_ISA
