// Matrices (rows, cols) whose columns have values of their own: a thread keeps to its columns and goes down
// the rows.
#pragma once

#include "reduce.cuh"

namespace nnx::cuda {

// How many of a block's threads lie side by side, W columns each; the others lie below them. A power of two
// up to 32: at least 8, so that a block reads whole cache lines, and else what leaves the fewest idle.
inline int threads_across(int64_t packs) {
  int across = 1;
  while (across < packs && across < 8) across *= 2;
  if (across < 8) return across;
  across = 32;
  for (const int fewer : {16, 8}) {
    if (ceil_div<int64_t>(packs, fewer) * fewer < ceil_div<int64_t>(packs, across) * across) across = fewer;
  }
  return across;
}

template <int W, class F>
__global__ void __launch_bounds__(kThreads) rows_kernel(int64_t rows, int64_t cols, int across, F f) {
  begin_kernel();
  const int down = kThreads / across, thread = static_cast<int>(threadIdx.x);
  const int64_t col = W * (static_cast<int64_t>(blockIdx.x) * across + thread % across);
  if (col >= cols) return;
  const auto given = f.template columns<W>(col);
  const int64_t step = static_cast<int64_t>(gridDim.y) * down;
  for (int64_t row = static_cast<int64_t>(blockIdx.y) * down + thread / across; row < rows; row += step) {
    f.template element<W>(row * cols + col, given);
  }
}

// f.element<W>(offset, f.columns<W>(col)) for every W elements, side by side in a row from column col on.
// `whole`: packs can be loaded wherever a column is a multiple of four.
template <class F>
void for_rows(Context& context, const char* name, int64_t rows, int64_t cols, bool whole, const F& f) {
  const bool packs = whole && cols % 4 == 0;
  const int64_t width = packs ? cols / 4 : cols;
  const int across = threads_across(width), down = kThreads / across;
  const int64_t tiles = ceil_div<int64_t>(width, across);
  const int64_t below =
      std::min(ceil_div<int64_t>(rows, down), std::max<int64_t>(4096 / std::max<int64_t>(tiles, 1), 1));
  launch(context, name, packs ? rows_kernel<4, F> : rows_kernel<1, F>,
         dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(below)), dim3(kThreads), 0, rows, cols,
         across, f);
}

template <int N, int W>
struct ColumnSums {
  double warp[kWarps][N][32 * W];
  bool last;
};

// The sums of the threads that share a column, of `sums` (W, N) each. The thread t < across * W gets those of
// the tile's column t.
template <int N, int W>
__device__ __forceinline__ void sum_downwards(const double (&parts)[W * N], int across,
                                              ColumnSums<N, W>& storage, double (&sums)[N]) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
#pragma unroll
  for (int k = 0; k < W * N; ++k) {
    double part = parts[k];
    for (int mask = across; mask < 32; mask *= 2) part += shuffle_xor(part, mask);
    if (lane < across) storage.warp[thread / 32][k % N][lane * W + k / N] = part;
  }
  sync_block();
  if (thread < across * W) {
    for (int k = 0; k < N; ++k) {
      sums[k] = 0.0;
      for (int warp = 0; warp < kWarps; ++warp) sums[k] += storage.warp[warp][k][thread];
    }
  }
  sync_block();
}

// Block (tile of columns, chunk of rows). partials: (chunks, N, cols)
template <int N, int W, class Term, class Finish>
__global__ void __launch_bounds__(kThreads)
    column_sums_kernel(int64_t rows, int64_t cols, int64_t chunk, int across, double* partials,
                       unsigned* counters, Term term, Finish finish) {
  begin_kernel();
  auto& storage = shared_storage<ColumnSums<N, W>>();
  const int down = kThreads / across, thread = static_cast<int>(threadIdx.x);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * across * W;
  const int64_t col = first + thread % across * W, mine = first + thread;
  double parts[W * N] = {}, sums[N] = {};
  if (col < cols) {
    const int64_t begin = static_cast<int64_t>(blockIdx.y) * chunk, end = min(begin + chunk, rows);
    const auto given = term.template columns<W>(col, rows);
#pragma unroll 4
    for (int64_t row = begin + thread / across; row < end; row += down) {
      term.template add<W>(row * cols + col, given, parts);
    }
  }
  sum_downwards(parts, across, storage, sums);
  bool finishes = thread < across * W && mine < cols;
  if (gridDim.y > 1) {
    for (int k = 0; k < N; ++k) {
      if (finishes) partials[(static_cast<int64_t>(blockIdx.y) * N + k) * cols + mine] = sums[k];
    }
    const bool last = last_block(counters + blockIdx.x, gridDim.y, storage.last);
    finishes = finishes && last;
    if (last) {
      for (double& part : parts) part = 0.0;
      if (col < cols) {
#pragma unroll 4
        for (unsigned row = static_cast<unsigned>(thread / across); row < gridDim.y; row += down) {
#pragma unroll
          for (int k = 0; k < W * N; ++k) {
            parts[k] += partials[(static_cast<int64_t>(row) * N + k % N) * cols + col + k / N];
          }
        }
      }
      sum_downwards(parts, across, storage, sums);
    }
  }
  if (finishes) finish(mine, sums);
}

// finish(column, sums) for the N sums over all rows of what term.add<W>(offset, term.columns<W>(col, rows),
// parts) adds to parts (W, N), in an order fixed by the shape.
template <int N, int W, class Term, class Finish>
void column_sums_of(Context& context, const char* name, int64_t rows, int64_t cols, const Term& term,
                    const Finish& finish) {
  const int across = threads_across(ceil_div<int64_t>(cols, W)), down = kThreads / across;
  const int64_t tiles = ceil_div<int64_t>(cols, across * W);
  if (tiles == 0) return;
  // Rows of a block: 16 to a thread at least. Blocks: a few for each multiprocessor, partial sums that fit.
  const int64_t room = kUsableScratch / static_cast<int64_t>(sizeof(double)) / (N * cols);
  const int64_t most = tiles > kCounters ? 1 : std::max<int64_t>(std::min(1024 / tiles, room), 1);
  const int64_t chunk = std::max(ceil_div(rows, most), int64_t{16} * down);
  const int64_t chunks = std::max<int64_t>(ceil_div(rows, chunk), 1);
  launch(context, name, column_sums_kernel<N, W, Term, Finish>,
         dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(chunks)), dim3(kThreads),
         sizeof(ColumnSums<N, W>), rows, cols, chunk, across, scratch_of<double>(context),
         counters_of(context), term, finish);
}

template <int N, class Term, class Finish>
void column_sums(Context& context, const char* name, int64_t rows, int64_t cols, bool whole, const Term& term,
                 const Finish& finish) {
  if (whole && cols % 4 == 0) {
    column_sums_of<N, 4>(context, name, rows, cols, term, finish);
  } else {
    column_sums_of<N, 1>(context, name, rows, cols, term, finish);
  }
}

struct Nothing {};

template <class T>
struct AddElements {
  const T* x;
  template <int W>
  __device__ Nothing columns(int64_t, int64_t) const {
    return {};
  }
  template <int W>
  __device__ void add(int64_t at, Nothing, double (&parts)[W]) const {
    const Pack<T, W> values = load_pack<W>(x + at);
#pragma unroll
    for (int k = 0; k < W; ++k) parts[k] += static_cast<double>(values.at[k]);
  }
};

template <class T>
struct PutColumn {
  T* to;
  Policy policy;
  __device__ void operator()(int64_t col, const double (&sums)[1]) const {
    put(to + col, static_cast<T>(sums[0]), policy);
  }
};

// to (cols) = or += the sums of x (rows, cols) over its rows
template <class T>
void sum_columns(Context& context, const char* name, int64_t rows, int64_t cols, const T* x, Policy policy,
                 T* to) {
  column_sums<1>(context, name, rows, cols, aligned(x), AddElements<T>{x}, PutColumn<T>{to, policy});
}

}  // namespace nnx::cuda
