// One image by its map: any map a point at a time, flips and shifts by rows.
#pragma once

#include "core/image_map.h"
#include "cpu/simd.h"
#include "kernels/augment.h"

namespace nnx::cpu::NNX_ISA {

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
  int64_t rows[2], columns[2];
  for (int k = 0; k < 2; ++k) {
    rows[k] = source(row.first + k, s.h, warp.fill, map.flip_rows);
    columns[k] = source(column.first + k, s.w, warp.fill, map.flip_columns);
  }
  const double down[] = {1.0 - row.fraction, row.fraction};
  const double right[] = {1.0 - column.fraction, column.fraction};
  Corners<T> corners;
  for (int k = 0; k < 4; ++k) {
    const int64_t r = rows[k / 2], c = columns[k % 2];
    corners.point[k] = r < 0 || c < 0 ? -1 : r * s.w + c;
    corners.weight[k] = static_cast<T>(down[k / 2] * right[k % 2]);
  }
  return corners;
}

// Any map, a point at a time.
template <class T>
NNX_INLINE void warp_points(const WarpShape& s, const Warp& warp, const ImageMap& map, const T* x, T* y) {
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

// to[i] = (1 - fraction) * a[i] + fraction * b[i], i in [0, n)
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
  for (int64_t c = 0; c < channels; ++c)
    to[c] = fraction == 0 ? a[c] : (1 - fraction) * a[c] + fraction * b[c];
}

// Flips and shifts, by rows: two rows of the image are blended into one, which is then blended with itself a
// point further on. `room`: (ow + 1 + w) * c
template <class T>
NNX_INLINE void warp_rows(const WarpShape& s, const Warp& warp, const ImageMap& map, const T* x, T* room,
                          T* y) {
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
      for (int64_t k = from; k < to; ++k) blend_point(1, down, a + last - k, b + last - k, out + k);
    } else {
      for (int64_t k = from; k < to; ++k) one(k);
    }
    for (int64_t k = to; k < columns; ++k) one(k);
    if (right != 0) blend(s.ow * s.c, right, line, line + s.c, y);
  }
}

}  // namespace nnx::cpu::NNX_ISA
