// Forward convolution of images with few channels, as they come from a camera or a scanner. Rows of the image
// are copied with their padding, so that a window is kh runs of kw * c neighbours; and where the layer is
// pooled, that is done to the rows of its output while they are in the first-level cache.
#pragma once

#include "cpu/gemm/patches.h"
#include "cpu/max_window.h"
#include "cpu/parallel.h"
#include "kernels/pool2d.h"

namespace nnx::cpu::NNX_ISA {

// A whose row m is `segments` runs, the first at points[m], each `step` behind the one before.
template <class T>
struct RunOperand {
  const T* const* points;  // (M)
  int64_t segments, length, step;
  const T* b;
  int64_t b_stride;
};

template <class T, int M>
void micro_runs(const RunOperand<T>& operand, const TileTarget<T>& target) {
  Vec<T> sums[M][kTileVectors] = {};
  const T* b = operand.b;
  const int64_t b_stride = operand.b_stride, length = operand.length;
  for (int64_t s = 0; s < operand.segments; ++s) {
    const T* a[M];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) a[m] = operand.points[m] + s * operand.step;
    for (int64_t k = 0; k < length; ++k, b += b_stride) {
      add_outer_product<T, M>(sums, b, [&](int m) { return a[m][k]; });
    }
  }
  write_tile<T, M>(sums, target);
}

template <class T, int M = kTileRows>
NNX_INLINE void run_runs(int64_t height, const RunOperand<T>& operand, const TileTarget<T>& target) {
  if constexpr (M > 1) {
    if (height < M) return run_runs<T, M - 1>(height, operand, target);
  }
  micro_runs<T, M>(operand, target);
}

// The rows of the input under some rows of the output, padding included.
struct PaddedRows {
  const Conv2dShape& s;

  int64_t pitch() const { return ((s.ow - 1) * s.stride_w + s.kw) * s.c; }
  int64_t count(int64_t rows) const { return (rows - 1) * s.stride_h + (s.kh - 1) * s.dilation_h + 1; }

  template <class T>
  void copy(const T* x, int64_t n, int64_t row, int64_t rows, T* to) const {
    const int64_t left = min_of(s.pad_left * s.c, pitch()), inside = min_of(s.w * s.c, pitch() - left);
    const int64_t first = row * s.stride_h - s.pad_top;
    for (int64_t ih = first; ih < first + count(rows); ++ih, to += pitch()) {
      const bool exists = ih >= 0 && ih < s.h;
      const int64_t begin = exists ? left : pitch();
      for (int64_t i = 0; i < begin; ++i) to[i] = 0;
      if (!exists) continue;
      copy_run(x + (n * s.h + ih) * s.w * s.c, inside, to + left);
      for (int64_t i = left + inside; i < pitch(); ++i) to[i] = 0;
    }
  }
};

// How the rows of the output are taken: a unit is one row of the result, pooled or not.
struct ImagePlan {
  int64_t units, step, reach;  // output rows from one unit to the next, and in each
  int64_t group;               // units at a time

  static ImagePlan of(const Conv2dShape& s, const Pool2dShape* pool) {
    ImagePlan plan{s.oh, 1, 1, 1};
    if (pool != nullptr) plan = {pool->oh, pool->stride_h, pool->kh, 1};
    plan.group = max_of(1, kPixels / (plan.step * s.ow));
    return plan;
  }
  int64_t rows(int64_t group_units) const { return (group_units - 1) * step + reach; }

  static constexpr int64_t kPixels = 96;
};

inline constexpr int64_t kMostPadded = int64_t{1} << 16;  // elements of scratch

NNX_INLINE bool reads_image(const Conv2dShape& s, const Pool2dShape* pool, int64_t depth_limit) {
  if (!gathers(s, depth_limit) || s.dilation_w != 1 || s.ow < 1) return false;
  const ImagePlan plan = ImagePlan::of(s, pool);
  const int64_t rows = plan.rows(plan.group);
  const PaddedRows padded{s};
  return padded.count(rows) * padded.pitch() <= kMostPadded && rows * s.ow <= kMostPadded / 32;
}

// y (n, oh, ow, o), or the pooled y and index of its maxima; index may be null.
template <class T>
void image_forward(Context& context, const Conv2dShape& s, const Pool2dShape* pool, const T* x, const T* w,
                   const T* b, Activation activation, T* y, int32_t* index) {
  constexpr int64_t width = kTileColumns<T>;
  const ImagePlan plan = ImagePlan::of(s, pool);
  const PaddedRows source{s};
  const int64_t depth = s.kh * s.kw * s.c, groups = ceil_div(plan.units, plan.group);
  const int64_t most_rows = plan.rows(plan.group), most_pixels = most_rows * s.ow;
  const int64_t grain = max_of(1, (int64_t{1} << 16) / max_of(1, most_pixels * depth * s.o));

  for_ranges(context, s.n * groups, grain, [&](int64_t begin, int64_t end) {
    Arena arena(thread_scratch());
    T* const padded = arena.take<T>(source.count(most_rows) * source.pitch());
    T* const packed = arena.take<T>(depth * width);
    T* const rows_of_panel = arena.take<T>(most_pixels * width);
    auto* const points = arena.take<const T*>(most_pixels);
    T* const own_bias = arena.take<T>(width);
    int64_t offsets[kTileRows];

    for (int64_t item = begin; item < end; ++item) {
      const int64_t n = item / groups, unit = item % groups * plan.group;
      const int64_t units = min_of(plan.group, plan.units - unit), row = unit * plan.step;
      const int64_t rows = plan.rows(units);
      const Tiling tiles = tiles_of(rows * s.ow, kTileRows);
      source.copy(x, n, row, rows, padded);
      for (int64_t i = 0, p = 0; i < rows; ++i) {
        const T* at = padded + i * s.stride_h * source.pitch();
        for (int64_t j = 0; j < s.ow; ++j, at += s.stride_w * s.c) points[p++] = at;
      }
      for (int64_t column = 0; column < s.o; column += width) {
        const int64_t count = min_of(width, s.o - column);
        RunOperand<T> operand{nullptr, s.kh, s.kw * s.c, s.dilation_h * source.pitch(), w + column, s.o};
        if (count < width || s.o * static_cast<int64_t>(sizeof(T)) > kDirectBytes) {
          pack_rows(w + column, s.o, depth, count, packed);
          operand.b = packed;
          operand.b_stride = width;
        }
        // Whole tiles are written, to scratch where they are pooled or narrower in y.
        const bool staged = pool != nullptr || count < width;
        T* const out = y + (n * s.oh + row) * s.ow * s.o + column;
        T* const result = staged ? rows_of_panel : out;
        for (int64_t m = 0; m < kTileRows; ++m) offsets[m] = m * (staged ? width : s.o);
        for (int64_t c = 0; c < width; ++c) own_bias[c] = b != nullptr && c < count ? b[column + c] : T{0};
        TileTarget<T> target{nullptr, offsets, width, {}};
        target.epilogue.bias = own_bias;
        target.epilogue.activation = activation;
        for (int64_t tile = 0; tile < tiles.count; ++tile) {
          operand.points = points + tiles.begin(tile);
          target.result = result + tiles.begin(tile) * offsets[1];
          run_runs(tiles.height(tile), operand, target);
        }
        if (pool == nullptr) {
          if (!staged) continue;
          for (int64_t p = 0; p < rows * s.ow; ++p) copy_run(rows_of_panel + p * width, count, out + p * s.o);
          continue;
        }
        const MaxWindow window{pool->kh, pool->kw, s.ow, count, width, s.ow * width};
        for (int64_t u = unit; u < unit + units; ++u) {
          const int64_t to = (n * pool->oh + u) * pool->ow * s.o + column;
          max_row(window, pool->stride_w, pool->ow, rows_of_panel + (u - unit) * plan.step * s.ow * width,
                  u * plan.step * s.ow, y + to, index != nullptr ? index + to : nullptr, s.o);
        }
      }
    }
  });
}

}  // namespace nnx::cpu::NNX_ISA
