// The driver of weight gradients: dw (rows, columns) = Aᵀ · dy, and with it the column sums of dy.
//
// The reduction runs over pixels (or batch rows), which come in lines; the rows of dw come in taps of
// neighbours that lie side by side for every pixel. A reader (`Source`) tells:
//
// - lines(), line_length(line), line_start(line): pixels of the reduction; starts count from line 0.
// - lines_per_block(), block_pixels(): how much of it is one block, and the most pixels a block has.
// - tap_length(): rows of dw in a tap.
// - prepare(line0, line1, storage): called before a block's segments are asked for; may copy into storage,
//   which has storage_elements().
// - segment(tap, line, line0, storage, &first, &length): where the tap lies for the line's pixels. first and
//   length: the run of pixels inside the image, which may be empty; the address returned is that of `first`.
// - a_stride(): elements between a pixel and the next.
#pragma once

#include "cpu/gemm/pack.h"
#include "cpu/parallel.h"

namespace nnx::cpu::NNX_ISA {

inline constexpr int64_t kChunkPanels = 4;  // of B, per chunk
inline constexpr int64_t kChunkRows = 192;  // of dw, per chunk
inline constexpr int64_t kMaxSplits = 16;   // of the reduction
inline constexpr int64_t kMinSplitDepth = 1024;

// How the work is cut, by shape alone: every number here fixes the order of some sum.
struct ColumnsPlan {
  int64_t rows, columns;
  int64_t row_chunks, column_chunks, splits;
};

template <class T>
NNX_INLINE ColumnsPlan plan_columns(int64_t rows, int64_t columns, int64_t depth) {
  ColumnsPlan plan{rows, columns, ceil_div(rows, kChunkRows),
                   ceil_div(ceil_div(columns, int64_t{kTileColumns<T>}), kChunkPanels), 1};
  const int64_t grid = max_of(1, plan.row_chunks * plan.column_chunks);
  plan.splits = max_of(1, min_of(ceil_div(kMaxSplits, grid), depth / kMinSplitDepth));
  return plan;
}

// Elements of workspace: each split's own dw and column sums.
NNX_INLINE int64_t gemm_columns_workspace(const ColumnsPlan& plan) {
  return plan.splits > 1 ? plan.splits * (plan.rows + 1) * plan.columns : 0;
}

// db[c] += sum over pixels of panel[., c], rows `stride` apart
template <class T>
NNX_INLINE void add_column_sums(const T* panel, int64_t stride, int64_t pixels, int64_t columns, T* db) {
  Vec<T> sums[kTileVectors] = {};
  for (int64_t p = 0; p < pixels; ++p, panel += stride) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) sums[v] += load(panel + v * kLanes<T>);
  }
  T memory[kTileColumns<T>];
#pragma GCC unroll 4
  for (int v = 0; v < kTileVectors; ++v) store(memory + v * kLanes<T>, sums[v]);
  for (int64_t c = 0; c < columns; ++c) db[c] += memory[c];
}

// One chunk: rows of taps [tap rows row0, row1), panels [panel0, panel1), lines [line0, line1), into dw and
// db.
template <class T, class Source>
void columns_chunk(const Source& source, const T* dy, int64_t dy_stride, const ColumnsPlan& plan,
                   int64_t row0, int64_t row1, int64_t panel0, int64_t panel1, int64_t line0, int64_t line1,
                   bool resume, T* dw, int64_t dw_stride, T* db) {
  constexpr int64_t width = kTileColumns<T>;
  const int64_t tap_length = source.tap_length();
  const int64_t first_tap = row0 / tap_length, last_tap = (row1 - 1) / tap_length;
  const int64_t pixels_limit = source.block_pixels();
  Arena arena(thread_scratch());
  auto* const segments = arena.take<ColumnSegment<T>>(kMaxLines);
  T* const panels = arena.take<T>(pixels_limit * width * kChunkPanels);
  T* const storage = arena.take<T>(source.storage_elements());
  if (db != nullptr) {
    for (int64_t c = panel0 * width; c < min_of(plan.columns, panel1 * width); ++c)
      db[c] = resume ? db[c] : T{0};
  }

  const bool direct =
      plan.columns % width == 0 && dy_stride * static_cast<int64_t>(sizeof(T)) <= kDirectBytes;
  const int64_t b_stride = direct ? dy_stride : width, panel_step = direct ? width : pixels_limit * width;

  for (int64_t l0 = line0, l1; l0 < line1; l0 = l1) {
    l1 = min_of(line1, l0 + source.lines_per_block());
    const int64_t start = source.line_start(l0);
    const int64_t pixels = source.line_start(l1 - 1) + source.line_length(l1 - 1) - start;
    const T* const first_panel = direct ? dy + start * dy_stride + panel0 * width : panels;
    for (int64_t panel = panel0; panel < panel1; ++panel) {
      const int64_t count = min_of(width, plan.columns - panel * width);
      if (!direct) {
        pack_rows(dy + start * dy_stride + panel * width, dy_stride, pixels, count,
                  panels + (panel - panel0) * panel_step);
      }
      if (db != nullptr) {
        add_column_sums(first_panel + (panel - panel0) * panel_step, b_stride, pixels, count,
                        db + panel * width);
      }
    }
    source.prepare(l0, l1, storage);
    for (int64_t tap = first_tap; tap <= last_tap; ++tap) {
      const int64_t from = max_of(row0 - tap * tap_length, 0),
                    to = min_of(row1 - tap * tap_length, tap_length);
      ColumnOperand<T> operand{segments, 0, 0, 0, source.a_stride(), b_stride};
      for (int64_t line = l0; line < l1; ++line) {
        int64_t first, length;
        const T* const a = source.segment(tap, line, l0, storage, &first, &length);
        if (length <= 0) continue;
        segments[operand.count++] = {a, first_panel + (source.line_start(line) - start + first) * b_stride,
                                     length};
      }
      const Tiling tiles = tiles_of(to - from, kTileRows);
      for (int64_t tile = 0; tile < tiles.count; ++tile) {
        const int64_t row = from + tiles.begin(tile), height = tiles.height(tile);
        int64_t offsets[kTileRows];
        for (int64_t m = 0; m < height; ++m) offsets[m] = (tap * tap_length + row + m) * dw_stride;
        operand.a_offset = row;
        for (int64_t panel = panel0; panel < panel1; ++panel) {
          operand.b_offset = (panel - panel0) * panel_step;
          TileTarget<T> target{};
          target.result = dw + panel * width;
          target.row_offsets = offsets;
          target.columns = min_of(width, plan.columns - panel * width);
          target.epilogue.resume = resume || l0 > line0;
          run_columns(height, operand, target);
        }
      }
    }
  }
}

// The second, ordered pass over the splits' parts (rows + 1, columns), whose last row is their column sums.
template <class T>
void add_parts(Context& context, const T* parts, int64_t splits, int64_t rows, int64_t columns, Policy policy,
               T* dw, int64_t dw_stride, T* db) {
  for_each(context, rows + 1, [&](int64_t row) {
    T* const to = row < rows ? dw + row * dw_stride : db;
    if (to == nullptr) return;
    const T* const from = parts + row * columns;
    for_vectors<T>(0, columns, [&](int64_t i, int64_t n) {
      Vec<T> sum = policy == Policy::accumulate ? load_some(to + i, n) : Vec<T>{};
      for (int64_t s = 0; s < splits; ++s) sum += load_some(from + s * (rows + 1) * columns + i, n);
      store_some(to + i, sum, n);
    });
  });
}

// dw (rows, columns), rows dw_stride apart, and db (columns), which may be null.
template <class T, class Source>
void gemm_columns(Context& context, const ColumnsPlan& plan, const Source& source, const T* dy,
                  int64_t dy_stride, Policy policy, T* dw, int64_t dw_stride, T* db) {
  const bool add = policy == Policy::accumulate;
  const int64_t lines = source.lines();
  const int64_t panel_count = ceil_div(plan.columns, int64_t{kTileColumns<T>});
  if (lines == 0 || source.line_start(lines - 1) + source.line_length(lines - 1) == 0) {
    for_each(context, 1, [&](int64_t) {
      for (int64_t r = 0; !add && r < plan.rows; ++r) {
        for (int64_t c = 0; c < plan.columns; ++c) dw[r * dw_stride + c] = 0;
      }
      for (int64_t c = 0; !add && db != nullptr && c < plan.columns; ++c) db[c] = 0;
    });
    return;
  }
  const int64_t splits = min_of(plan.splits, lines), part = (plan.rows + 1) * plan.columns;
  const Tiling row_chunk = {plan.rows, plan.row_chunks}, column_chunk = {panel_count, plan.column_chunks};
  const Tiling split = {lines, splits};
  T* const parts = splits > 1 ? static_cast<T*>(context.workspace) : nullptr;
  const int64_t grid = plan.row_chunks * plan.column_chunks;

  for_each(context, grid * splits, [&](int64_t chunk) {
    const int64_t s = chunk / grid, r = chunk % grid / plan.column_chunks, c = chunk % plan.column_chunks;
    T* const to = parts != nullptr ? parts + s * part : dw;
    T* to_sums = parts != nullptr ? parts + s * part + plan.rows * plan.columns : db;
    if (r > 0 || db == nullptr) to_sums = nullptr;
    columns_chunk(source, dy, dy_stride, plan, row_chunk.begin(r), row_chunk.begin(r + 1),
                  column_chunk.begin(c), column_chunk.begin(c + 1), split.begin(s), split.begin(s + 1),
                  add && parts == nullptr, to, parts != nullptr ? plan.columns : dw_stride, to_sums);
  });
  if (parts != nullptr) add_parts(context, parts, splits, plan.rows, plan.columns, policy, dw, dw_stride, db);
}

}  // namespace nnx::cpu::NNX_ISA
