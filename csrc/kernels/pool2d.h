// Pooling over windows and over whole images, and upsampling, NHWC. Padding points never win a maximum.
#pragma once

#include "core/context.h"

namespace nnx {

struct Pool2dShape {
  int64_t n, h, w, c;
  int64_t kh, kw;
  int64_t stride_h, stride_w;
  int64_t dilation_h, dilation_w;
  int64_t pad_top, pad_left;
  int64_t pad_bottom, pad_right;  // windows may reach beyond them, and then fewer of their points count
  int64_t oh, ow;
};

struct UpsampleShape {
  int64_t n, h, w, c;  // input
  int64_t scale_h, scale_w;
  bool bilinear;  // between the points' centres, beyond the outermost ones constant; else the nearest point
};

namespace kernels {

template <class T>
struct Pool2dKernels {
  // y (n, oh, ow, c) = maxima of x (n, h, w, c); index (n, oh, ow, c) = ih * w + iw of each, may be null.
  // The first of equals wins; a NaN wins over everything.
  void (*max_forward)(Context&, const Pool2dShape&, const T* x, T* y, int32_t* index);
  // dx (n, h, w, c) = or += dy (n, oh, ow, c) where index points
  void (*max_backward)(Context&, const Pool2dShape&, const T* dy, const int32_t* index, Policy, T* dx);
  // y = means over the window; count_include_pad divides by the window's points in the image and its padding,
  // else by those in the image
  void (*average_forward)(Context&, const Pool2dShape&, bool count_include_pad, const T* x, T* y);
  void (*average_backward)(Context&, const Pool2dShape&, bool count_include_pad, const T* dy, Policy, T* dx);
  // y (n, c) = means of x (n, h, w, c) over h and w
  void (*global_average_forward)(Context&, int64_t n, int64_t pixels, int64_t c, const T* x, T* y);
  void (*global_average_backward)(Context&, int64_t n, int64_t pixels, int64_t c, const T* dy, Policy, T* dx);
  // y (n, c) = maxima of x (n, pixels, c) over pixels; index (n, c) = the pixel of each, may be null. The
  // first of equals wins; a NaN wins over everything.
  void (*global_max_forward)(Context&, int64_t n, int64_t pixels, int64_t c, const T* x, T* y,
                             int32_t* index);
  // dx (n, pixels, c) = or += dy (n, c) where index points
  void (*global_max_backward)(Context&, int64_t n, int64_t pixels, int64_t c, const T* dy,
                              const int32_t* index, Policy, T* dx);
  // y (n, h * scale_h, w * scale_w, c) from x (n, h, w, c)
  void (*upsample_forward)(Context&, const UpsampleShape&, const T* x, T* y);
  void (*upsample_backward)(Context&, const UpsampleShape&, const T* dy, Policy, T* dx);
};

}  // namespace kernels
}  // namespace nnx
