#include "kernels/augment.h"

#include "cpu/fill.h"
#include "cpu/parallel.h"
#include "cpu/put.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 16384;       // elements written
constexpr int64_t kChannelsAtOnce = 256;  // of which contrast keeps sums

// body(sample) for every sample
template <class F>
NNX_INLINE void for_samples(Context& context, int64_t n, int64_t elements, const F& body) {
  for_ranges(context, n, max_of(1, kGrain / max_of(elements, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t sample = begin; sample < end; ++sample) body(sample);
  });
}

// The up to four points of an image that an output point is made of.
template <class T>
struct Corners {
  int64_t point[4];  // -1: the fill value
  T weight[4];       // 0: not read
};

template <class T>
NNX_INLINE Corners<T> corners_of(const WarpShape& s, const Warp& warp, const ImageMap& map, int64_t i,
                                 int64_t j) {
  Tap row, column;
  taps_at(map, warp, s.h, s.w, i, j, row, column);
  Corners<T> corners;
  for (int k = 0; k < 4; ++k) {
    const int down = k / 2, right = k % 2;
    const int64_t r = source(row.first + down, s.h, warp.fill, map.flip_rows);
    const int64_t c = source(column.first + right, s.w, warp.fill, map.flip_columns);
    corners.point[k] = r < 0 || c < 0 ? -1 : r * s.w + c;
    corners.weight[k] = static_cast<T>((down != 0 ? row.fraction : 1.0 - row.fraction) *
                                       (right != 0 ? column.fraction : 1.0 - column.fraction));
  }
  return corners;
}

// Any map, a point at a time.
template <class T>
static void warp_points(const WarpShape& s, const Warp& warp, const ImageMap& map, const T* x, T* y) {
  const T blank = static_cast<T>(warp.fill_value);
  for (int64_t i = 0; i < s.oh; ++i) {
    for (int64_t j = 0; j < s.ow; ++j, y += s.c) {
      const Corners<T> corners = corners_of<T>(s, warp, map, i, j);
      for (int64_t c = 0; c < s.c; ++c) {
        T sum = 0;
        for (int k = 0; k < 4; ++k) {
          if (corners.weight[k] == 0) continue;
          sum += corners.weight[k] * (corners.point[k] < 0 ? blank : x[corners.point[k] * s.c + c]);
        }
        y[c] = sum;
      }
    }
  }
}

// to[i] = (1 - fraction) * a[i] + fraction * b[i], i in [0, n); from the back where `step` is -1
template <class T>
NNX_INLINE void blend(int64_t n, T fraction, const T* a, const T* b, T* to) {
  const Vec<T> share = broadcast(fraction), rest = broadcast(1 - fraction);
  for_vectors<T>(0, n, [&](int64_t i, int64_t lanes) {
    const Vec<T> first = load_some(a + i, lanes);
    store_some(to + i, fraction == 0 ? first : rest * first + share * load_some(b + i, lanes), lanes);
  });
}

template <class T>
NNX_INLINE void blend_point(int64_t channels, T fraction, const T* a, const T* b, T* to) {
  for (int64_t c = 0; c < channels; ++c) to[c] = fraction == 0 ? a[c] : (1 - fraction) * a[c] + fraction * b[c];
}

// Flips and shifts, by rows: two rows of the image are blended into one, which is then blended with itself a
// point further on. `room`: (ow + 1 + w) * c
template <class T>
static void warp_rows(const WarpShape& s, const Warp& warp, const ImageMap& map, const T* x, T* room, T* y) {
  const int64_t pitch = s.w * s.c, first = map.column.first;
  const T down = static_cast<T>(map.row.fraction), right = static_cast<T>(map.column.fraction);
  const T fill_value = static_cast<T>(warp.fill_value);
  T* const line = room;
  T* const blank = room + (s.ow + 1) * s.c;
  if (warp.fill == Fill::constant) {
    for (int64_t k = 0; k < pitch; ++k) blank[k] = fill_value;
  }
  const int64_t columns = s.ow + (right != 0 ? 1 : 0);
  // Columns [from, to) lie inside the image.
  const int64_t from = min_of(max_of(-first, 0), columns);
  const int64_t to = max_of(from, min_of(s.w - first, columns));
  const auto row_at = [&](int64_t i) {
    const int64_t row = source(i, s.h, warp.fill, map.flip_rows);
    return row < 0 ? static_cast<const T*>(blank) : x + row * pitch;
  };
  for (int64_t i = 0; i < s.oh; ++i, y += s.ow * s.c) {
    const T* const a = row_at(map.row.first + i);
    const T* const b = down != 0 ? row_at(map.row.first + i + 1) : a;
    T* const out = right != 0 ? line : y;
    const auto one = [&](int64_t k) {
      const int64_t column = source(first + k, s.w, warp.fill, map.flip_columns);
      const T* const outside = blank;
      blend_point(s.c, down, column < 0 ? outside : a + column * s.c, column < 0 ? outside : b + column * s.c,
                  out + k * s.c);
    };
    for (int64_t k = 0; k < from; ++k) one(k);
    if (!map.flip_columns) {
      const int64_t place = (first + from) * s.c;
      blend((to - from) * s.c, down, a + place, b + place, out + from * s.c);
    } else if (s.c == 1) {
      const int64_t last = s.w - 1 - first;
      for (int64_t k = from; k < to; ++k) out[k] = (1 - down) * a[last - k] + down * b[last - k];
    } else {
      for (int64_t k = from; k < to; ++k) one(k);
    }
    for (int64_t k = to; k < columns; ++k) one(k);
    if (right != 0) blend(s.ow * s.c, right, line, line + s.c, y);
  }
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

// body(x, first, channels, factor): some channels of one sample, whose points lie `c` apart
template <class F>
NNX_INLINE void for_channels(Context& context, const ContrastShape& s, const Contrast& contrast,
                             const F& body) {
  for_samples(context, s.n, s.points * s.c, [&](int64_t n) {
    const double factor = between(contrast.low, contrast.high, row_words(contrast.key, n).word[0]);
    for (int64_t c = 0; c < s.c; c += kChannelsAtOnce) {
      body(n * s.points * s.c + c, min_of(kChannelsAtOnce, s.c - c), factor);
    }
  });
}

// means[c] of term(element) over the points of each channel
template <class F>
NNX_INLINE void means_of(const ContrastShape& s, int64_t first, int64_t channels, double* means,
                         const F& term) {
  for (int64_t c = 0; c < channels; ++c) means[c] = 0.0;
  for (int64_t p = 0; p < s.points; ++p) {
    for (int64_t c = 0; c < channels; ++c) means[c] += term(first + p * s.c + c, c);
  }
  for (int64_t c = 0; c < channels; ++c) means[c] /= static_cast<double>(s.points);
}

template <class T>
static void contrast(Context& context, const ContrastShape& s, const Contrast& contrast, const T* x, T* y) {
  for_channels(context, s, contrast, [&](int64_t first, int64_t channels, double factor) {
    double means[kChannelsAtOnce];
    means_of(s, first, channels, means, [&](int64_t i, int64_t) { return static_cast<double>(x[i]); });
    const T by = static_cast<T>(factor), floor = static_cast<T>(contrast.floor),
            ceiling = static_cast<T>(contrast.ceiling);
    for (int64_t p = 0; p < s.points; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t i = first + p * s.c + c;
        const T mean = static_cast<T>(means[c]), value = (x[i] - mean) * by + mean;
        y[i] = value < floor ? floor : value > ceiling ? ceiling : value;
      }
    }
  });
}

template <class T>
static void contrast_backward(Context& context, const ContrastShape& s, const Contrast& contrast, const T* dy,
                              const T* x, Policy policy, T* dx) {
  for_channels(context, s, contrast, [&](int64_t first, int64_t channels, double factor) {
    double means[kChannelsAtOnce], slopes[kChannelsAtOnce];
    means_of(s, first, channels, means, [&](int64_t i, int64_t) { return static_cast<double>(x[i]); });
    const T by = static_cast<T>(factor), floor = static_cast<T>(contrast.floor),
            ceiling = static_cast<T>(contrast.ceiling);
    const auto slope = [&](int64_t i, int64_t c) {
      const T mean = static_cast<T>(means[c]), value = (x[i] - mean) * by + mean;
      return value < floor || value > ceiling ? T(0) : dy[i];
    };
    means_of(s, first, channels, slopes,
             [&](int64_t i, int64_t c) { return static_cast<double>(slope(i, c)); });
    for (int64_t p = 0; p < s.points; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t i = first + p * s.c + c;
        put(dx + i, by * slope(i, c) + static_cast<T>((1.0 - factor) * slopes[c]), policy);
      }
    }
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
