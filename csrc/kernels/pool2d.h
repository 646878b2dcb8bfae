// Max, average and global average pooling, NHWC. Padding points never win a maximum.
#pragma once

#include "core/context.h"

namespace nnx {

struct Pool2dShape {
  int64_t n, h, w, c;
  int64_t kh, kw;
  int64_t stride_h, stride_w;
  int64_t pad_top, pad_left;  // bottom and right follow from oh, ow
  int64_t oh, ow;
};

namespace kernels {

template <class T>
struct Pool2dKernels {
  // y (n, oh, ow, c) = maxima of x (n, h, w, c); index (n, oh, ow, c) = ih * w + iw of each, may be null.
  // The first of equals wins; a NaN wins over everything.
  void (*max_forward)(Context&, const Pool2dShape&, const T* x, T* y, int32_t* index);
  // dx (n, h, w, c) = or += dy (n, oh, ow, c) where index points
  void (*max_backward)(Context&, const Pool2dShape&, const T* dy, const int32_t* index, Policy, T* dx);
  // y = means over the window; count_include_pad divides by kh * kw, else by the points inside the image
  void (*average_forward)(Context&, const Pool2dShape&, bool count_include_pad, const T* x, T* y);
  void (*average_backward)(Context&, const Pool2dShape&, bool count_include_pad, const T* dy, Policy, T* dx);
  // y (n, c) = means of x (n, h, w, c) over h and w
  void (*global_average_forward)(Context&, int64_t n, int64_t pixels, int64_t c, const T* x, T* y);
  void (*global_average_backward)(Context&, int64_t n, int64_t pixels, int64_t c, const T* dy, Policy, T* dx);
};

}  // namespace kernels
}  // namespace nnx
