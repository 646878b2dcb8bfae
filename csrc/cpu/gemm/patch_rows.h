// Images as the rows of forward passes and input gradients.
#pragma once

#include "cpu/gemm/patches.h"

namespace nnx::cpu::NNX_ISA {

// Forward: rows are output pixels, the reduction runs over (kh, kw, channels of the group).
template <class T>
struct PatchRows {
  const Conv2dShape& s;
  const T* x;   // moved to the group's first channel
  bool gather;  // copy whole patches instead of pointing at every tap
  ChannelRuns<T> runs;

  PatchRows(const Conv2dShape& shape, const T* image)
      : s(shape), x(image), gather(gathers(shape, kBlockDepth<T>)), runs{shape.c / shape.groups} {}

  int64_t segments() const { return gather ? 1 : s.kh * s.kw * runs.parts(); }
  int64_t length(int64_t i) const { return gather ? s.kh * s.kw * s.c : runs.length(i % runs.parts()); }
  int64_t offset(int64_t i) const {
    return gather ? 0 : i / runs.parts() * runs.channels + runs.begin(i % runs.parts());
  }
  int64_t storage_elements() const { return gather ? s.kh * s.kw * s.c : 0; }
  int64_t result_offset(int64_t row) const { return row * s.o; }

  void locate(int64_t row, int64_t s0, int64_t s1, const T** to, T* storage) const {
    const int64_t ow = row % s.ow, oh = row / s.ow % s.oh, n = row / (s.ow * s.oh);
    if (gather) {
      gather_patch(s, x, n, oh, ow, storage);
      *to = storage;
      return;
    }
    const T* const image = x + n * s.h * s.w * s.c;
    const int64_t h0 = oh * s.stride_h - s.pad_top, w0 = ow * s.stride_w - s.pad_left;
    const int64_t parts = runs.parts();
    int64_t part = s0 % parts, kw = s0 / parts % s.kw, kh = s0 / parts / s.kw;
    for (int64_t i = s0; i < s1; ++i, to += kTileRows) {
      const int64_t ih = h0 + kh * s.dilation_h, iw = w0 + kw * s.dilation_w;
      const bool valid = ih >= 0 && ih < s.h && iw >= 0 && iw < s.w;
      *to = valid ? image + (ih * s.w + iw) * s.c + runs.begin(part) : kZeros<T>;
      if (++part == parts) {
        part = 0;
        if (++kw == s.kw) kw = 0, ++kh;
      }
    }
  }
};

// One axis of an input gradient: the input points first, first + stride, ... that share a phase of the
// stride, and the taps that reach them: every tap_step-th from tap_first on. Point i reads output i +
// shift(j) under tap j.
struct PhaseAxis {
  int64_t first, count, stride;
  int64_t tap_first, tap_step, tap_count;
  int64_t shift_first, shift_step;

  int64_t tap(int64_t j) const { return tap_first + j * tap_step; }
  int64_t shift(int64_t j) const { return shift_first - j * shift_step; }
};

NNX_INLINE PhaseAxis phase_axis(int64_t phase, int64_t extent, int64_t kernel, int64_t stride, int64_t pad,
                                int64_t dilation) {
  PhaseAxis axis{phase, ceil_div(extent - phase, stride), stride, 0, 1, 0, 0, 0};
  // Tap k reaches the phase where phase + pad - k * dilation is a multiple of the stride.
  while (axis.tap_step * dilation % stride != 0) ++axis.tap_step;
  while (axis.tap_first < axis.tap_step && (phase + pad - axis.tap_first * dilation) % stride != 0) {
    ++axis.tap_first;
  }
  if (axis.tap_first == axis.tap_step || axis.tap_first >= kernel) return axis;
  axis.tap_count = ceil_div(kernel - axis.tap_first, axis.tap_step);
  axis.shift_first = (phase + pad - axis.tap_first * dilation) / stride;
  axis.shift_step = axis.tap_step * dilation / stride;
  return axis;
}

// Input gradient: rows are the input pixels of one phase of the strides, the reduction runs over (taps,
// output channels of the group).
template <class T>
struct GradientRows {
  const Conv2dShape& s;
  const PhaseAxis &vertical, &horizontal;
  const T* dy;  // moved to the group's first output channel
  ChannelRuns<T> runs;

  int64_t segments() const { return vertical.tap_count * horizontal.tap_count * runs.parts(); }
  int64_t length(int64_t i) const { return runs.length(i % runs.parts()); }
  int64_t offset(int64_t i) const { return i / runs.parts() * runs.channels + runs.begin(i % runs.parts()); }
  int64_t storage_elements() const { return 0; }
  int64_t rows() const { return s.n * vertical.count * horizontal.count; }
  int64_t result_offset(int64_t row) const {
    const int64_t j = row % horizontal.count, i = row / horizontal.count % vertical.count;
    const int64_t n = row / (horizontal.count * vertical.count);
    const int64_t ih = vertical.first + i * vertical.stride, iw = horizontal.first + j * horizontal.stride;
    return ((n * s.h + ih) * s.w + iw) * s.c;
  }

  void locate(int64_t row, int64_t s0, int64_t s1, const T** to, T*) const {
    const int64_t j = row % horizontal.count, i = row / horizontal.count % vertical.count;
    const T* const image = dy + row / (horizontal.count * vertical.count) * s.oh * s.ow * s.o;
    const int64_t parts = runs.parts();
    int64_t part = s0 % parts, kw = s0 / parts % horizontal.tap_count, kh = s0 / parts / horizontal.tap_count;
    for (int64_t segment = s0; segment < s1; ++segment, to += kTileRows) {
      const int64_t oh = i + vertical.shift(kh), ow = j + horizontal.shift(kw);
      const bool valid = oh >= 0 && oh < s.oh && ow >= 0 && ow < s.ow;
      *to = valid ? image + (oh * s.ow + ow) * s.o + runs.begin(part) : kZeros<T>;
      if (++part == parts) {
        part = 0;
        if (++kw == horizontal.tap_count) kw = 0, ++kh;
      }
    }
  }
};

// B of the input gradient: (taps of the phase, output channels) x input channels, from w (kh, kw, c / groups,
// o).
template <class T>
struct GradientColumns {
  const Conv2dShape& s;
  const PhaseAxis &vertical, &horizontal;
  const T* w;        // moved to the group's first output channel
  int64_t channels;  // output channels of the group

  int64_t stride() const { return 0; }
  const T* direct(int64_t, int64_t) const { return nullptr; }
  void pack(int64_t k, int64_t depth, int64_t column, int64_t count, T* to) const {
    const int64_t inputs = s.c / s.groups;
    while (depth > 0) {
      const int64_t tap = k / channels, channel = k % channels;
      const int64_t run = min_of(depth, channels - channel);
      const int64_t kh = vertical.tap(tap / horizontal.tap_count);
      const int64_t kw = horizontal.tap(tap % horizontal.tap_count);
      const T* const from = w + ((kh * s.kw + kw) * inputs + column) * s.o + channel;
      pack_transposed(from, s.o, run, count, to);
      to += run * kTileColumns<T>;
      k += run;
      depth -= run;
    }
  }
};

}  // namespace nnx::cpu::NNX_ISA
