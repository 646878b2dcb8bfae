// Where the windows of a pool lie on an image.
#pragma once

#include "cpu/simd.h"
#include "kernels/pool2d.h"

namespace nnx::cpu::NNX_ISA {

// The points of a window that lie inside one axis of the image: `count` from `first` on, a dilation apart.
struct WindowPoints {
  int64_t first, count;
};

// The points of a window beginning at `begin` that lie in front of `end`.
NNX_INLINE int64_t points_before(int64_t begin, int64_t end, int64_t kernel, int64_t dilation) {
  const int64_t reach = end - begin;
  return min_of(kernel, dilation == 1 ? reach : ceil_div(reach, dilation));
}

NNX_INLINE WindowPoints points_inside(int64_t begin, int64_t extent, int64_t kernel, int64_t dilation) {
  const int64_t before = begin >= 0 ? 0 : dilation == 1 ? -begin : ceil_div(-begin, dilation);
  return {begin + before * dilation, points_before(begin, extent, kernel, dilation) - before};
}

struct PoolWindow {
  WindowPoints rows, columns;
};

NNX_INLINE PoolWindow window_at(const Pool2dShape& s, int64_t i, int64_t j) {
  return {points_inside(i * s.stride_h - s.pad_top, s.h, s.kh, s.dilation_h),
          points_inside(j * s.stride_w - s.pad_left, s.w, s.kw, s.dilation_w)};
}

// What an average is divided by: the points inside the image, or those inside the padded one.
NNX_INLINE int64_t divisor(const Pool2dShape& s, int64_t i, int64_t j, bool count_include_pad) {
  if (!count_include_pad) {
    const PoolWindow window = window_at(s, i, j);
    return window.rows.count * window.columns.count;
  }
  return points_before(i * s.stride_h - s.pad_top, s.h + s.pad_bottom, s.kh, s.dilation_h) *
         points_before(j * s.stride_w - s.pad_left, s.w + s.pad_right, s.kw, s.dilation_w);
}

// The windows [begin, end) of one axis that reach over a point. Of those that are dilated some step over it.
struct Reach {
  int64_t begin, end;
};

NNX_INLINE Reach reach(int64_t point, int64_t pad, int64_t kernel, int64_t dilation, int64_t stride,
                       int64_t out) {
  const int64_t last = point + pad, first = last - (kernel - 1) * dilation;
  return {first <= 0 ? 0 : ceil_div(first, stride), min_of(out, last / stride + 1)};
}

// Whether the window i has a point of the axis over which it reaches.
NNX_INLINE bool has_point(int64_t i, int64_t point, int64_t pad, int64_t dilation, int64_t stride) {
  return dilation == 1 || (point + pad - i * stride) % dilation == 0;
}

}  // namespace nnx::cpu::NNX_ISA
