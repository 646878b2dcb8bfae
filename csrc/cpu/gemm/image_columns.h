// Weight gradients of convolutions of images with few channels, from rows copied with their padding as in
// image_rows.h; and where the layer is pooled, from the gradient of the pool's output: that of the layer's
// own output is never stored.
#pragma once

#include "cpu/gemm/gemm_columns.h"
#include "cpu/gemm/image_rows.h"

namespace nnx::cpu::NNX_ISA {

// Row m of A is read every `a_stride` elements from rows[segment][m] on.
template <class T>
struct StridedOperand {
  const T* const* rows;  // [segments][kTileRows]
  int64_t segments, length, a_stride;
  const T* b;
  int64_t b_stride;
};

template <class T, int M>
void micro_strided(const StridedOperand<T>& operand, const TileTarget<T>& target) {
  Vec<T> sums[M][kTileVectors] = {};
  const T* b = operand.b;
  const int64_t b_stride = operand.b_stride, a_stride = operand.a_stride, end = operand.length * a_stride;
  for (int64_t s = 0; s < operand.segments; ++s) {
    const T* a[M];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) a[m] = operand.rows[s * kTileRows + m];
    for (int64_t k = 0; k < end; k += a_stride, b += b_stride) {
      add_outer_product<T, M>(sums, b, [&](int m) { return a[m][k]; });
    }
  }
  write_tile<T, M>(sums, target);
}

template <class T, int M = kTileRows>
NNX_INLINE void run_strided(int64_t height, const StridedOperand<T>& operand, const TileTarget<T>& target) {
  if constexpr (M > 1) {
    if (height < M) return run_strided<T, M - 1>(height, operand, target);
  }
  micro_strided<T, M>(operand, target);
}

// Where a layer's dy comes from: dy (n, oh, ow, o) itself, or with a pool dy and index (n, pool->oh,
// pool->ow, o).
template <class T>
struct ImageGradient {
  const Pool2dShape* pool;
  const T* dy;
  const int32_t* index;
};

// The window whose first point is `to`, in rows of `row` points, and has the position `first`.
template <class T>
NNX_INLINE void spread_window(int64_t kh, int64_t kw, int64_t row, int64_t first, const T* dy,
                              const int32_t* index, int64_t count, T* to) {
  for_vectors<T>(0, count, [&](int64_t c, int64_t lanes) {
    const Vec<T> slope = load_some(dy + c, lanes);
    const IntVec<T> where = load_positions<T>(index + c, lanes);
    for (int64_t i = 0; i < kh; ++i) {
      for (int64_t j = 0; j < kw; ++j) {
        const int64_t at = i * row + j;
        store(to + at * kTileColumns<T> + c, where == every_lane<T>(first + at) ? slope : Vec<T>{});
      }
    }
  });
}

// Columns [column, column + count) of dy's rows under the units [unit, unit + units) of image n, as a panel.
template <class T>
NNX_INLINE void spread_units(const Conv2dShape& s, const ImagePlan& plan, const ImageGradient<T>& gradient,
                             int64_t n, int64_t unit, int64_t units, int64_t column, int64_t count, T* to) {
  constexpr int64_t width = kTileColumns<T>;
  const Pool2dShape& pool = *gradient.pool;
  const bool covered = plan.step == plan.reach && pool.stride_w == pool.kw && pool.ow * pool.kw == s.ow;
  if (!covered || count < width) {
    __builtin_memset(to, 0, static_cast<uint64_t>(plan.rows(units) * s.ow * width) * sizeof(T));
  }
  const auto spread_row = [&](int64_t kh, int64_t kw, int64_t u) __attribute__((always_inline)) {
    const int64_t from = (n * pool.oh + u) * pool.ow * s.o + column, row = u * plan.step * s.ow;
    T* const row_to = to + (u - unit) * plan.step * s.ow * width;
    for (int64_t j = 0; j < pool.ow; ++j) {
      spread_window(kh, kw, s.ow, row + j * pool.stride_w, gradient.dy + from + j * s.o,
                    gradient.index + from + j * s.o, count, row_to + j * pool.stride_w * width);
    }
  };
  for (int64_t u = unit; u < unit + units; ++u) {
    if (pool.kh == 2 && pool.kw == 2) {
      spread_row(2, 2, u);
    } else {
      spread_row(pool.kh, pool.kw, u);
    }
  }
}

// How the reduction is cut: runs of items, an item being a group of units of one image.
struct ImageSplits {
  int64_t groups, items, splits;

  static ImageSplits of(const Conv2dShape& s, const ImagePlan& plan) {
    const int64_t groups = ceil_div(plan.units, plan.group), items = s.n * groups;
    const int64_t pixels = items * plan.rows(plan.group) * s.ow;
    return {groups, items, min_of(items, max_of(1, min_of(kMaxSplits, pixels / kSplitPixels)))};
  }
  static constexpr int64_t kSplitPixels = 256;
};

// Elements of each split's part: dw (kh * kw * c, o) and db (o), with columns of zeros up to whole panels.
template <class T>
NNX_INLINE int64_t image_part(const Conv2dShape& s) {
  return (s.kh * s.kw * s.c + 1) * round_up(s.o, kTileColumns<T>);
}

template <class T>
NNX_INLINE int64_t image_weights_workspace(const Conv2dShape& s) {
  return kMaxSplits * image_part<T>(s);
}

// Items [begin, end) into a part.
template <class T>
void image_weights_chunk(const Conv2dShape& s, const ImagePlan& plan, int64_t groups,
                         const ImageGradient<T>& gradient, const T* x, int64_t begin, int64_t end, T* part) {
  constexpr int64_t width = kTileColumns<T>;
  const PaddedRows source{s};
  const int64_t run = s.kw * s.c, taps = s.kh * run, pitch = round_up(s.o, width);
  const int64_t most_rows = plan.rows(plan.group);
  Arena arena(thread_scratch());
  T* const padded = arena.take<T>(source.count(most_rows) * source.pitch());
  T* const panel = arena.take<T>(most_rows * s.ow * width);
  auto* const rows_of_tile = arena.take<const T*>(most_rows * kTileRows);
  int64_t* const tap_offset = arena.take<int64_t>(taps);
  for (int64_t t = 0; t < taps; ++t) tap_offset[t] = t / run * s.dilation_h * source.pitch() + t % run;
  int64_t offsets[kTileRows];
  for (int64_t m = 0; m < kTileRows; ++m) offsets[m] = m * pitch;
  // The bias is one tap more, which reads ones.
  const int64_t a_stride = s.stride_w * s.c;
  T* const ones = arena.take<T>(s.ow * a_stride);
  for (int64_t i = 0; i < s.ow * a_stride; ++i) ones[i] = 1;

  const Tiling tiles = tiles_of(taps + 1, kTileRows);
  for (int64_t item = begin; item < end; ++item) {
    const int64_t n = item / groups, unit = item % groups * plan.group;
    const int64_t units = min_of(plan.group, plan.units - unit), row = unit * plan.step;
    const int64_t rows = plan.rows(units), pixels = rows * s.ow;
    source.copy(x, n, row, rows, padded);
    for (int64_t column = 0; column < s.o; column += width) {
      const int64_t count = min_of(width, s.o - column);
      StridedOperand<T> operand{rows_of_tile, rows, s.ow, a_stride, panel, width};
      if (gradient.pool != nullptr) {
        spread_units(s, plan, gradient, n, unit, units, column, count, panel);
      } else {
        const T* const from = gradient.dy + (n * s.oh + row) * s.ow * s.o + column;
        if (count == width && s.o * static_cast<int64_t>(sizeof(T)) <= kDirectBytes) {
          operand.b = from;
          operand.b_stride = s.o;
        } else {
          pack_rows(from, s.o, pixels, count, panel);
        }
      }
      for (int64_t tile = 0; tile < tiles.count; ++tile) {
        const int64_t first = tiles.begin(tile), height = tiles.height(tile);
        for (int64_t i = 0; i < rows; ++i) {
          const T* const at = padded + i * s.stride_h * source.pitch();
          for (int64_t m = 0; m < height; ++m) {
            rows_of_tile[i * kTileRows + m] = first + m < taps ? at + tap_offset[first + m] : ones;
          }
        }
        TileTarget<T> target{part + first * pitch + column, offsets, width, {}};
        target.epilogue.resume = item > begin;
        run_strided(height, operand, target);
      }
    }
  }
}

// dw (kh, kw, c, o) and db (o), which may be null.
template <class T>
void image_weights(Context& context, const Conv2dShape& s, const ImageGradient<T>& gradient, const T* x,
                   Policy policy, T* dw, T* db) {
  const ImagePlan plan = ImagePlan::of(s, gradient.pool);
  const ImageSplits cut = ImageSplits::of(s, plan);
  const int64_t taps = s.kh * s.kw * s.c, part = image_part<T>(s), pitch = round_up(s.o, kTileColumns<T>);
  const bool add = policy == Policy::accumulate;
  T* const parts = static_cast<T*>(context.workspace);
  const Tiling split = {cut.items, cut.splits};
  for_each(context, cut.splits, [&](int64_t i) {
    image_weights_chunk(s, plan, cut.groups, gradient, x, split.begin(i), split.begin(i + 1),
                        parts + i * part);
  });
  // The parts, added up in order; the last row of a part is its column sums.
  for_ranges(context, taps + 1, max_of(1, 16384 / (s.o * (cut.splits + 1))), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* const to = row < taps ? dw + row * s.o : db;
      if (to == nullptr) continue;
      for_vectors<T>(0, s.o, [&](int64_t i, int64_t lanes) {
        Vec<T> sum = add ? load_some(to + i, lanes) : Vec<T>{};
        for (int64_t k = 0; k < cut.splits; ++k) sum += load_some(parts + k * part + row * pitch + i, lanes);
        store_some(to + i, sum, lanes);
      });
    }
  });
}

}  // namespace nnx::cpu::NNX_ISA
