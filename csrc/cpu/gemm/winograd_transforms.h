// The transforms of winograd.h, vectorised over channels.
#pragma once

#include "cpu/gemm/patches.h"

namespace nnx::cpu::NNX_ISA {

inline constexpr int kPoints = 16;  // of a transformed 4x4 patch

// Elements between a point's array and the next point's: an odd number of cache lines, so that the 16 streams
// of a transform do not meet in the same set of the cache.
NNX_INLINE int64_t point_stride(int64_t elements) {
  constexpr int64_t line = 16;
  return (ceil_div(elements, line) | 1) * line;
}

// Images read in 4x4 patches two points apart, and the results' tiles of 2x2 points: one of each per tile.
struct TileGrid {
  int64_t n, h, w, c;         // images read
  int64_t pad_top, pad_left;  // negative: the first patch begins inside the image
  int64_t oh, ow;             // points written

  int64_t rows() const { return ceil_div(oh, 2); }
  int64_t columns() const { return ceil_div(ow, 2); }
  int64_t tiles() const { return n * rows() * columns(); }
  Position tile(int64_t i) const { return Position::of(i, rows(), columns()); }
};

// (rows 0..3, one column): Bᵀ applied.
NNX_INLINE void patch_pass(const Vec<float> (&d)[4], Vec<float> (&t)[4]) {
  t[0] = d[0] - d[2];
  t[1] = d[1] + d[2];
  t[2] = d[2] - d[1];
  t[3] = d[1] - d[3];
}

// v (16, channels) = Bᵀ d B of the channels in one vector; points are `step` apart. at(i, j): d's vectors.
template <class F>
NNX_INLINE void transform_patch(const F& at, float* v, int64_t step) {
  Vec<float> half[4][4];  // [column][row]
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const Vec<float> d[4] = {at(0, j), at(1, j), at(2, j), at(3, j)};
    patch_pass(d, half[j]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const Vec<float> d[4] = {half[0][i], half[1][i], half[2][i], half[3][i]};
    Vec<float> t[4];
    patch_pass(d, t);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) store(v + (i * 4 + j) * step, t[j]);
  }
}

// v (16, channels rounded up to vectors) of one tile; x moved to the first of `channels` channels.
NNX_INLINE void transform_tile(const TileGrid& grid, const Position& at, const float* x, int64_t channels,
                               float* v, int64_t step) {
  constexpr int64_t lanes = kLanes<float>;
  const int64_t top = 2 * at.i - grid.pad_top, left = 2 * at.j - grid.pad_left;
  const int64_t row_stride = grid.w * grid.c;
  const float* const first = x + ((at.n * grid.h + top) * grid.w + left) * grid.c;
  const bool inside = top >= 0 && top + 4 <= grid.h && left >= 0 && left + 4 <= grid.w;
  int64_t c = 0;
  if (inside) {
    for (; c + lanes <= channels; c += lanes) {
      transform_patch([&](int i, int j) { return load(first + i * row_stride + j * grid.c + c); }, v + c,
                      step);
    }
    if (c == channels) return;
  }
  const float* points[kPoints];
  int64_t mask[kPoints];  // 0 where the point is padding, which reads zeros at any channel
  for (int p = 0; p < kPoints; ++p) {
    const int64_t i = top + p / 4, j = left + p % 4;
    const bool here = i >= 0 && i < grid.h && j >= 0 && j < grid.w;
    points[p] = here ? first + p / 4 * row_stride + p % 4 * grid.c : kZeros<float>;
    mask[p] = here ? -1 : 0;
  }
  for (; c + lanes <= channels; c += lanes) {
    transform_patch([&](int i, int j) { return load(points[i * 4 + j] + (c & mask[i * 4 + j])); }, v + c,
                    step);
  }
  if (c == channels) return;
  transform_patch(
      [&](int i, int j) { return load_partial(points[i * 4 + j] + (c & mask[i * 4 + j]), channels - c); },
      v + c, step);
}

// y (2x2 points) = Aᵀ m A; at(point): m's vectors.
template <class F>
NNX_INLINE void transform_products(const F& at, Vec<float>& y00, Vec<float>& y01, Vec<float>& y10,
                                   Vec<float>& y11) {
  Vec<float> upper[4], lower[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const Vec<float> sum = at(4 + j) + at(8 + j), difference = at(4 + j) - at(8 + j);
    upper[j] = at(j) + sum;
    lower[j] = difference - at(12 + j);
  }
  y00 = upper[0] + (upper[1] + upper[2]);
  y01 = (upper[1] - upper[2]) - upper[3];
  y10 = lower[0] + (lower[1] + lower[2]);
  y11 = (lower[1] - lower[2]) - lower[3];
}

// (taps 0..2): G applied.
NNX_INLINE void filter_pass(Vec<float> a, Vec<float> b, Vec<float> c, Vec<float> (&t)[4]) {
  const Vec<float> outer = (a + c) * 0.5f, middle = b * 0.5f;
  t[0] = a;
  t[1] = outer + middle;
  t[2] = outer - middle;
  t[3] = c;
}

// u (16, .) = G g Gᵀ; g's taps are tap_step apart, u's points `step`.
NNX_INLINE void transform_filter(const float* g, int64_t tap_step, float* u, int64_t step) {
  Vec<float> half[3][4];  // [column][row]
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) {
    filter_pass(load(g + j * tap_step), load(g + (3 + j) * tap_step), load(g + (6 + j) * tap_step), half[j]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    Vec<float> t[4];
    filter_pass(half[0][i], half[1][i], half[2][i], t);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) store(u + (i * 4 + j) * step, t[j]);
  }
}

// (two points of a tile): A applied.
NNX_INLINE void tile_pass(Vec<float> a, Vec<float> b, Vec<float> (&t)[4]) {
  t[0] = a;
  t[1] = a + b;
  t[2] = a - b;
  t[3] = -b;
}

// d (16, channels) = A dy Aᵀ of the channels in one vector.
NNX_INLINE void transform_gradient(Vec<float> y00, Vec<float> y01, Vec<float> y10, Vec<float> y11, float* d,
                                   int64_t step) {
  Vec<float> left[4], right[4];
  tile_pass(y00, y10, left);
  tile_pass(y01, y11, right);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    Vec<float> t[4];
    tile_pass(left[i], right[i], t);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) store(d + (i * 4 + j) * step, t[j]);
  }
}

// (four sums): Gᵀ applied.
NNX_INLINE void sums_pass(Vec<float> a, Vec<float> b, Vec<float> c, Vec<float> d, Vec<float> (&t)[3]) {
  const Vec<float> half = (b + c) * 0.5f;
  t[0] = a + half;
  t[1] = (b - c) * 0.5f;
  t[2] = half + d;
}

// taps (9) = Gᵀ s G; s's points are `step` apart.
NNX_INLINE void transform_sums(const float* s, int64_t step, Vec<float> (&taps)[9]) {
  Vec<float> half[4][3];  // [column][row]
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    sums_pass(load(s + j * step), load(s + (4 + j) * step), load(s + (8 + j) * step),
              load(s + (12 + j) * step), half[j]);
  }
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    Vec<float> t[3];
    sums_pass(half[0][i], half[1][i], half[2][i], half[3][i], t);
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) taps[i * 3 + j] = t[j];
  }
}

}  // namespace nnx::cpu::NNX_ISA
