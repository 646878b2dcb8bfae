// Forward passes of few rows: threads part the reduction, which is to say the rows of w, as the update of the
// weights does (gemm_update.h). So a thread finds its part of w and of x in its own cache, where parting the
// columns would send half of w to another core twice in every step. bench/NOTES.md says what that brings.
#pragma once

#include "cpu/fill.h"
#include "cpu/gemm/dense_operands.h"
#include "cpu/gemm/gemm_rows.h"
#include "kernels/dense.h"

namespace nnx::cpu::NNX_ISA {

// Tiles of rows up to which that pays: the parts' sums have to be added up.
inline constexpr int64_t kFewTiles = 4;

// The parts of the reduction, by shape alone: their sums are added up in order.
NNX_INLINE Tiling depth_parts(const DenseShape& s) {
  constexpr int64_t most = 2, elements = 1 << 14;  // with four, adding them up took as long as it saved
  if (s.rows > kFewTiles * kTileRows) return {s.in, 1};
  return {s.in, max_of(1, min_of(min_of(most, s.in), s.in * s.out / elements))};
}

template <class T>
NNX_INLINE int64_t few_rows_workspace(const DenseShape& s) {
  const DenseShape most = {min_of(s.rows, kFewTiles * kTileRows), s.in, s.out};
  return depth_parts(most).count * most.rows * most.out;
}

template <class T>
void few_rows_forward(Context& context, const DenseShape& s, const T* x, const T* w, const T* b,
                      Activation activation, T* y) {
  constexpr int64_t width = kTileColumns<T>;
  const Tiling part = depth_parts(s);
  const int64_t size = s.rows * s.out, panels = ceil_div(s.out, width);
  // Chunk sizes touch no sum's order, so they may follow the number of threads.
  const int64_t wanted = ceil_div(int64_t{4} * context.size, part.count);
  const Tiling columns = {panels, context.size == 1 ? 1 : min_of(panels, wanted)};
  T* const parts = static_cast<T*>(context.workspace);
  for_each(context, part.count * columns.count, [&](int64_t i) {
    const int64_t p = i / columns.count, c = i % columns.count;
    const int64_t k = part.begin(p), first = columns.begin(c) * width;
    const int64_t end = min_of(s.out, columns.begin(c + 1) * width);
    Context alone;
    gemm_rows(alone, s.rows, end - first, MatrixRows<T>{x + k, s.in, part.height(p), s.out},
              MatrixColumns<T>{w + k * s.out + first, s.out}, parts + p * size + first, Epilogue<T>{});
  });
  kernels::ActivationKernels<T> kernel;
  fill(kernel);
  constexpr int64_t grain = 8192;
  for_ranges(context, s.rows, max_of(1, grain / s.out), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for_vectors<T>(0, s.out, [&](int64_t j, int64_t n) {
        const T* const from = parts + r * s.out + j;
        Vec<T> sum = load_some(from, n);
        for (int64_t p = 1; p < part.count; ++p) sum += load_some(from + p * size, n);
        if (b != nullptr) sum += load_some(b + j, n);
        store_some(y + r * s.out + j, sum, n);
      });
    }
    if (activation.kind == ActivationKind::identity) return;
    Context alone;
    T* const rows = y + begin * s.out;
    kernel.forward(alone, (end - begin) * s.out, rows, activation, rows);
  });
}

}  // namespace nnx::cpu::NNX_ISA
