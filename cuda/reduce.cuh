// Sums whose order is fixed by the shape: within a thread, over a warp, over a block, and over the blocks by
// the one that ends last.
#pragma once

#include <limits>

#include "vector.cuh"

namespace nnx::cuda {

template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

// A NaN may survive or not; what it is the largest of becomes NaN by its own difference from the largest.
template <class T>
__device__ __forceinline__ T larger(T a, T b) {
  return a > b ? a : b;
}

template <class T>
__device__ __forceinline__ T warp_max(T value) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) value = larger(value, shuffle_xor(value, mask));
  return value;
}

// Shared memory of the sums of a block, N at a time.
template <int N>
struct BlockSums {
  double warp[N][kWarps];
  bool last;
};

// Sums over the threads of the block; all of them get all.
template <int N>
__device__ __forceinline__ void block_sums(double (&sums)[N], BlockSums<N>& storage) {
#pragma unroll
  for (int k = 0; k < N; ++k) {
    sums[k] = warp_sum(sums[k]);
    if (threadIdx.x % 32 == 0) storage.warp[k][threadIdx.x / 32] = sums[k];
  }
  sync_block();
#pragma unroll
  for (int k = 0; k < N; ++k) {
    sums[k] = storage.warp[k][0];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp) sums[k] += storage.warp[k][warp];
  }
  sync_block();
}

// Where the sums over a grid go: to[k] = or += factor * sum k. Null: nowhere.
struct Total {
  double* to;
  double factor;
  Policy policy;
  double* partials;   // (blocks, N)
  unsigned* counter;  // of those blocks
};

inline constexpr int64_t kMostPartials = 1024;  // blocks of a grid that ends in a Total

inline Total total_to(const Context& context, double* to, double factor, Policy policy) {
  return {to, factor, policy, scratch_of<double>(context), counters_of(context)};
}

// Blocks of such a grid: at least one, that a sum of nothing is zero.
inline unsigned blocks_of_total(int64_t work, int64_t per_block) {
  return std::max(blocks_for(work, per_block, kMostPartials), 1u);
}

// The end of a kernel on a one-dimensional grid: every thread brings its part of the sums.
template <int N>
__device__ __forceinline__ void add_up(double (&sums)[N], const Total& total, BlockSums<N>& storage) {
  if (total.to == nullptr) return;
  block_sums(sums, storage);
  bool last = true;
  if (gridDim.x > 1) {
    if (threadIdx.x == 0) {
      for (int k = 0; k < N; ++k) total.partials[static_cast<int64_t>(blockIdx.x) * N + k] = sums[k];
    }
    last = last_block(total.counter, gridDim.x, storage.last);
    if (last) {
      for (int k = 0; k < N; ++k) sums[k] = 0.0;
      for (unsigned block = threadIdx.x; block < gridDim.x; block += kThreads) {
        for (int k = 0; k < N; ++k) sums[k] += total.partials[static_cast<int64_t>(block) * N + k];
      }
      block_sums(sums, storage);
    }
  }
  if (last && threadIdx.x == 0) {
    for (int k = 0; k < N; ++k) put(total.to + k, total.factor * sums[k], total.policy);
  }
}

template <int N, class F>
__global__ void __launch_bounds__(kThreads) sum_kernel(int64_t n, F f, Total total) {
  begin_kernel();
  double sums[N] = {};
  for (int64_t i = 4 * thread_of_grid(); i < n; i += 4 * threads_of_grid()) f(i, n - i, sums);
  add_up(sums, total, shared_storage<BlockSums<N>>());
}

// total = sums over [0, n) of what f(i, count, sums) adds for elements i .. i + 3, of which count are there
template <int N, class F>
void sum(Context& context, const char* name, int64_t n, const F& f, const Total& total) {
  const unsigned blocks = blocks_of_total(n, 16 * kThreads);
  launch(context, name, sum_kernel<N, F>, dim3(blocks), dim3(kThreads), sizeof(BlockSums<N>), n, f, total);
}

// A row is shared by a group of threads: a warp (kSize 32) or, where it is long, a block (kSize kThreads).
inline constexpr int64_t kLongRow = 1024;

struct GroupStorage {
  double warp[kWarps];
};

template <int kSize>
struct Group {
  static constexpr int kPerBlock = kThreads / kSize;
  GroupStorage& storage;

  __device__ int64_t first() const {
    return static_cast<int64_t>(blockIdx.x) * kPerBlock + threadIdx.x / kSize;
  }
  __device__ int64_t groups() const { return static_cast<int64_t>(gridDim.x) * kPerBlock; }
  __device__ int member() const { return static_cast<int>(threadIdx.x) % kSize; }

  __device__ void sync() const {
    if constexpr (kSize == 32) {
      sync_warp();
    } else {
      sync_block();
    }
  }

  // `combined`: the value of a thread's warp; combine(a, b) of all of them
  template <class F>
  __device__ double over_warps(double combined, const F& combine) const {
    if constexpr (kSize == 32) return combined;
    if (threadIdx.x % 32 == 0) storage.warp[threadIdx.x / 32] = combined;
    sync_block();
    double all = storage.warp[0];
    for (int warp = 1; warp < kWarps; ++warp) all = combine(all, storage.warp[warp]);
    sync_block();
    return all;
  }

  __device__ double sum(double value) const {
    return over_warps(warp_sum(value), [](double a, double b) { return a + b; });
  }
  template <class T>
  __device__ T largest(T value) const {
    return static_cast<T>(over_warps(warp_max(value), [](double a, double b) { return larger(a, b); }));
  }
};

// run(group size as a type, blocks): warps for short rows, blocks for long ones
template <int kSize>
struct GroupSize {
  static constexpr int value = kSize;
};
template <class F>
void with_group(int64_t rows, int64_t length, const F& run) {
  if (length <= kLongRow) {
    run(GroupSize<32>{}, ceil_div<int64_t>(rows, kWarps));
  } else {
    run(GroupSize<kThreads>{}, rows);
  }
}

}  // namespace nnx::cuda
