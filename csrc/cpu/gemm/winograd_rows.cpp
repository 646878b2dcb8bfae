// Forward passes and input gradients by winograd.h: blocks of tiles, small enough that what stands between
// the transforms stays in the second-level cache.
#include "cpu/gemm/pack.h"
#include "cpu/gemm/winograd.h"
#include "cpu/gemm/winograd_tiles.h"
#include "cpu/max_window.h"
#include "cpu/parallel.h"

namespace nnx::cpu::NNX_ISA {
namespace {

constexpr int64_t kWidth = kTileColumns<float>;
constexpr int64_t kFilterRun = 32;  // channels whose filters are transformed at a time

// Of a transformed block of tiles; more tiles use each panel of filters more often.
constexpr int64_t kBlockBytes = 400 << 10;
constexpr int64_t kMaxBlockTiles = 24;

// Rows of transformed tiles end in whole vectors, and do not follow each other at powers of two.
int64_t row_stride(int64_t channels) { return round_up(channels, kLanes<float>) + kLanes<float>; }

template <class Taps>
int64_t block_tiles(int64_t channels) {
  const int64_t fit = kBlockBytes / (Taps::points * row_stride(channels) * int64_t{sizeof(float)});
  return max_of(kTileRows, min_of(kMaxBlockTiles, fit / kTileRows * kTileRows));
}

// Filters (size, size, depth, columns) as panels: u [panel][point][k][kWidth]. `flipped`: of the input
// gradient, from (size, size, columns, depth), taps in reverse.
template <class Taps>
void transform_filters(Context& context, const float* w, int64_t depth, int64_t columns, bool flipped,
                       float* u) {
  constexpr int64_t window = Taps::size * Taps::size;
  const int64_t runs = ceil_div(depth, kFilterRun);
  for_each(context, ceil_div(columns, kWidth) * runs, [&](int64_t chunk) {
    const int64_t panel = chunk / runs, k0 = chunk % runs * kFilterRun,
                  length = min_of(kFilterRun, depth - k0);
    const int64_t column = panel * kWidth, count = min_of(kWidth, columns - column);
    float* const taps = static_cast<float*>(thread_scratch());
    for (int64_t tap = 0; tap < window; ++tap) {
      float* const to = taps + tap * kFilterRun * kWidth;
      if (flipped) {
        pack_transposed(w + ((window - 1 - tap) * columns + column) * depth + k0, depth, length, count, to);
      } else {
        pack_rows(w + (tap * depth + k0) * columns + column, columns, length, count, to);
      }
    }
    float* const to = u + (panel * Taps::points * depth + k0) * kWidth;
    for (int64_t i = 0; i < length * kWidth; i += kLanes<float>) {
      Taps::transform_filter(taps + i, kFilterRun * kWidth, to + i, depth * kWidth);
    }
  });
}

// The four points of a tile, from m [point][kWidth].
template <class Taps, int V>
NNX_INLINE void sums_of_tile(const float* m, Vec<float> (&y)[4][V]) {
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    Taps::transform_products([&](int point) { return load(m + point * kWidth + v * kLanes<float>); }, y[0][v],
                             y[1][v], y[2][v], y[3][v]);
  }
}

// One tile of a panel through the epilogue.
template <class Taps, int V>
NNX_INLINE void finish_tile(const TileGrid& grid, const Position& at, int64_t columns, const float* m,
                            TileTarget<float> target) {
  Vec<float> y[4][V];
  sums_of_tile<Taps, V>(m, y);
  const int64_t i = 2 * at.i, j = 2 * at.j, first = ((at.n * grid.oh + i) * grid.ow + j) * columns;
  const int64_t offsets[4] = {first, first + columns, first + grid.ow * columns,
                              first + (grid.ow + 1) * columns};
  target.row_offsets = offsets;
  if (i + 2 <= grid.oh && j + 2 <= grid.ow) {
    write_tile<float, 4, V>(y, target);
    return;
  }
#pragma GCC unroll 4
  for (int point = 0; point < 4; ++point) {
    if (i + point / 2 >= grid.oh || j + point % 2 >= grid.ow) continue;
    Vec<float> one[1][V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) one[0][v] = y[point][v];
    target.row_offsets = offsets + point;
    write_tile<float, 1, V>(one, target);
  }
}

// The maxima of tiles, (n, oh, ow, columns), and their positions, which may be null.
struct TilePool {
  int64_t oh, ow;
  float* y;
  int32_t* index;
};

// One tile of a panel through the epilogue to its maximum.
template <class Taps, int V>
NNX_INLINE void pool_tile(const TileGrid& grid, const Position& at, int64_t columns, int64_t column,
                          const float* m, TileTarget<float> target, const TilePool& pool) {
  if (at.i >= pool.oh || at.j >= pool.ow) return;
  constexpr int64_t point = V * kLanes<float>;
  const int64_t offsets[4] = {0, point, 2 * point, 3 * point};
  float points[4 * point];
  Vec<float> y[4][V];
  sums_of_tile<Taps, V>(m, y);
  target.result = points;
  target.row_offsets = offsets;
  write_tile<float, 4, V>(y, target);
  const int64_t to = ((at.n * pool.oh + at.i) * pool.ow + at.j) * columns + column;
  max_window<float>({2, 2, grid.ow, target.columns, point, 2 * point}, points, 2 * (at.i * grid.ow + at.j),
                    pool.y + to, pool.index != nullptr ? pool.index + to : nullptr);
}

// result (n, oh, ow, columns) = x (n, h, w, c) * filters, or with a pool its maxima.
template <class Taps>
void winograd_rows(Context& context, const TileGrid& grid, const float* x, const float* w, bool flipped,
                   int64_t columns, float* result, const TilePool* pool, const Epilogue<float>& epilogue) {
  const int64_t depth = grid.c, stride = row_stride(depth), panels = ceil_div(columns, kWidth);
  if (grid.tiles() == 0) return;
  float* const u = static_cast<float*>(context.workspace);
  transform_filters<Taps>(context, w, depth, columns, flipped, u);

  // Chunk sizes touch no sum's order, so they may follow the number of threads.
  const Tiling blocks = tiles_of(grid.tiles(), block_tiles<Taps>(depth));
  const int64_t wanted = context.size == 1 ? 1 : ceil_div(int64_t{4} * context.size, blocks.count);
  const Tiling column_chunk = {panels, min_of(panels, wanted)};
  for_each(context, blocks.count * column_chunk.count, [&](int64_t chunk) {
    const int64_t block = chunk / column_chunk.count;
    const int64_t tile0 = blocks.begin(block), count = blocks.height(block);
    const int64_t v_tile = array_stride(Taps::points * stride), m_tile = array_stride(Taps::points * kWidth);
    Arena arena(thread_scratch());
    float* const v = arena.take<float>(count * v_tile);                 // [tile][point][channel]
    float* const m = arena.take<float>(count * m_tile);                 // [tile][point][column of the panel]
    auto* const rows = arena.take<const float*>(Taps::points * count);  // of v
    for (int64_t point = 0; point < Taps::points; ++point) {
      for (int64_t t = 0; t < count; ++t) rows[point * count + t] = v + t * v_tile + point * stride;
    }
    int64_t offsets[kTileRows];
    for (int64_t i = 0; i < kTileRows; ++i) offsets[i] = i * m_tile;

    Position at = grid.tile(tile0);
    for (int64_t t = 0; t < count; ++t, at.next()) {
      transform_tile<Taps, Taps::all>(grid, at, x, depth, v + t * v_tile, stride);
    }
    const Tiling row_tiles = tiles_of(count, kTileRows);
    for (int64_t panel = column_chunk.begin(chunk % column_chunk.count);
         panel < column_chunk.begin(chunk % column_chunk.count + 1); ++panel) {
      for (int64_t point = 0; point < Taps::points; ++point) {
        const float* const b = u + (panel * Taps::points + point) * depth * kWidth;
        for (int64_t tile = 0; tile < row_tiles.count; ++tile) {
          const int64_t t = row_tiles.begin(tile);
          const TileTarget<float> target{m + t * m_tile + point * kWidth, offsets, kWidth, {}};
          const RowOperand<float> operand{rows + point * count + t, &depth, 1, b, kWidth};
          run_rows(row_tiles.height(tile), operand, target);
        }
      }
      const int64_t column = panel * kWidth;
      TileTarget<float> target{result != nullptr ? result + column : nullptr, nullptr,
                               min_of(kWidth, columns - column), epilogue};
      if (epilogue.bias != nullptr) target.epilogue.bias += column;
      if (epilogue.gradient.saved != nullptr) target.epilogue.gradient.saved += column;
      at = grid.tile(tile0);
      for (int64_t t = 0; t < count; ++t, at.next()) {
        const float* const sums = m + t * m_tile;
        const bool narrow = target.columns <= kLanes<float>;
        if (pool != nullptr && narrow) {
          pool_tile<Taps, 1>(grid, at, columns, column, sums, target, *pool);
        } else if (pool != nullptr) {
          pool_tile<Taps, kTileVectors>(grid, at, columns, column, sums, target, *pool);
        } else if (narrow) {
          finish_tile<Taps, 1>(grid, at, columns, sums, target);
        } else {
          finish_tile<Taps, kTileVectors>(grid, at, columns, sums, target);
        }
      }
    }
  });
}

}  // namespace

int64_t winograd_rows_workspace(const Conv2dShape& s) {
  const int64_t points = with_taps(s, [](auto taps) { return int64_t{taps.points}; });
  return points * max_of(s.c * round_up(s.o, kWidth), s.o * round_up(s.c, kWidth));
}

void winograd_forward(Context& context, const Conv2dShape& s, const Pool2dShape* pool, const float* x,
                      const float* w, float* y, int32_t* index, const Epilogue<float>& epilogue) {
  const TileGrid grid{s.n, s.h, s.w, s.c, s.pad_top, s.pad_left, s.oh, s.ow};
  with_taps(s, [&](auto taps) {
    using Taps = decltype(taps);
    if (pool == nullptr) return winograd_rows<Taps>(context, grid, x, w, false, s.o, y, nullptr, epilogue);
    const TilePool maxima{pool->oh, pool->ow, y, index};
    winograd_rows<Taps>(context, grid, x, w, false, s.o, nullptr, &maxima, epilogue);
  });
}

void winograd_backward_input(Context& context, const Conv2dShape& s, const float* dy, const float* w,
                             float* dx, const Epilogue<float>& epilogue) {
  with_taps(s, [&](auto taps) {
    constexpr int64_t last = taps.size - 1;
    const TileGrid grid{s.n, s.oh, s.ow, s.o, last - s.pad_top, last - s.pad_left, s.h, s.w};
    winograd_rows<decltype(taps)>(context, grid, dy, w, true, s.c, dx, nullptr, epilogue);
  });
}

}  // namespace nnx::cpu::NNX_ISA
