// The counts that metrics are made of. Counts are whole numbers, exact in double.
#pragma once

#include "columns.cuh"
#include "kernels/loss.h"

namespace nnx::cuda {

// The first largest, or the first NaN.
template <class T>
struct Best {
  T value;
  int64_t at;
};

template <class T>
__device__ __forceinline__ Best<T> better(const Best<T>& a, const Best<T>& b) {
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  const bool equal = a_nan || b_nan ? a_nan == b_nan : a.value == b.value;
  const bool b_wins = equal ? b.at < a.at : b_nan || (!a_nan && b.value > a.value);
  return b_wins ? b : a;
}

// Of a row, by the lanes of a warp.
template <class T>
__device__ __forceinline__ int64_t argmax(int64_t n, const T* row) {
  Best<T> best{-std::numeric_limits<T>::infinity(), n};
  for (int64_t i = threadIdx.x % 32; i < n; i += 32) best = better(best, Best<T>{row[i], i});
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    best = better(best, Best<T>{shuffle_xor(best.value, mask), shuffle_xor(best.at, mask)});
  }
  return best.at;
}

template <class T>
__device__ __forceinline__ int64_t target_of(const ClassTargets<T>& targets, int64_t row, int64_t classes) {
  return targets.labels != nullptr ? targets.labels[row] : argmax(classes, targets.one_hot + row * classes);
}

// A warp to a row.
template <class T>
__global__ void __launch_bounds__(kThreads)
    top_k_kernel(int64_t rows, int64_t classes, const T* z, ClassTargets<T> targets, int64_t k, Total total) {
  begin_kernel();
  double hits[1] = {};
  for (int64_t r = thread_of_grid() / 32; r < rows; r += threads_of_grid() / 32) {
    const T* row = z + r * classes;
    const int64_t target = target_of(targets, r, classes);
    const T score = row[target];
    int ahead = 0, undefined = 0;
    for (int64_t c = threadIdx.x % 32; c < classes; c += 32) {
      ahead += row[c] > score || (row[c] == score && c < target);
      undefined += row[c] != row[c];
    }
    ahead = warp_sum(ahead);
    undefined = warp_sum(undefined);
    if (threadIdx.x % 32 == 0 && ahead < k && undefined == 0) hits[0] += 1.0;
  }
  add_up(hits, total, shared_storage<BlockSums<1>>());
}

template <class T>
static void count_top_k(Context& context, int64_t rows, int64_t classes, const T* z, ClassTargets<T> targets,
                        int64_t k, double* count) {
  launch(context, "count_top_k", top_k_kernel<T>, dim3(blocks_of_total(rows, kWarps)), dim3(kThreads),
         sizeof(BlockSums<1>), rows, classes, z, targets, k,
         total_to(context, count, 1.0, Policy::accumulate));
}

// [t > 0.5][p > threshold], N of 4; or whether the two are equal, N of 1. A NaN is on the wrong side.
template <class T>
struct CountBinary {
  const T *p, *t;
  T threshold;
  bool whole;
  template <int N>
  __device__ void operator()(int64_t i, int64_t count, double (&sums)[N]) const {
    const Pack<T, 4> p4 = load_four(p + i, count, whole), t4 = load_four(t + i, count, whole);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const bool is = t4.at[k] > T(0.5), said = p4.at[k] == p4.at[k] ? p4.at[k] > threshold : !is;
      if (k >= count) continue;
      if constexpr (N == 1) {
        sums[0] += said == is;
      } else {
#pragma unroll
        for (int cell = 0; cell < N; ++cell) sums[cell] += 2 * is + said == cell;
      }
    }
  }
};

template <class T>
static void count_binary(Context& context, int64_t n, const T* p, const T* t, double threshold,
                         double* count) {
  sum<1>(context, "count_binary", n, CountBinary<T>{p, t, static_cast<T>(threshold), aligned(p, t)},
         total_to(context, count, 1.0, Policy::accumulate));
}

template <class T>
static void binary_confusion(Context& context, int64_t n, const T* p, const T* t, double threshold,
                             double* matrix) {
  sum<4>(context, "binary_confusion", n, CountBinary<T>{p, t, static_cast<T>(threshold), aligned(p, t)},
         total_to(context, matrix, 1.0, Policy::accumulate));
}

struct CellStorage {
  int64_t cells[kThreads];
  bool last;
};

// A warp to a row finds its cell; the last block adds them up, kThreads at a time: the first thread of those
// with the same cell adds for all of them.
template <class T>
__global__ void __launch_bounds__(kThreads)
    confusion_kernel(int64_t rows, int64_t classes, const T* z, ClassTargets<T> targets, int64_t* cells,
                     unsigned* counter, double* matrix) {
  begin_kernel();
  auto& storage = shared_storage<CellStorage>();
  for (int64_t r = thread_of_grid() / 32; r < rows; r += threads_of_grid() / 32) {
    const T* row = z + r * classes;
    const int64_t target = target_of(targets, r, classes);
    int64_t best = argmax(classes, row);
    if (best == target && row[best] != row[best]) best = target == 0 ? 1 : 0;
    if (threadIdx.x % 32 == 0) cells[r] = best < classes ? target * classes + best : -1;
  }
  const int64_t to_count = last_block(counter, gridDim.x, storage.last) ? rows : 0;
  const int thread = static_cast<int>(threadIdx.x);
  for (int64_t begin = 0; begin < to_count; begin += kThreads) {
    const int64_t mine = begin + thread < rows ? cells[begin + thread] : -1;
    storage.cells[thread] = mine;
    sync_block();
    bool first = mine >= 0;
    int count = 0;
    for (int other = 0; other < kThreads; ++other) {
      const bool same = storage.cells[other] == mine;
      count += same;
      first = first && !(same && other < thread);
    }
    if (first) matrix[mine] += static_cast<double>(count);
    sync_block();
  }
}

template <class T>
static void confusion(Context& context, int64_t rows, int64_t classes, const T* z, ClassTargets<T> targets,
                      double* matrix) {
  constexpr int64_t kMostRows = kUsableScratch / static_cast<int64_t>(sizeof(int64_t));
  for (int64_t begin = 0; begin < rows; begin += kMostRows) {
    const int64_t count = std::min(rows - begin, kMostRows);
    ClassTargets<T> part;
    if (targets.labels != nullptr) part.labels = targets.labels + begin;
    if (targets.one_hot != nullptr) part.one_hot = targets.one_hot + begin * classes;
    launch(context, "confusion", confusion_kernel<T>, dim3(blocks_for(count, kWarps)), dim3(kThreads),
           sizeof(CellStorage), count, classes, z + begin * classes, part, scratch_of<int64_t>(context),
           counters_of(context), matrix);
  }
}

struct NoColumns {};

template <class T>
struct RegressionTerms {
  const T *y, *t;
  template <int W>
  __device__ NoColumns columns(int64_t, int64_t) const {
    return {};
  }
  template <int W>
  __device__ void add(int64_t at, NoColumns, double (&sums)[4]) const {
    const double target = static_cast<double>(t[at]), error = static_cast<double>(y[at]) - target;
    sums[0] += error * error;
    sums[1] += fabs(error);
    sums[2] += target;
    sums[3] += target * target;
  }
};

struct AddToColumn {
  double* to;
  __device__ void operator()(int64_t col, const double (&sums)[4]) const {
    for (int k = 0; k < 4; ++k) to[4 * col + k] += sums[k];
  }
};

template <class T>
static void regression_sums(Context& context, int64_t rows, int64_t cols, const T* y, const T* t,
                            double* to) {
  column_sums_of<4, 1>(context, "regression_sums", rows, cols, RegressionTerms<T>{y, t}, AddToColumn{to});
}

}  // namespace nnx::cuda
