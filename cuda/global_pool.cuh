// Means and maxima over whole images.
#pragma once

#include "columns.cuh"
#include "points.cuh"

namespace nnx::cuda {

// Block (tile of channels, image).
template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    global_forward_kernel(int64_t n, int64_t pixels, int64_t channels, int across, const T* x, T* y) {
  begin_kernel();
  auto& storage = shared_storage<ColumnSums<1, W>>();
  const int down = kThreads / across, thread = static_cast<int>(threadIdx.x);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * across * W, col = first + thread % across * W;
  for (int64_t image = blockIdx.y; image < n; image += gridDim.y) {
    double parts[W] = {}, sums[1] = {};
    if (col < channels) {
#pragma unroll 4
      for (int64_t pixel = thread / across; pixel < pixels; pixel += down) {
        const Pack<T, W> values = load_pack<W>(x + (image * pixels + pixel) * channels + col);
#pragma unroll
        for (int k = 0; k < W; ++k) parts[k] += static_cast<double>(values.at[k]);
      }
    }
    sum_downwards(parts, across, storage, sums);
    if (thread < across * W && first + thread < channels) {
      y[image * channels + first + thread] = static_cast<T>(sums[0] / static_cast<double>(pixels));
    }
  }
}

template <class T>
static void global_average_forward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* x, T* y) {
  const bool packs = c % 4 == 0 && aligned(x);
  const int64_t width = packs ? c / 4 : c;
  const int across = threads_across(width);
  const dim3 grid(static_cast<unsigned>(ceil_div<int64_t>(width, across)), blocks_for(n, 1, 65535));
  launch(context, "global_avg_pool2d", packs ? global_forward_kernel<4, T> : global_forward_kernel<1, T>,
         grid, dim3(kThreads), packs ? sizeof(ColumnSums<1, 4>) : sizeof(ColumnSums<1, 1>), n, pixels, c,
         across, x, y);
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    global_backward_kernel(int64_t n, int64_t pixels, int64_t channels, const T* dy, Policy policy, T* dx) {
  begin_kernel();
  const T count = static_cast<T>(pixels);
  for_points<W>(n, pixels, 1, channels, [&](const Place& place) {
    Pack<T, W> share = load_pack<W>(dy + place.n * channels + place.c);
#pragma unroll
    for (int k = 0; k < W; ++k) share.at[k] /= count;
    put_pack(dx + place.at(1, channels), share, policy);
  });
}

template <class T>
static void global_average_backward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* dy,
                                    Policy policy, T* dx) {
  const int width = c % 4 == 0 && aligned(dy, dx) ? 4 : 1;
  launch_over(context, "global_avg_pool2d_backward",
              width == 4 ? global_backward_kernel<4, T> : global_backward_kernel<1, T>, n * pixels, c / width,
              n, pixels, c, dy, policy, dx);
}

// Each thread's maximum, and where it is; -1: a thread without pixels.
template <class T>
struct Maxima {
  T best[kThreads];
  int32_t where[kThreads];
};

// Whether one maximum wins over another, wherever they lie: a NaN does, then the larger, then the first.
template <class T>
__device__ __forceinline__ bool wins(T value, int32_t at, T best, int32_t where) {
  const bool first = at < where;
  if (value != value) return best == best || first;
  return best == best && (value > best || (value == best && first));
}

// Block (tile of channels, image).
template <class T>
__global__ void __launch_bounds__(kThreads) global_max_kernel(int64_t n, int64_t pixels, int64_t channels,
                                                              int across, const T* x, T* y, int32_t* index) {
  begin_kernel();
  auto& storage = shared_storage<Maxima<T>>();
  const int down = kThreads / across, thread = static_cast<int>(threadIdx.x);
  const int64_t col = static_cast<int64_t>(blockIdx.x) * across + thread % across;
  for (int64_t image = blockIdx.y; image < n; image += gridDim.y) {
    T best = T(0);
    int32_t where = -1;
    if (col < channels) {
      for (int64_t pixel = thread / across; pixel < pixels; pixel += down) {
        const T value = x[(image * pixels + pixel) * channels + col];
        if (where >= 0 && !wins(value, static_cast<int32_t>(pixel), best, where)) continue;
        best = value;
        where = static_cast<int32_t>(pixel);
      }
    }
    storage.best[thread] = best;
    storage.where[thread] = where;
    sync_block();
    if (thread < across && col < channels) {
      for (int other = thread + across; other < kThreads && storage.where[other] >= 0; other += across) {
        if (!wins(storage.best[other], storage.where[other], best, where)) continue;
        best = storage.best[other];
        where = storage.where[other];
      }
      y[image * channels + col] = best;
      if (index != nullptr) index[image * channels + col] = where;
    }
    sync_block();
  }
}

template <class T>
static void global_max_forward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* x, T* y,
                               int32_t* index) {
  const int across = threads_across(c);
  const dim3 grid(static_cast<unsigned>(ceil_div<int64_t>(c, across)), blocks_for(n, 1, 65535));
  launch(context, "global_max_pool2d", global_max_kernel<T>, grid, dim3(kThreads), sizeof(Maxima<T>), n,
         pixels, c, across, x, y, index);
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    global_max_backward_kernel(int64_t n, int64_t pixels, int64_t channels, const T* dy, const int32_t* index,
                               Policy policy, T* dx) {
  begin_kernel();
  for_points<W>(n, pixels, 1, channels, [&](const Place& place) {
    Pack<T, W> share = load_pack<W>(dy + place.n * channels + place.c);
    const Pack<int32_t, W> where = load_pack<W>(index + place.n * channels + place.c);
#pragma unroll
    for (int k = 0; k < W; ++k) {
      if (where.at[k] != place.row) share.at[k] = T(0);
    }
    put_pack(dx + place.at(1, channels), share, policy);
  });
}

template <class T>
static void global_max_backward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* dy,
                                const int32_t* index, Policy policy, T* dx) {
  const int width = c % 4 == 0 && aligned(dy, dx) && aligned(index) ? 4 : 1;
  launch_over(context, "global_max_pool2d_backward",
              width == 4 ? global_max_backward_kernel<4, T> : global_max_backward_kernel<1, T>, n * pixels,
              c / width, n, pixels, c, dy, index, policy, dx);
}

}  // namespace nnx::cuda
