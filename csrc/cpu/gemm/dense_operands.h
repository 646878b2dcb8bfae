// Plain matrices as operands of the matrix engine.
#pragma once

#include "cpu/gemm/pack.h"

namespace nnx::cpu::NNX_ISA {

// A (rows, depth), row-major, rows `stride` apart.
template <class T>
struct MatrixRows {
  const T* matrix;
  int64_t stride, depth, result_stride;

  int64_t segments() const { return max_of(1, ceil_div(depth, kBlockDepth<T>)); }
  int64_t offset(int64_t s) const { return s * kBlockDepth<T>; }
  int64_t length(int64_t s) const { return min_of(kBlockDepth<T>, depth - offset(s)); }
  int64_t storage_elements() const { return 0; }
  void result_offsets(int64_t row, int64_t height, int64_t* to) const {
    for (int64_t m = 0; m < height; ++m) to[m] = (row + m) * result_stride;
  }
  void locate(int64_t row, int64_t height, int64_t s0, int64_t s1, const T** to, T*) const {
    for (int64_t s = s0; s < s1; ++s, to += kTileRows) {
      for (int64_t m = 0; m < height; ++m) to[m] = matrix + (row + m) * stride + offset(s);
    }
  }
};

// B (depth, columns), row-major.
template <class T>
struct MatrixColumns {
  const T* matrix;
  int64_t row_stride;

  int64_t stride() const { return row_stride; }
  const T* direct(int64_t k, int64_t column) const { return matrix + k * row_stride + column; }
  void pack(int64_t k, int64_t depth, int64_t column, int64_t count, T* to) const {
    pack_rows(matrix + k * row_stride + column, row_stride, depth, count, to);
  }
};

// B = matrixᵀ: (depth, columns) from a row-major matrix (columns, depth).
template <class T>
struct TransposedColumns {
  const T* matrix;
  int64_t row_stride;

  int64_t stride() const { return 0; }
  const T* direct(int64_t, int64_t) const { return nullptr; }
  void pack(int64_t k, int64_t depth, int64_t column, int64_t count, T* to) const {
    pack_transposed(matrix + column * row_stride + k, row_stride, depth, count, to);
  }
};

// The rows x (rows, in) of a batch as pixels of a reduction: one tap, a line a block.
template <class T>
struct MatrixSource {
  const T* matrix;
  int64_t rows, in;

  static constexpr int64_t kLine = kBlockDepth<T> / 2;
  int64_t lines() const { return ceil_div(rows, kLine); }
  int64_t line_start(int64_t line) const { return line * kLine; }
  int64_t line_length(int64_t line) const { return min_of(kLine, rows - line_start(line)); }
  int64_t lines_per_block() const { return 1; }
  int64_t block_pixels() const { return kLine; }
  int64_t tap_length() const { return in; }
  int64_t a_stride() const { return in; }
  int64_t storage_elements() const { return 0; }
  void prepare(int64_t, int64_t, T*) const {}
  const T* segment(int64_t, int64_t line, int64_t, const T*, int64_t* first, int64_t* length) const {
    *first = 0;
    *length = line_length(line);
    return matrix + line_start(line) * in;
  }
};

}  // namespace nnx::cpu::NNX_ISA
