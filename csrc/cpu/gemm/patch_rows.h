// Images as the rows of forward passes and input gradients: pointers to the points that a window touches.
#pragma once

#include "cpu/gemm/patches.h"

namespace nnx::cpu::NNX_ISA {

// One axis of a window: point i of the result looks at the source points origin + i * origin_step +
// displacement(t). Forward, the result is the output and the source the input. For the input gradient it is
// the other way round, for the input points result, result + result_step, ... that share a phase of the
// stride and the taps that reach them: every tap_step-th from tap_first on.
struct WindowAxis {
  int64_t count, result, result_step;
  int64_t extent, origin, origin_step;
  int64_t taps, tap_first, tap_step;
  int64_t displacement_first, displacement_step;

  int64_t tap(int64_t t) const { return tap_first + t * tap_step; }
  int64_t displacement(int64_t t) const { return displacement_first + t * displacement_step; }
  bool inside(int64_t from) const {
    const int64_t a = from + displacement_first, b = from + displacement(taps - 1);
    return a >= 0 && a < extent && b >= 0 && b < extent;
  }
};

NNX_INLINE WindowAxis forward_axis(int64_t out, int64_t in, int64_t kernel, int64_t stride, int64_t pad,
                                   int64_t dilation) {
  return {out, 0, 1, in, -pad, stride, kernel, 0, 1, 0, dilation};
}

NNX_INLINE WindowAxis gradient_axis(int64_t phase, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                                    int64_t pad, int64_t dilation) {
  WindowAxis axis{ceil_div(in - phase, stride), phase, stride, out, 0, 1, 0, 0, 1, 0, 0};
  // Tap k reaches the phase where phase + pad - k * dilation is a multiple of the stride.
  // A kernel's taps are few, strides need not be; no tap beyond the kernel is asked for.
  const int64_t most = min_of(stride, kernel);
  while (axis.tap_step < most && axis.tap_step * dilation % stride != 0) ++axis.tap_step;
  while (axis.tap_first < kernel && (phase + pad - axis.tap_first * dilation) % stride != 0) ++axis.tap_first;
  if (axis.tap_first >= kernel) return axis;
  axis.taps = ceil_div(kernel - axis.tap_first, axis.tap_step);
  axis.displacement_first = (phase + pad - axis.tap_first * dilation) / stride;
  axis.displacement_step = -axis.tap_step * dilation / stride;
  return axis;
}

// Rows are the points of the result; the reduction runs over (taps, channels of the group in the source).
template <class T>
struct WindowRows {
  const T* source;  // moved to the group's first channel
  int64_t images;
  WindowAxis vertical, horizontal;
  int64_t source_pixel, result_pixel;  // elements of a pixel, all groups
  int64_t result_height, result_width;
  ChannelRuns<T> runs;

  int64_t rows() const { return images * vertical.count * horizontal.count; }
  int64_t segments() const { return vertical.taps * horizontal.taps * runs.parts(); }
  int64_t length(int64_t s) const { return runs.length(s % runs.parts()); }
  int64_t offset(int64_t s) const { return s / runs.parts() * runs.channels + runs.begin(s % runs.parts()); }
  int64_t storage_elements() const { return 0; }
  Position position(int64_t row) const { return Position::of(row, vertical.count, horizontal.count); }

  void result_offsets(int64_t row, int64_t height, int64_t* to) const {
    Position at = position(row);
    for (int64_t m = 0; m < height; ++m, at.next()) {
      const int64_t y = vertical.result + at.i * vertical.result_step;
      const int64_t x = horizontal.result + at.j * horizontal.result_step;
      to[m] = ((at.n * result_height + y) * result_width + x) * result_pixel;
    }
  }

  void locate(int64_t row, int64_t height, int64_t s0, int64_t s1, const T** to, T*) const {
    Position at = position(row);
    const int64_t first_tap = s0 / runs.parts(), first_part = s0 % runs.parts();
    for (int64_t m = 0; m < height; ++m, ++to, at.next()) {
      const int64_t y0 = vertical.origin + at.i * vertical.origin_step;
      const int64_t x0 = horizontal.origin + at.j * horizontal.origin_step;
      const T* const image = source + at.n * vertical.extent * horizontal.extent * source_pixel;
      const bool inside = vertical.inside(y0) && horizontal.inside(x0);
      int64_t part = first_part, kw = first_tap % horizontal.taps;
      int64_t y = y0 + vertical.displacement(first_tap / horizontal.taps),
              x = x0 + horizontal.displacement(kw);
      for (int64_t s = s0; s < s1; ++s) {
        const bool valid = inside || (y >= 0 && y < vertical.extent && x >= 0 && x < horizontal.extent);
        const T* const point = image + (y * horizontal.extent + x) * source_pixel + runs.begin(part);
        to[(s - s0) * kTileRows] = valid ? point : kZeros<T>;
        if (++part < runs.parts()) continue;
        part = 0;
        x += horizontal.displacement_step;
        if (++kw < horizontal.taps) continue;
        kw = 0;
        x = x0 + horizontal.displacement_first;
        y += vertical.displacement_step;
      }
    }
  }
};

// Forward with few channels where image_rows.h does not apply: whole patches, copied.
template <class T>
struct CopiedRows {
  const Conv2dShape& s;
  const T* x;

  int64_t segments() const { return 1; }
  int64_t length(int64_t) const { return s.kh * s.kw * s.c; }
  int64_t offset(int64_t) const { return 0; }
  int64_t storage_elements() const { return s.kh * s.kw * s.c; }
  void result_offsets(int64_t row, int64_t height, int64_t* to) const {
    for (int64_t m = 0; m < height; ++m) to[m] = (row + m) * s.o;
  }
  void locate(int64_t row, int64_t height, int64_t, int64_t, const T** to, T* storage) const {
    Position at = Position::of(row, s.oh, s.ow);
    for (int64_t m = 0; m < height; ++m, at.next(), storage += storage_elements()) {
      gather_patch(s, x, at, storage);
      to[m] = storage;
    }
  }
};

// B of the input gradient: (taps of the phase, output channels) x input channels, from w (kh, kw, c / groups,
// o).
template <class T>
struct GradientColumns {
  const Conv2dShape& s;
  const WindowAxis &vertical, &horizontal;
  const T* w;  // moved to the group's first output channel

  int64_t stride() const { return 0; }
  const T* direct(int64_t, int64_t) const { return nullptr; }
  void pack(int64_t k, int64_t depth, int64_t column, int64_t count, T* to) const {
    const int64_t inputs = s.c / s.groups, outputs = s.o / s.groups;
    while (depth > 0) {
      const int64_t tap = k / outputs, channel = k % outputs;
      const int64_t run = min_of(depth, outputs - channel);
      const int64_t kh = vertical.tap(tap / horizontal.taps), kw = horizontal.tap(tap % horizontal.taps);
      const T* const from = w + ((kh * s.kw + kw) * inputs + column) * s.o + channel;
      pack_transposed(from, s.o, run, count, to);
      to += run * kTileColumns<T>;
      k += run;
      depth -= run;
    }
  }
};

}  // namespace nnx::cpu::NNX_ISA
