// Inverted dropout (Srivastava et al., JMLR 2014) with masks from Philox4x32-10 (core/philox.h).
#pragma once

#include "core/context.h"

namespace nnx {

// Which mask: element i is kept where its 32-bit word >= round(rate * 2^32). The step is step.value, plus
// *step.at where that is given.
struct DropoutKey {
  uint64_t seed = 0;
  uint32_t layer = 0;   // < 2^16
  Live<uint64_t> step;  // < 2^48
  double rate = 0.0;    // [0, 1)
  // Where given, element 0 is not the mask's first but that of row *row, of row_elements each.
  const int64_t* row = nullptr;
  int64_t row_elements = 0;
};

namespace kernels {

template <class T>
struct DropoutKernels {
  // y (n) = or += kept ? x / (1 - rate) : 0. The backward pass is the same call on dy. y may be x.
  void (*apply)(Context&, int64_t n, const T* x, const DropoutKey&, Policy, T* y);
  // y (n, points, c) = or += the same, but whole channels: element (n, channel) of a mask (n, c) for all
  // points
  void (*apply_channels)(Context&, int64_t n, int64_t points, int64_t c, const T* x, const DropoutKey&,
                         Policy, T* y);
  // y (n) = x + deviation * (element i of `normal`, of mean 0 and deviation 1); y may be x
  void (*add_normal)(Context&, int64_t n, const T* x, const DropoutKey&, double deviation, T* y);
  // mask (n) = 1 where kept, else 0
  void (*mask)(Context&, int64_t n, const DropoutKey&, uint8_t* mask);
  // y (n) = uniform in [low, high): low + (high - low) * (word >> 8) * 2^-24, word numbered as for masks
  void (*uniform)(Context&, int64_t n, const DropoutKey&, double low, double high, T* y);
  // y (n) = normal by Box and Muller from the words of (i, i + 1), i even; in double, then rounded
  void (*normal)(Context&, int64_t n, const DropoutKey&, double mean, double deviation, T* y);
};

}  // namespace kernels
}  // namespace nnx
