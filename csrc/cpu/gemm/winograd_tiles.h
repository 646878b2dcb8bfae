// What the transforms of winograd.h share: the tiles of an image, and reading a tile's patch.
//
// A `Taps` (winograd_taps3.h, winograd_taps5.h) holds the transforms for one size of window, vectorised over
// channels: `size` of the window and `patch` = size + 1 of a tile's patch, along either axis; `points`, the
// products for each pair of channels, in `groups` that can be transformed one by one; `sum`, the point at
// which a transformed gradient is the sum of its tile.
#pragma once

#include "cpu/gemm/patches.h"
#include "cpu/gemm/winograd_taps3.h"
#include "cpu/gemm/winograd_taps5.h"

namespace nnx::cpu::NNX_ISA {

// run(the transforms for a window of s)
template <class F>
NNX_INLINE auto with_taps(const Conv2dShape& s, const F& run) {
  return s.kh == Taps3::size ? run(Taps3{}) : run(Taps5{});
}

// Elements between one array and the next: an odd number of cache lines, so that what is read or written in
// several of them at once does not meet in the same set of the cache.
NNX_INLINE int64_t array_stride(int64_t elements) {
  constexpr int64_t line = 16;
  return (ceil_div(elements, line) | 1) * line;
}

// Images read in patches two points apart, and the results' tiles of 2x2 points: one of each per tile.
struct TileGrid {
  int64_t n, h, w, c;         // images read
  int64_t pad_top, pad_left;  // negative: the first patch begins inside the image
  int64_t oh, ow;             // points written

  int64_t rows() const { return ceil_div(oh, 2); }
  int64_t columns() const { return ceil_div(ow, 2); }
  int64_t tiles() const { return n * rows() * columns(); }
  Position tile(int64_t i) const { return Position::of(i, rows(), columns()); }
};

// v (a group's points, channels rounded up to vectors) of one tile; x moved to the first of `channels`
// channels.
template <class Taps, int Group>
NNX_INLINE void transform_tile(const TileGrid& grid, const Position& at, const float* x, int64_t channels,
                               float* v, int64_t step) {
  constexpr int64_t lanes = kLanes<float>, patch = Taps::patch;
  const int64_t top = 2 * at.i - grid.pad_top, left = 2 * at.j - grid.pad_left;
  const int64_t row_stride = grid.w * grid.c;
  const float* const first = x + ((at.n * grid.h + top) * grid.w + left) * grid.c;
  const bool inside = top >= 0 && top + patch <= grid.h && left >= 0 && left + patch <= grid.w;
  int64_t c = 0;
  if (inside) {
    for (; c + lanes <= channels; c += lanes) {
      Taps::template transform_patch<Group>(
          [&](int i, int j) { return load(first + i * row_stride + j * grid.c + c); }, v + c, step);
    }
    if (c == channels) return;
  }
  const float* points[patch * patch];
  int64_t mask[patch * patch];  // 0 where the point is padding, which reads zeros at any channel
  for (int p = 0; p < patch * patch; ++p) {
    const int64_t i = top + p / patch, j = left + p % patch;
    const bool here = i >= 0 && i < grid.h && j >= 0 && j < grid.w;
    points[p] = here ? first + p / patch * row_stride + p % patch * grid.c : kZeros<float>;
    mask[p] = here ? -1 : 0;
  }
  for (; c + lanes <= channels; c += lanes) {
    Taps::template transform_patch<Group>(
        [&](int i, int j) { return load(points[i * patch + j] + (c & mask[i * patch + j])); }, v + c, step);
  }
  if (c == channels) return;
  Taps::template transform_patch<Group>(
      [&](int i, int j) {
        return load_partial(points[i * patch + j] + (c & mask[i * patch + j]), channels - c);
      },
      v + c, step);
}

}  // namespace nnx::cpu::NNX_ISA
