// Images made larger by whole factors, and their gradients: each point is written once.
#pragma once

#include "cpu/parallel.h"
#include "cpu/put.h"
#include "kernels/pool2d.h"

namespace nnx::cpu::NNX_ISA {

// The two points of one axis that an output point lies between, and its distance from the first.
struct Between {
  int64_t lower, upper;
  double part;
};

// Centres lie at half points: output i at (i + 1/2) / scale - 1/2 = (2 i + 1 - scale) / (2 scale).
NNX_INLINE Between between(int64_t i, int64_t scale, int64_t extent) {
  const int64_t at = 2 * i + 1 - scale, unit = 2 * scale;
  if (at <= 0) return {0, 0, 0.0};
  const int64_t lower = at / unit;
  return {lower, min_of(lower + 1, extent - 1), static_cast<double>(at % unit) / static_cast<double>(unit)};
}

NNX_INLINE Between source(int64_t i, int64_t scale, int64_t extent, bool bilinear) {
  return bilinear ? between(i, scale, extent) : Between{i / scale, i / scale, 0.0};
}

// The output points of one axis that may be made of a point, and the share that it has in one of them.
NNX_INLINE int64_t first_made_of(int64_t point, int64_t scale, bool bilinear) {
  return max_of(point - (bilinear ? 1 : 0), 0) * scale;
}
NNX_INLINE int64_t end_made_of(int64_t point, int64_t scale, int64_t extent, bool bilinear) {
  return min_of(point + (bilinear ? 2 : 1), extent) * scale;
}
NNX_INLINE double share(const Between& between, int64_t point) {
  return (between.lower == point ? 1.0 - between.part : 0.0) + (between.upper == point ? between.part : 0.0);
}

template <class T>
static void upsample_forward(Context& context, const UpsampleShape& s, const T* x, T* y) {
  const int64_t oh = s.h * s.scale_h, ow = s.w * s.scale_w, pitch = s.w * s.c;
  for_ranges(context, s.n * oh, max_of(1, 16384 / max_of(ow * s.c, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Between down = source(row % oh, s.scale_h, s.h, s.bilinear);
      const T* const image = x + row / oh * s.h * pitch;
      const T *const upper = image + down.lower * pitch, *const lower = image + down.upper * pitch;
      const T part_down = static_cast<T>(down.part);
      for (int64_t j = 0; j < ow; ++j) {
        const Between across = source(j, s.scale_w, s.w, s.bilinear);
        const int64_t left = across.lower * s.c, right = across.upper * s.c;
        const T part_across = static_cast<T>(across.part);
        T* const to = y + (row * ow + j) * s.c;
        for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
          const Vec<T> a = load_some(upper + left + c, lanes);
          if (!s.bilinear) return store_some(to + c, a, lanes);
          const Vec<T> b = load_some(lower + left + c, lanes);
          const Vec<T> above = a + (load_some(upper + right + c, lanes) - a) * part_across;
          const Vec<T> below = b + (load_some(lower + right + c, lanes) - b) * part_across;
          store_some(to + c, above + (below - above) * part_down, lanes);
        });
      }
    }
  });
}

template <class T>
static void upsample_backward(Context& context, const UpsampleShape& s, const T* dy, Policy policy, T* dx) {
  const int64_t oh = s.h * s.scale_h, ow = s.w * s.scale_w;
  const int64_t read = s.w * s.c * s.scale_h * s.scale_w;
  for_ranges(context, s.n * s.h, max_of(1, 16384 / max_of(read, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t ih = row % s.h, top = first_made_of(ih, s.scale_h, s.bilinear);
      const int64_t bottom = end_made_of(ih, s.scale_h, s.h, s.bilinear);
      const T* const image = dy + row / s.h * oh * ow * s.c;
      for (int64_t iw = 0; iw < s.w; ++iw) {
        const int64_t first = first_made_of(iw, s.scale_w, s.bilinear);
        const int64_t last = end_made_of(iw, s.scale_w, s.w, s.bilinear);
        for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
          Vec<T> sum{};
          for (int64_t i = top; i < bottom; ++i) {
            const double down = s.bilinear ? share(between(i, s.scale_h, s.h), ih) : 1.0;
            for (int64_t j = first; j < last; ++j) {
              const double across = s.bilinear ? share(between(j, s.scale_w, s.w), iw) : 1.0;
              sum += load_some(image + (i * ow + j) * s.c + c, lanes) * static_cast<T>(down * across);
            }
          }
          put(dx + (row * s.w + iw) * s.c + c, sum, lanes, policy);
        });
      }
    }
  });
}

}  // namespace nnx::cpu::NNX_ISA
