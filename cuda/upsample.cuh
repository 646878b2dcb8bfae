// Images made larger by whole factors, and their gradients: each point is written once.
#pragma once

#include "kernels/pool2d.h"
#include "points.cuh"

namespace nnx::cuda {

// The two points of one axis that an output point lies between, and its distance from the first.
struct Between {
  int64_t lower, upper;
  double part;
};

// Centres lie at half points: output i at (i + 1/2) / scale - 1/2 = (2 i + 1 - scale) / (2 scale).
__device__ __forceinline__ Between between(int64_t i, int64_t scale, int64_t extent) {
  const int64_t at = 2 * i + 1 - scale, unit = 2 * scale;
  if (at <= 0) return {0, 0, 0.0};
  const Split place = split(at, unit);
  return {place.quotient, min(place.quotient + 1, extent - 1),
          static_cast<double>(place.remainder) / static_cast<double>(unit)};
}

// The share that a point has in one that lies between two.
__device__ __forceinline__ double share(const Between& between, int64_t point) {
  return (between.lower == point ? 1.0 - between.part : 0.0) + (between.upper == point ? between.part : 0.0);
}

template <int W, class T>
__device__ __forceinline__ Pack<T, W> mix(const Pack<T, W>& a, const Pack<T, W>& b, double part) {
  Pack<T, W> mixed;
#pragma unroll
  for (int k = 0; k < W; ++k) mixed.at[k] = a.at[k] + (b.at[k] - a.at[k]) * static_cast<T>(part);
  return mixed;
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads) upsample_kernel(UpsampleShape s, const T* x, T* y) {
  begin_kernel();
  const int64_t oh = s.h * s.scale_h, ow = s.w * s.scale_w;
  for_points<W>(s.n, oh, ow, s.c, [&](const Place& place) {
    const T* const image = x + place.n * s.h * s.w * s.c + place.c;
    const auto at = [&](int64_t row, int64_t col) { return load_pack<W>(image + (row * s.w + col) * s.c); };
    const int64_t to = place.at(ow, s.c);
    if (!s.bilinear) {
      store_pack(y + to, at(split(place.row, s.scale_h).quotient, split(place.col, s.scale_w).quotient));
      return;
    }
    const Between down = between(place.row, s.scale_h, s.h), across = between(place.col, s.scale_w, s.w);
    const auto above = mix(at(down.lower, across.lower), at(down.lower, across.upper), across.part);
    const auto below = mix(at(down.upper, across.lower), at(down.upper, across.upper), across.part);
    store_pack(y + to, mix(above, below, down.part));
  });
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    upsample_backward_kernel(UpsampleShape s, const T* dy, Policy policy, T* dx) {
  begin_kernel();
  const int64_t oh = s.h * s.scale_h, ow = s.w * s.scale_w, around = s.bilinear ? 1 : 0;
  for_points<W>(s.n, s.h, s.w, s.c, [&](const Place& place) {
    const T* const image = dy + place.n * oh * ow * s.c + place.c;
    const int64_t bottom = min(place.row + 1 + around, s.h) * s.scale_h;
    const int64_t right = min(place.col + 1 + around, s.w) * s.scale_w;
    Pack<T, W> sums{};
    for (int64_t i = max(place.row - around, int64_t{0}) * s.scale_h; i < bottom; ++i) {
      const double down = s.bilinear ? share(between(i, s.scale_h, s.h), place.row) : 1.0;
      for (int64_t j = max(place.col - around, int64_t{0}) * s.scale_w; j < right; ++j) {
        const double across = s.bilinear ? share(between(j, s.scale_w, s.w), place.col) : 1.0;
        const Pack<T, W> slopes = load_pack<W>(image + (i * ow + j) * s.c);
#pragma unroll
        for (int k = 0; k < W; ++k) sums.at[k] += slopes.at[k] * static_cast<T>(down * across);
      }
    }
    put_pack(dx + place.at(s.w, s.c), sums, policy);
  });
}

template <class T>
static void upsample_forward(Context& context, const UpsampleShape& s, const T* x, T* y) {
  const int width = s.c % 4 == 0 && aligned(x, y) ? 4 : 1;
  launch_over(context, "upsample2d", width == 4 ? upsample_kernel<4, T> : upsample_kernel<1, T>,
              s.n * s.h * s.scale_h, s.w * s.scale_w * (s.c / width), s, x, y);
}

template <class T>
static void upsample_backward(Context& context, const UpsampleShape& s, const T* dy, Policy policy, T* dx) {
  const int width = s.c % 4 == 0 && aligned(dy, dx) ? 4 : 1;
  launch_over(context, "upsample2d_backward",
              width == 4 ? upsample_backward_kernel<4, T> : upsample_backward_kernel<1, T>, s.n * s.h,
              s.w * (s.c / width), s, dy, policy, dx);
}

}  // namespace nnx::cuda
