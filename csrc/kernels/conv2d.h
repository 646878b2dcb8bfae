// Two-dimensional convolution (cross-correlation, as in the deep-learning literature), NHWC.
#pragma once

#include "kernels/activation.h"
#include "kernels/pool2d.h"

namespace nnx {

struct Conv2dShape {
  int64_t n, h, w, c;  // input
  int64_t kh, kw, o;   // filters; each sees c / groups channels
  int64_t stride_h, stride_w;
  int64_t pad_top, pad_left;  // bottom and right follow from oh, ow
  int64_t dilation_h, dilation_w;
  int64_t groups;
  int64_t oh, ow;  // output
};

namespace kernels {

template <class T>
struct Conv2dKernels {
  // Bytes of Context::workspace that any of the three passes may use.
  int64_t (*workspace)(const Conv2dShape&);
  // y (n, oh, ow, o) = act(x (n, h, w, c) * w (kh, kw, c / groups, o) + b (o)); b may be null
  void (*forward)(Context&, const Conv2dShape&, const T* x, const T* w, const T* b, Activation, T* y);
  // dx (n, h, w, c) = or += gradient of x under dy (n, oh, ow, o), times act'(saved);
  // saved only under Policy::assign
  void (*backward_input)(Context&, const Conv2dShape&, const T* dy, const T* w, ActivationGradient<T>, Policy,
                         T* dx);
  // dw (kh, kw, c / groups, o) = or += gradient of w; db (o) = or += sums of dy over pixels; db may be null
  void (*backward_weights)(Context&, const Conv2dShape&, const T* x, const T* dy, Policy, T* dw, T* db);
  // Optional: the layer and the max-pool2d behind it in one, where pools says so; null on devices without.
  bool (*pools)(const Conv2dShape&, const Pool2dShape&);
  // y, index (n, pool.oh, pool.ow, o) = max_forward(forward(x)); index may be null
  void (*forward_pooled)(Context&, const Conv2dShape&, const Pool2dShape&, const T* x, const T* w, const T* b,
                         Activation, T* y, int32_t* index);
  // Optional: as backward_weights, where pools_weights says so, from the gradient of the pool's output (n,
  // pool.oh, pool.ow, o).
  bool (*pools_weights)(const Conv2dShape&, const Pool2dShape&);
  void (*backward_weights_pooled)(Context&, const Conv2dShape&, const Pool2dShape&, const T* x, const T* dy,
                                  const int32_t* index, Policy, T* dw, T* db);
};

}  // namespace kernels
}  // namespace nnx
