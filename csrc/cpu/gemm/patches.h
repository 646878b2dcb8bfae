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

// The patch of output pixel (n, oh, ow) as (kh, kw, c), zeros outside the image.
template <class T>
void gather_patch(const Conv2dShape& s, const T* x, int64_t n, int64_t oh, int64_t ow, T* to) {
  const int64_t h0 = oh * s.stride_h - s.pad_top, w0 = ow * s.stride_w - s.pad_left;
  const bool inside = w0 >= 0 && w0 + s.kw <= s.w && s.dilation_w == 1;
  const int64_t run = s.kw * s.c;
  for (int64_t kh = 0; kh < s.kh; ++kh, to += run) {
    const int64_t ih = h0 + kh * s.dilation_h;
    if (ih < 0 || ih >= s.h) {
      for (int64_t i = 0; i < run; ++i) to[i] = 0;
      continue;
    }
    const T* const row = x + (n * s.h + ih) * s.w * s.c;
    if (inside) {
      for (int64_t i = 0; i < run; ++i) to[i] = row[w0 * s.c + i];
      continue;
    }
    for (int64_t kw = 0; kw < s.kw; ++kw) {
      const int64_t iw = w0 + kw * s.dilation_w;
      const bool valid = iw >= 0 && iw < s.w;
      for (int64_t c = 0; c < s.c; ++c) to[kw * s.c + c] = valid ? row[iw * s.c + c] : T{0};
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
