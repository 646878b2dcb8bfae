// Convolution's operands: images read through windows. The element of output pixel p and tap t lies at the
// place of p plus the place of t, so a convolution is a matrix product whose matrix of patches is never
// stored.
#pragma once

#include "gemm_readers.cuh"
#include "kernels/conv2d.h"

namespace nnx::cuda {

// Which index a window's pixels are, and which its taps. The first has k, the taps, lie together in memory;
// the others copy neighbouring rows at once: pixels, where images have so few channels that a tap is not
// worth a copy, or channels.
enum class WindowRole : int32_t { pixels_by_taps, pixels_by_few_taps, taps_by_pixels };

// Pixel (image, i, j) looks at image[i stride_h + first_h + ty move_h][j stride_w + first_w + tx move_w]
// through tap (ty, tx, channel).
template <class T, WindowRole role>
struct WindowReader {
  static constexpr bool kAlongK = role == WindowRole::pixels_by_taps;
  static constexpr bool kTapsFixed = role == WindowRole::taps_by_pixels;
  static constexpr bool kLooksUp = true, kKeepsRunning = kTapsFixed;
  const T* data;  // of the group's first channel
  int h, w;
  int stride;  // from image column to column: the channels of all groups
  int64_t image_stride;
  int first_h, first_w, stride_h, stride_w, move_h, move_w;
  Divider image_pixels, row_pixels;  // of the windows
  Divider channels, kernel_w;
  int pixels, taps;  // taps: times channels
  bool vector;

  __device__ __forceinline__ Place pixel(int p) const {
    int in_image, j;
    const int image = image_pixels(p, in_image);
    const int i = row_pixels(in_image, j);
    const int y = i * stride_h + first_h, x = j * stride_w + first_w;
    return {image * image_stride + static_cast<int64_t>(y * w + x) * stride, p < pixels ? y : kNowhere, x};
  }
  __device__ __forceinline__ Place tap(int t) const {
    int channel, tx;
    const int ty = kernel_w(channels(t, channel), tx);
    const int y = ty * move_h, x = tx * move_w;
    return {static_cast<int64_t>(y * w + x) * stride + channel, t < taps ? y : kNowhere, x};
  }
  __device__ __forceinline__ Place fixed(int64_t i) const {
    return kTapsFixed ? tap(static_cast<int>(i)) : pixel(static_cast<int>(i));
  }
  __device__ __forceinline__ Place running(int k) const { return kTapsFixed ? pixel(k) : tap(k); }
  __device__ __forceinline__ bool is_inside(const Place& a, const Place& b) const {
    return static_cast<uint32_t>(a.y + b.y) < static_cast<uint32_t>(h) &&
           static_cast<uint32_t>(a.x + b.x) < static_cast<uint32_t>(w);
  }
};

// The weights as the input's gradient sees them: k = (ty, tx, filter), n = channel. Its taps are every
// step-th of the kernel's from (tap_h, tap_w) on.
template <class T>
struct GradientTaps {
  static constexpr bool kAlongK = true;
  static constexpr bool kLooksUp = false, kKeepsRunning = false;
  const T* data;  // of the group's first filter: (kh, kw, channels, filters)
  int64_t tap_stride, channel_stride;
  int channels, kernel_w;
  int tap_h, tap_w, step_h, step_w;
  Divider filters, taps_w;
  int taps;  // times filters
  bool vector;

  __device__ __forceinline__ Place fixed(int64_t n) const {
    return {n * channel_stride, n < channels ? 0 : kNowhere, 0};
  }
  __device__ __forceinline__ Place running(int k) const {
    int filter, tx;
    const int ty = taps_w(filters(k, filter), tx);
    const int at = (tap_h + ty * step_h) * kernel_w + tap_w + tx * step_w;
    return {at * tap_stride + filter, k < taps ? 0 : kNowhere, 0};
  }
  __device__ __forceinline__ bool is_inside(const Place& a, const Place& b) const { return (a.y | b.y) == 0; }
};

// One axis of the input's gradient at the input points phase, phase + stride, ...: those see the same taps,
// tap, tap + step, ..; point i sees output first + i + t move through the t-th.
struct PhaseAxis {
  int points, taps, tap, first, move;

  static __host__ __device__ PhaseAxis of(int phase, int size, int kernel, int stride, int pad, int dilation,
                                          int step) {
    PhaseAxis axis{};
    axis.points = phase < size ? (size - phase + stride - 1) / stride : 0;
    const int residue = (phase + pad) % stride;
    while (axis.tap < step && axis.tap < kernel && axis.tap * dilation % stride != residue) ++axis.tap;
    axis.taps = axis.tap < step && axis.tap < kernel ? (kernel - axis.tap + step - 1) / step : 0;
    // Without taps there is nothing to see, from anywhere.
    axis.first = axis.taps > 0 ? (phase + pad - axis.tap * dilation) / stride : 0;
    axis.move = -(step * dilation / stride);
    return axis;
  }
};

// Where the points of a phase lie in the input.
struct PhaseRows {
  Divider image_points, row_points;
  int h, w, phase_h, phase_w, stride_h, stride_w;
  int64_t channels;

  __device__ __forceinline__ int64_t offset(int64_t m) const {
    int in_image, j;
    const int64_t image = image_points(static_cast<int>(m), in_image);
    const int i = row_points(in_image, j);
    return ((image * h + phase_h + i * stride_h) * w + phase_w + j * stride_w) * channels;
  }
};

}  // namespace nnx::cuda
