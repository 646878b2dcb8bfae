// Random changes of images, one draw for each sample: flips, translations, crops, rotations, contrast.
// What is drawn, and what it does to coordinates: core/image_map.h.
#pragma once

#include "core/warp.h"

namespace nnx {

// x (n, h, w, c) -> y (n, oh, ow, c); oh = h and ow = w but for crops.
struct WarpShape {
  int64_t n, h, w, c, oh, ow;
};

struct ContrastShape {
  int64_t n, points, c;
};

struct Contrast {
  RowKey key;
  double low = 1.0, high = 1.0;     // the factor is uniform in [low, high)
  double floor = 0.0, ceiling = 0;  // what comes out is clipped to these
};

namespace kernels {

template <class T>
struct AugmentKernels {
  // y (n, oh, ow, c) = x (n, h, w, c), each sample flipped and then moved
  void (*warp)(Context&, const WarpShape&, const Warp&, const T* x, T* y);
  // dx (n, h, w, c) = or += for each point the sum of weight * dy over the points of dy (n, oh, ow, c) that
  // were taken from it, in their order
  void (*warp_backward)(Context&, const WarpShape&, const Warp&, const T* dy, Policy, T* dx);
  // y (n, points, c) = (x - mean) * factor + mean, clipped; the mean is that of a sample's channel
  void (*contrast)(Context&, const ContrastShape&, const Contrast&, const T* x, T* y);
  // dx (n, points, c) = or += factor * g + (1 - factor) * (the mean of g), g = dy where y was not clipped,
  // else 0
  void (*contrast_backward)(Context&, const ContrastShape&, const Contrast&, const T* dy, const T* x, Policy,
                            T* dx);
};

}  // namespace kernels
}  // namespace nnx
