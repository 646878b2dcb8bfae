#include "kernels/augment.h"

#include "core/image_map.h"
#include "cpu/fill.h"
#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/warp.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 16384;  // elements written
constexpr int64_t kColumns = 64;   // of which contrast keeps sums

// body(sample) for every sample
template <class F>
NNX_INLINE void for_samples(Context& context, int64_t n, int64_t elements, const F& body) {
  for_ranges(context, n, max_of(1, kGrain / max_of(elements, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t sample = begin; sample < end; ++sample) body(sample);
  });
}

template <class T>
static void warp(Context& context, const WarpShape& s, const Warp& warp, const T* x, T* y) {
  const bool by_points = warp.motion == Motion::rotation ||
                         (s.ow + 1 + s.w) * s.c * static_cast<int64_t>(sizeof(T)) > kScratchBytes;
  for_samples(context, s.n, s.oh * s.ow * s.c, [&](int64_t n) {
    const ImageMap map = draw_map(warp, s.h, s.w, s.oh, s.ow, n);
    const T* const image = x + n * s.h * s.w * s.c;
    T* const to = y + n * s.oh * s.ow * s.c;
    if (by_points) return warp_points(s, warp, map, image, to);
    warp_rows(s, warp, map, image, static_cast<T*>(thread_scratch()), to);
  });
}

template <class T>
static void warp_backward(Context& context, const WarpShape& s, const Warp& warp, const T* dy, Policy policy,
                          T* dx) {
  for_samples(context, s.n, s.oh * s.ow * s.c, [&](int64_t n) {
    const ImageMap map = draw_map(warp, s.h, s.w, s.oh, s.ow, n);
    T* const image = dx + n * s.h * s.w * s.c;
    const T* from = dy + n * s.oh * s.ow * s.c;
    if (policy == Policy::assign) {
      for (int64_t k = 0; k < s.h * s.w * s.c; ++k) image[k] = 0;
    }
    for (int64_t i = 0; i < s.oh; ++i) {
      for (int64_t j = 0; j < s.ow; ++j, from += s.c) {
        const Corners<T> corners = corners_of<T>(s, warp, map, i, j);
        for (int k = 0; k < 4; ++k) {
          if (corners.point[k] < 0 || corners.weight[k] == 0) continue;
          T* const point = image + corners.point[k] * s.c;
          for (int64_t c = 0; c < s.c; ++c) point[c] += corners.weight[k] * from[c];
        }
      }
    }
  });
}

// Channels of one sample, read as a matrix: where they are few, points are taken together to one row.
struct Channels {
  int64_t first, channels, columns, rows, stride, rest;  // `rest`: columns of one more row
};

// body(channels, factor): some channels of one sample
template <class F>
NNX_INLINE void for_channels(Context& context, const ContrastShape& s, const Contrast& contrast,
                             const F& body) {
  for_samples(context, s.n, s.points * s.c, [&](int64_t n) {
    const double factor = between(contrast.low, contrast.high, row_words(contrast.key, n).word[0]);
    const int64_t together = max_of(1, kColumns / s.c);
    for (int64_t c = 0; c < s.c; c += kColumns) {
      const int64_t channels = min_of(kColumns, s.c - c);
      body(Channels{n * s.points * s.c + c, channels, together * channels, s.points / together,
                    together * s.c, s.points % together * channels},
           factor);
    }
  });
}

// body(element, column)
template <class F>
NNX_INLINE void for_elements(const Channels& m, const F& body) {
  for (int64_t row = 0; row < m.rows; ++row) {
    for (int64_t k = 0; k < m.columns; ++k) body(m.first + row * m.stride + k, k);
  }
  for (int64_t k = 0; k < m.rest; ++k) body(m.first + m.rows * m.stride + k, k);
}

// means[column]: the mean of term(element, column) over the points of the column's channel
template <class F>
NNX_INLINE void means_of(const Channels& m, int64_t points, double* means, const F& term) {
  for (int64_t k = 0; k < m.columns; ++k) means[k] = 0.0;
  for_elements(m, [&](int64_t i, int64_t k) { means[k] += term(i, k); });
  for (int64_t k = m.channels; k < m.columns; ++k) means[k % m.channels] += means[k];
  for (int64_t k = 0; k < m.channels; ++k) means[k] /= static_cast<double>(points);
  for (int64_t k = m.channels; k < m.columns; ++k) means[k] = means[k - m.channels];
}

template <class T>
static void contrast(Context& context, const ContrastShape& s, const Contrast& contrast, const T* x, T* y) {
  for_channels(context, s, contrast, [&](const Channels& m, double factor) {
    double means[kColumns];
    means_of(m, s.points, means, [&](int64_t i, int64_t) { return static_cast<double>(x[i]); });
    const T by = static_cast<T>(factor), floor = static_cast<T>(contrast.floor),
            ceiling = static_cast<T>(contrast.ceiling);
    for_elements(m, [&](int64_t i, int64_t k) {
      const T mean = static_cast<T>(means[k]), value = (x[i] - mean) * by + mean;
      y[i] = value < floor ? floor : value > ceiling ? ceiling : value;
    });
  });
}

template <class T>
static void contrast_backward(Context& context, const ContrastShape& s, const Contrast& contrast, const T* dy,
                              const T* x, Policy policy, T* dx) {
  for_channels(context, s, contrast, [&](const Channels& m, double factor) {
    double means[kColumns], slopes[kColumns];
    means_of(m, s.points, means, [&](int64_t i, int64_t) { return static_cast<double>(x[i]); });
    const T by = static_cast<T>(factor), floor = static_cast<T>(contrast.floor),
            ceiling = static_cast<T>(contrast.ceiling);
    const auto slope = [&](int64_t i, int64_t k) {
      const T mean = static_cast<T>(means[k]), value = (x[i] - mean) * by + mean;
      return value < floor || value > ceiling ? T(0) : dy[i];
    };
    means_of(m, s.points, slopes, [&](int64_t i, int64_t k) { return static_cast<double>(slope(i, k)); });
    for_elements(m, [&](int64_t i, int64_t k) {
      put(dx + i, by * slope(i, k) + static_cast<T>((1.0 - factor) * slopes[k]), policy);
    });
  });
}

template <class T>
void fill(kernels::AugmentKernels<T>& table) {
  table.warp = warp<T>;
  table.warp_backward = warp_backward<T>;
  table.contrast = contrast<T>;
  table.contrast_backward = contrast_backward<T>;
}

template void fill(kernels::AugmentKernels<float>&);
template void fill(kernels::AugmentKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
