#include "core/image_map.h"
#include "kernels/augment.h"
#include "reduce.cuh"
#include "table.h"

namespace nnx::cuda {

constexpr int64_t kTile = 8 * kThreads;  // elements of a sample that a block writes

// The up to four points of an image that an output point is made of. point: -1: the fill value; weight: 0:
// not read.
template <class T>
struct Corners {
  int64_t point[4];
  T weight[4];
};

template <class T>
__device__ __forceinline__ Corners<T> corners_of(const WarpShape& s, const Warp& warp, const ImageMap& map,
                                                 int64_t i, int64_t j) {
  Tap row, column;
  taps_at(map, warp, s.h, s.w, i, j, row, column);
  int64_t rows[2], columns[2];
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    rows[k] = source(row.first + k, s.h, warp.fill, map.flip_rows);
    columns[k] = source(column.first + k, s.w, warp.fill, map.flip_columns);
  }
  const double down[] = {1.0 - row.fraction, row.fraction};
  const double right[] = {1.0 - column.fraction, column.fraction};
  Corners<T> corners;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const int64_t r = rows[k / 2], c = columns[k % 2];
    corners.point[k] = r < 0 || c < 0 ? -1 : r * s.w + c;
    corners.weight[k] = static_cast<T>(down[k / 2] * right[k % 2]);
  }
  return corners;
}

// A block writes tile after tile; the first thread draws for the sample that a tile belongs to.
template <class T>
__global__ void __launch_bounds__(kThreads)
    warp_kernel(WarpShape s, Warp warp, int64_t tiles, const T* x, T* y) {
  begin_kernel();
  ImageMap& map = shared_storage<ImageMap>();
  const int64_t elements = s.oh * s.ow * s.c;
  for (int64_t item = blockIdx.x; item < s.n * tiles; item += gridDim.x) {
    const int64_t n = item / tiles, begin = item % tiles * kTile;
    if (threadIdx.x == 0) map = draw_map(warp, s.h, s.w, s.oh, s.ow, n);
    sync_block();
    const T* const image = x + n * s.h * s.w * s.c;
    for (int64_t k = begin + threadIdx.x; k < begin + kTile && k < elements; k += kThreads) {
      const Split point = split(k, s.c), place = split(point.quotient, s.ow);
      const Corners<T> corners = corners_of<T>(s, warp, map, place.quotient, place.remainder);
      T sum = 0;
#pragma unroll
      for (int corner = 0; corner < 4; ++corner) {
        if (corners.weight[corner] == 0) continue;
        const int64_t from = corners.point[corner];
        sum += corners.weight[corner] *
               (from < 0 ? static_cast<T>(warp.fill_value) : image[from * s.c + point.remainder]);
      }
      y[n * elements + k] = sum;
    }
    sync_block();
  }
}

template <class T>
static void warp(Context& context, const WarpShape& s, const Warp& warp, const T* x, T* y) {
  const int64_t tiles = ceil_div(s.oh * s.ow * s.c, kTile);
  launch(context, "warp", warp_kernel<T>, dim3(blocks_for(s.n * tiles, 1)), dim3(kThreads), sizeof(ImageMap),
         s, warp, tiles, x, y);
}

// A thread takes one channel of one sample: its sums are added up in the order of the output's points.
template <class T>
__global__ void __launch_bounds__(kThreads)
    warp_backward_kernel(WarpShape s, Warp warp, const T* dy, Policy policy, T* dx) {
  begin_kernel();
  for (int64_t item = thread_of_grid(); item < s.n * s.c; item += threads_of_grid()) {
    const Split channel = split(item, s.c);
    const ImageMap map = draw_map(warp, s.h, s.w, s.oh, s.ow, channel.quotient);
    T* const image = dx + channel.quotient * s.h * s.w * s.c + channel.remainder;
    const T* from = dy + channel.quotient * s.oh * s.ow * s.c + channel.remainder;
    if (policy == Policy::assign) {
      for (int64_t k = 0; k < s.h * s.w; ++k) image[k * s.c] = 0;
    }
    for (int64_t i = 0; i < s.oh; ++i) {
      for (int64_t j = 0; j < s.ow; ++j, from += s.c) {
        const Corners<T> corners = corners_of<T>(s, warp, map, i, j);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          if (corners.point[k] >= 0 && corners.weight[k] != 0)
            image[corners.point[k] * s.c] += corners.weight[k] * *from;
        }
      }
    }
  }
}

template <class T>
static void warp_backward(Context& context, const WarpShape& s, const Warp& warp, const T* dy, Policy policy,
                          T* dx) {
  launch(context, "warp_backward", warp_backward_kernel<T>, dim3(blocks_for(s.n * s.c, kThreads)),
         dim3(kThreads), 0, s, warp, dy, policy, dx);
}

struct ContrastStorage {
  BlockSums<1> sums;
  double factor;
};

// The mean of term(element) over the points of a channel, for all threads of the block.
template <class F>
__device__ __forceinline__ double mean_of(const ContrastShape& s, int64_t first, BlockSums<1>& storage,
                                          const F& term) {
  double sums[1] = {0.0};
  for (int64_t p = threadIdx.x; p < s.points; p += kThreads) sums[0] += term(first + p * s.c);
  block_sums(sums, storage);
  return sums[0] / static_cast<double>(s.points);
}

// A block takes one channel of one sample after the other. dy: null in the forward pass, which writes y to
// `to`
template <class T>
__global__ void __launch_bounds__(kThreads)
    contrast_kernel(ContrastShape s, Contrast contrast, const T* dy, const T* x, Policy policy, T* to) {
  begin_kernel();
  ContrastStorage& storage = shared_storage<ContrastStorage>();
  const T floor = static_cast<T>(contrast.floor), ceiling = static_cast<T>(contrast.ceiling);
  for (int64_t item = blockIdx.x; item < s.n * s.c; item += gridDim.x) {
    const int64_t n = item / s.c, first = n * s.points * s.c + item % s.c;
    if (threadIdx.x == 0) {
      storage.factor = between(contrast.low, contrast.high, row_words(contrast.key, n).word[0]);
    }
    sync_block();
    const double factor = storage.factor;
    const T by = static_cast<T>(factor);
    const T mean =
        static_cast<T>(mean_of(s, first, storage.sums, [&](int64_t i) { return static_cast<double>(x[i]); }));
    const auto stretched = [&](int64_t i) { return (x[i] - mean) * by + mean; };
    if (dy == nullptr) {
      for (int64_t p = threadIdx.x; p < s.points; p += kThreads) {
        const T value = stretched(first + p * s.c);
        to[first + p * s.c] = value < floor ? floor : value > ceiling ? ceiling : value;
      }
    } else {
      const auto slope = [&](int64_t i) {
        const T value = stretched(i);
        return value < floor || value > ceiling ? T(0) : dy[i];
      };
      const double slopes =
          mean_of(s, first, storage.sums, [&](int64_t i) { return static_cast<double>(slope(i)); });
      for (int64_t p = threadIdx.x; p < s.points; p += kThreads) {
        const int64_t i = first + p * s.c;
        put(to + i, by * slope(i) + static_cast<T>((1.0 - factor) * slopes), policy);
      }
    }
    sync_block();
  }
}

template <class T>
static void contrast(Context& context, const ContrastShape& s, const Contrast& contrast, const T* x, T* y) {
  launch(context, "contrast", contrast_kernel<T>, dim3(blocks_for(s.n * s.c, 1)), dim3(kThreads),
         sizeof(ContrastStorage), s, contrast, static_cast<const T*>(nullptr), x, Policy::assign, y);
}

template <class T>
static void contrast_backward(Context& context, const ContrastShape& s, const Contrast& contrast, const T* dy,
                              const T* x, Policy policy, T* dx) {
  launch(context, "contrast_backward", contrast_kernel<T>, dim3(blocks_for(s.n * s.c, 1)), dim3(kThreads),
         sizeof(ContrastStorage), s, contrast, dy, x, policy, dx);
}

template <class T>
void fill(kernels::AugmentKernels<T>& table) {
  table.warp = warp<T>;
  table.warp_backward = warp_backward<T>;
  table.contrast = contrast<T>;
  table.contrast_backward = contrast_backward<T>;
}

template void fill(kernels::AugmentKernels<float>&);
template void fill(kernels::AugmentKernels<double>&);

}  // namespace nnx::cuda
