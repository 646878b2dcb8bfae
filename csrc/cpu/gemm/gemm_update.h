// The driver of weight gradients that go straight into an update: no array of them is ever written.
//
// A tile of w takes its whole reduction at once, so that its sums stay in the first cache level until they
// are used. Blocks and their order are those of gemm_columns where that does not split its reduction: the
// same bits.
#pragma once

#include "cpu/gemm/dense_operands.h"
#include "cpu/gemm/gemm_columns.h"
#include "cpu/sgd.h"
#include "kernels/dense.h"

namespace nnx::cpu::NNX_ISA {

// Elements of packed panels a chunk keeps; more would crowd its weights out of the second cache level.
inline constexpr int64_t kUpdatePanelElements = 1 << 17;
// And of those it works on at a time.
inline constexpr int64_t kNearPanelElements = 1 << 12;
// Multiply-adds a chunk should have, at some microseconds, and what updating an element costs in them.
inline constexpr int64_t kUpdateChunkWork = 1 << 18, kUpdateWork = 16;

// dy (rows, out), panel by panel and block by block: where it lies, or copied once for a chunk, or, where all
// of it would be too much, for each use.
template <class T>
struct GradientPanels {
  static constexpr int64_t kWidth = kTileColumns<T>, kBlock = MatrixSource<T>::kLine;

  const T* dy;
  int64_t rows, out, first_panel;
  bool direct, kept;
  T* storage;

  int64_t stride() const { return direct ? out : kWidth; }
  int64_t columns(int64_t panel) const { return min_of(kWidth, out - panel * kWidth); }
  int64_t length(int64_t row) const { return min_of(kBlock, rows - row); }
  void pack(int64_t panel, int64_t row, T* to) const {
    pack_rows(dy + row * out + panel * kWidth, out, length(row), columns(panel), to);
  }
  const T* block(int64_t panel, int64_t row) const {
    if (direct) return dy + row * out + panel * kWidth;
    if (kept) return storage + ((panel - first_panel) * rows + row) * kWidth;
    pack(panel, row, storage);
    return storage;
  }
};

// Fetches a tile of w or of the velocities while the one before it is computed.
template <class T>
NNX_INLINE void prefetch_tile(const T* tile, int64_t height, int64_t stride, int64_t columns) {
  constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t m = 0; m < height; ++m) {
    for (int64_t c = 0; c < columns; c += line) __builtin_prefetch(tile + m * stride + c, 1);
  }
}

template <class T, SgdKind kind>
void update_bias(const GradientPanels<T>& panels, int64_t panel, const Sgd<T>& rule, SgdTarget<T> b) {
  constexpr int64_t width = kTileColumns<T>;
  T sums[width] = {};
  for (int64_t row = 0; row < panels.rows; row += panels.kBlock) {
    add_column_sums(panels.block(panel, row), panels.stride(), panels.length(row), width, sums);
  }
  for_vectors<T>(0, panels.columns(panel), [&](int64_t j, int64_t n) {
    sgd_step<T, kind>(rule, load(sums + j), b, panel * width + j, n);
  });
}

// Rows [row, row + height) and one panel of w.
template <class T, SgdKind kind>
void update_tile(const DenseShape& s, const T* x, const GradientPanels<T>& panels, int64_t panel, int64_t row,
                 int64_t height, const Sgd<T>& rule, SgdTarget<T> w) {
  constexpr int64_t width = kTileColumns<T>;
  const int64_t first = row * s.out + panel * width, columns = panels.columns(panel);

  alignas(64) T sums[kTileRows * width];
  int64_t offsets[kTileRows];
  for (int64_t m = 0; m < height; ++m) offsets[m] = m * width;
  TileTarget<T> target{};
  target.result = sums;
  target.row_offsets = offsets;
  target.columns = columns <= kLanes<T> ? int64_t{kLanes<T>} : width;
  for (int64_t from = 0; from < s.rows; from += panels.kBlock) {
    const ColumnSegment<T> segment{x + from * s.in + row, panels.block(panel, from), panels.length(from)};
    target.epilogue.resume = from > 0;
    run_columns(height, ColumnOperand<T>{&segment, 1, 0, 0, s.in, panels.stride()}, target);
  }
  const Sgd<T> numbers = rule;  // a copy: what is stored cannot be taken to change it
  for (int64_t m = 0; m < height; ++m) {
    const SgdTarget<T> to = moved(w, first + m * s.out);
    for_vectors<T>(0, columns, [&](int64_t j, int64_t n) {
      sgd_step<T, kind>(numbers, load(sums + m * width + j), to, j, n);
    });
  }
}

template <class T, SgdKind kind>
void gemm_update(Context& context, const DenseShape& s, const T* x, const T* dy, const Sgd<T>& rule,
                 SgdTarget<T> w, SgdTarget<T> b) {
  constexpr int64_t width = kTileColumns<T>;
  const int64_t panel_count = ceil_div(s.out, width);
  const Tiling tiles = tiles_of(s.in, kTileRows);
  const bool direct = s.out % width == 0 && s.out * static_cast<int64_t>(sizeof(T)) <= kDirectBytes;

  // Chunk sizes touch no sum's order, so they may follow the number of threads. Chunks are runs of whole rows
  // where dy's panels allow it.
  const int64_t kept_panels = max_of(1, kUpdatePanelElements / (s.rows * width));
  const int64_t near_panels =
      max_of(1, kNearPanelElements / (min_of(s.rows, MatrixSource<T>::kLine) * width));
  const int64_t wanted =
      max_of(1, min_of(int64_t{4} * context.size,
                       s.in * panel_count * width * (s.rows + kUpdateWork) / kUpdateChunkWork));
  const int64_t groups = min_of(panel_count, direct ? 1 : ceil_div(panel_count, kept_panels));
  const Tiling group = {panel_count, groups};
  const Tiling run = {tiles.count, min_of(tiles.count, ceil_div(wanted, groups))};

  for_each(context, groups * run.count, [&](int64_t chunk) {
    const int64_t g = chunk / run.count, r = chunk % run.count;
    const int64_t panel0 = group.begin(g), panel1 = group.begin(g + 1);
    const int64_t elements = (panel1 - panel0) * s.rows * width;
    const int64_t tile0 = run.begin(r), tile1 = run.begin(r + 1);
    Arena arena(thread_scratch());
    GradientPanels<T> panels{dy, s.rows, s.out, panel0, direct, elements <= kUpdatePanelElements, nullptr};
    if (!direct) panels.storage = arena.take<T>(panels.kept ? elements : panels.kBlock * width);
    if (!direct && panels.kept) {
      for (int64_t panel = panel0; panel < panel1; ++panel) {
        for (int64_t row = 0; row < s.rows; row += panels.kBlock) {
          panels.pack(panel, row, panels.storage + ((panel - panel0) * s.rows + row) * width);
        }
      }
    }
    // Few panels at a time: they stay in the first cache level while the tiles go by.
    for (int64_t p0 = panel0, p1; p0 < panel1; p0 = p1) {
      p1 = min_of(panel1, p0 + near_panels);
      for (int64_t tile = tile0; tile < tile1; ++tile) {
        for (int64_t panel = p0; panel < p1; ++panel) {
          const bool wraps = panel + 1 == p1;
          const int64_t next = min_of(tile1 - 1, tile + wraps), next_panel = wraps ? p0 : panel + 1;
          const int64_t at = tiles.begin(next) * s.out + next_panel * width;
          prefetch_tile(w.p + at, tiles.height(next), s.out, panels.columns(next_panel));
          if constexpr (kind != SgdKind::plain) {
            prefetch_tile(w.velocity + at, tiles.height(next), s.out, panels.columns(next_panel));
          }
          update_tile<T, kind>(s, x, panels, panel, tiles.begin(tile), tiles.height(tile), rule, w);
        }
      }
    }
    for (int64_t panel = panel0; r == 0 && b.p != nullptr && panel < panel1; ++panel) {
      update_bias<T, kind>(panels, panel, rule, b);
    }
  });
}

}  // namespace nnx::cpu::NNX_ISA
