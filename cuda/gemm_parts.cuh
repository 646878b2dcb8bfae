// Products of the matrix engine, how their tiles and parts are shared out to blocks, and how parts are added
// up.
#pragma once

#include "epilogue.cuh"
#include "gemm_plan.h"
#include "table.h"

namespace nnx::cuda {

// One of a pass's products. A pass has the types A, B, Writer; kColumnSums, whether B's columns are summed
// too; name; extents(), of the largest product; and product(group).
template <class Pass>
struct Product {
  int64_t m;
  int n, k;
  typename Pass::A a;
  typename Pass::B b;
  typename Pass::Writer writer;
};

static_assert(kMostBlocks <= kCounters);
template <class T>
struct Cut {
  uint32_t tiles_m, tiles_n, splits;  // times groups: blocks
  int groups, slices;
  // Of more than one split: (splits, groups, m [+ 1, the column sums], n), `stride` elements to a group.
  T* partial;
  uint32_t stride;
  unsigned* done;  // counters, of the blocks of each tile; null: a second kernel adds up
};

// Tiles next to each other in a row of tiles run next to each other, and read the same of A.
struct BlockPlace {
  int64_t tile_m;
  int tile_n, split, group;
};
template <class T>
__device__ __forceinline__ BlockPlace place_of_block(const Cut<T>& cut) {
  const uint32_t row = blockIdx.x / cut.tiles_n, part = row / cut.tiles_m;
  return {row % cut.tiles_m, static_cast<int>(blockIdx.x % cut.tiles_n), static_cast<int>(part % cut.splits),
          static_cast<int>(part / cut.splits)};
}

// A tile's parts, from all its blocks, added up and written.
template <class Loop, bool kColumnSums, class Product, class T>
__device__ __forceinline__ void add_parts(const Product& product, const Cut<T>& cut, int group, int64_t m0,
                                          int n0, bool sum_columns, bool vector) {
  constexpr int kQuads = Loop::kColumns / 4;
  const T* const parts = cut.partial + static_cast<int64_t>(group) * cut.stride;
  const int64_t step = static_cast<int64_t>(cut.groups) * cut.stride;
  const int splits = static_cast<int>(cut.splits);
#pragma unroll 1
  for (int e = static_cast<int>(threadIdx.x); e < Loop::kRows * kQuads; e += Loop::kThreads) {
    const int64_t m = m0 + e / kQuads;
    const int n = n0 + e % kQuads * 4;
    if (m >= product.m || n >= product.n) continue;
    const int count = min(4, product.n - n);
    const T* const at = parts + m * product.n + n;
    T v[4];
    load_some(at, count, vector, v);
#pragma unroll 4
    for (int split = 1; split < splits; ++split) {
      T more[4];
      load_some(at + split * step, count, vector, more);
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] += more[i];
    }
    product.writer.put(product.writer.rows.offset(m), n, count, product.writer.vector, v);
  }
  if (!sum_columns) return;
  for (int column = static_cast<int>(threadIdx.x); column < Loop::kColumns; column += Loop::kThreads) {
    const int n = n0 + column;
    if (n >= product.n) continue;
    const T* const at = parts + product.m * product.n + n;
    T sum = 0;
    for (int split = 0; split < splits; ++split) sum += at[split * step];
    if constexpr (kColumnSums) product.writer.put_column_sum(n, sum);
  }
}

// Adds the splits of each element up: kSumThreads / parts elements to a block, the splits dealt out to
// `parts` threads.
inline constexpr int kSumThreads = 256;
template <class T>
struct SumShared {
  T values[kSumThreads];
};

template <class Pass, class T>
__global__ void __launch_bounds__(kSumThreads) add_splits(Pass pass, Cut<T> cut, int parts) {
  begin_kernel();
  const int thread = static_cast<int>(threadIdx.x), elements = kSumThreads / parts;
  // Partial sums are few: products of many tiles are not cut.
  const uint32_t index = blockIdx.x * elements + thread % elements;
  const uint32_t group = index / cut.stride, element = index % cut.stride;
  const bool inside = group < static_cast<uint32_t>(cut.groups);
  T sum = 0;
  if (inside) {
    const T* const at = cut.partial + index;
    const int64_t stride = static_cast<int64_t>(cut.groups) * cut.stride;
#pragma unroll 8
    for (int split = thread / elements; split < static_cast<int>(cut.splits); split += parts)
      sum += at[split * stride];
  }
  auto& shared = shared_storage<SumShared<T>>();
  shared.values[thread] = sum;
  sync_block();
  if (inside && thread < elements) {
    for (int i = 1; i < parts; ++i) sum += shared.values[i * elements + thread];
    const auto product = pass.product(static_cast<int>(group));
    const auto columns = static_cast<uint32_t>(product.n);
    const int64_t m = element / columns;
    const int n = static_cast<int>(element % columns);
    if (m < product.m) {
      T v[4] = {sum, 0, 0, 0};
      product.writer.put(product.writer.rows.offset(m), n, 1, false, v);
    } else if constexpr (Pass::kColumnSums) {
      if (m == product.m && product.writer.column_sums != nullptr) product.writer.put_column_sum(n, sum);
    }
  }
}

}  // namespace nnx::cuda
