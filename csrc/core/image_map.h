// What a sample's random words do to its image: the one place where devices agree on it.
//
// A sample takes the four words of Philox block `row` (core/philox.h), row being its row in the step. Flips:
// word 0 up and down, word 1 left and right, each where the word's highest bit is set. Translation: word 0
// down, word 1 to the right. Crop: word 0 the first row, word 1 the first column. Rotation, contrast: word 0.
// A word w stands for w / 2^32 of a range.
#pragma once

#include <cmath>

#include "core/philox.h"
#include "core/warp.h"

namespace nnx {

// The points that an output coordinate is taken from: (1 - fraction) * at `first` + fraction * at the next.
struct Tap {
  int64_t first;
  double fraction;
};

// One sample's draw.
struct ImageMap {
  bool flip_rows = false, flip_columns = false;
  Tap row{0, 0.0}, column{0, 0.0};  // of output row 0 and column 0, but for rotations
  double sine = 0.0, cosine = 1.0;
};

// Internal linkage on purpose: this header is compiled once per instruction set.
static inline NNX_HOST_DEVICE PhiloxCounter row_words(const RowKey& key, int64_t sample) {
  const uint64_t step = key.step.value + (key.step.at != nullptr ? *key.step.at : 0);
  const int64_t first = key.row != nullptr ? *key.row : 0;
  return philox_block(static_cast<uint64_t>(first + sample), key.seed, key.layer, step);
}

static inline NNX_HOST_DEVICE double between(double low, double high, uint32_t word) {
  return low + (high - low) * (static_cast<double>(word) * (1.0 / 4294967296.0));
}

static inline NNX_HOST_DEVICE Tap tap_at(double place, bool bilinear) {
  const double first = floor(bilinear ? place : place + 0.5);
  return {static_cast<int64_t>(first), bilinear ? place - first : 0.0};
}

static inline NNX_HOST_DEVICE ImageMap draw_map(const Warp& warp, int64_t h, int64_t w, int64_t oh,
                                                int64_t ow, int64_t sample) {
  ImageMap map;
  if (warp.flips_rows || warp.flips_columns) {
    const PhiloxCounter words = row_words(warp.flip, sample);
    map.flip_rows = warp.flips_rows && words.word[0] >> 31 != 0;
    map.flip_columns = warp.flips_columns && words.word[1] >> 31 != 0;
  }
  if (warp.motion == Motion::none) return map;
  if (warp.motion == Motion::center_crop) {
    map.row.first = (h - oh) / 2;
    map.column.first = (w - ow) / 2;
    return map;
  }
  const PhiloxCounter words = row_words(warp.move, sample);
  if (warp.motion == Motion::translation) {
    const double down = between(warp.low[0], warp.high[0], words.word[0]) * static_cast<double>(h);
    const double right = between(warp.low[1], warp.high[1], words.word[1]) * static_cast<double>(w);
    map.row = tap_at(-down, warp.bilinear);
    map.column = tap_at(-right, warp.bilinear);
  } else if (warp.motion == Motion::crop) {
    map.row.first = static_cast<int64_t>(words.word[0] * static_cast<uint64_t>(h - oh + 1) >> 32);
    map.column.first = static_cast<int64_t>(words.word[1] * static_cast<uint64_t>(w - ow + 1) >> 32);
  } else {
    const double angle = between(warp.low[0], warp.high[0], words.word[0]) * 6.2831853071795864769;
    map.sine = sin(angle);
    map.cosine = cos(angle);
  }
  return map;
}

// Where output point (i, j) comes from; before fill and flips, which follow in `source`.
static inline NNX_HOST_DEVICE void taps_at(const ImageMap& map, const Warp& warp, int64_t h, int64_t w,
                                           int64_t i, int64_t j, Tap& row, Tap& column) {
  if (warp.motion != Motion::rotation) {
    row = {map.row.first + i, map.row.fraction};
    column = {map.column.first + j, map.column.fraction};
    return;
  }
  const double middle_row = 0.5 * static_cast<double>(h - 1),
               middle_column = 0.5 * static_cast<double>(w - 1);
  const double down = static_cast<double>(i) - middle_row, right = static_cast<double>(j) - middle_column;
  row = tap_at(map.sine * right + map.cosine * down + middle_row, warp.bilinear);
  column = tap_at(map.cosine * right - map.sine * down + middle_column, warp.bilinear);
}

// The row (or column) of an image of n that place i of the endless one shows; -1: the fill value.
static inline NNX_HOST_DEVICE int64_t source(int64_t i, int64_t n, Fill fill, bool flipped) {
  if (i < 0 || i >= n) {
    if (fill == Fill::constant) return -1;
    if (fill == Fill::nearest) {
      i = i < 0 ? 0 : n - 1;
    } else {
      const int64_t period = fill == Fill::wrap ? n : 2 * n;
      i %= period;
      if (i < 0) i += period;
      if (i >= n) i = period - 1 - i;
    }
  }
  return flipped ? n - 1 - i : i;
}

}  // namespace nnx
