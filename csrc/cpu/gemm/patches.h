// What the readers of images share: patches are read where they lie, or copied where channels are few.
#pragma once

#include "cpu/gemm/pack.h"
#include "kernels/conv2d.h"

namespace nnx::cpu::NNX_ISA {

// What padding points read.
template <class T>
inline constexpr T kZeros[kBlockDepth<T>] = {};

// Channels below which pointers to every tap cost more than copying the patch.
inline constexpr int64_t kGatherChannels = 8;

NNX_INLINE bool gathers(const Conv2dShape& s, int64_t limit) {
  return s.groups == 1 && s.c < kGatherChannels && s.kh * s.kw * s.c <= limit;
}

// A position (n, i, j) in a batch of images of (height, width) points, which moves point by point: counting
// costs less than dividing.
struct Position {
  int64_t height, width;
  int64_t n, i, j;

  static Position of(int64_t point, int64_t height, int64_t width) {
    return {height, width, point / (height * width), point / width % height, point % width};
  }
  void next() {
    if (++j < width) return;
    j = 0;
    if (++i < height) return;
    i = 0;
    ++n;
  }
};

template <class T>
NNX_INLINE void copy_run(const T* from, int64_t count, T* to) {
  for_vectors<T>(0, count,
                 [&](int64_t i, int64_t lanes) { store_some(to + i, load_some(from + i, lanes), lanes); });
}

// The patch of an output pixel as (kh, kw, c), zeros outside the image.
template <class T>
void gather_patch(const Conv2dShape& s, const T* x, const Position& at, T* to) {
  const int64_t h0 = at.i * s.stride_h - s.pad_top, w0 = at.j * s.stride_w - s.pad_left;
  const int64_t run = s.kw * s.c, row_stride = s.w * s.c;
  const T* row = x + ((at.n * s.h + h0) * s.w + w0) * s.c;
  const bool columns_inside = w0 >= 0 && w0 + s.kw <= s.w && s.dilation_w == 1;
  if (columns_inside && h0 >= 0 && h0 + (s.kh - 1) * s.dilation_h < s.h) {
    for (int64_t kh = 0; kh < s.kh; ++kh, to += run, row += s.dilation_h * row_stride) copy_run(row, run, to);
    return;
  }
  for (int64_t kh = 0; kh < s.kh; ++kh, to += run, row += s.dilation_h * row_stride) {
    const int64_t ih = h0 + kh * s.dilation_h;
    const bool row_inside = ih >= 0 && ih < s.h;
    for (int64_t kw = 0; kw < s.kw; ++kw) {
      const int64_t iw = w0 + kw * s.dilation_w;
      const bool inside = row_inside && iw >= 0 && iw < s.w;
      const T* const point = row + kw * s.dilation_w * s.c;
      for (int64_t c = 0; c < s.c; ++c) to[kw * s.c + c] = inside ? point[c] : T{0};
    }
  }
}

// A channel run longer than a block of the reduction is cut: `parts` pieces of at most kBlockDepth.
template <class T>
struct ChannelRuns {
  int64_t channels;

  int64_t parts() const { return ceil_div(channels, kBlockDepth<T>); }
  int64_t begin(int64_t part) const { return part * kBlockDepth<T>; }
  int64_t length(int64_t part) const { return min_of(kBlockDepth<T>, channels - begin(part)); }
};

}  // namespace nnx::cpu::NNX_ISA
