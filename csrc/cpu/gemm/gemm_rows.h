// The driver of forward passes and input gradients: result (rows, columns) = A · B, A by row pointers.
//
// A reader of A (`Rows`) tells how the reduction falls into segments and where a row lies in each:
//
// - segments(), length(s), offset(s) = sum of the lengths before s.
// - locate(row, height, s0, s1, to, storage): pointers of the rows row.. in segments s0..s1, at
//   to[segment][m]; may copy into storage, which holds storage_elements() for each row.
// - result_offsets(row, height, to): where the rows of the result start.
//
// A reader of B (`Columns`):
//
// - pack(k, depth, column, count, to): writes rows k..k + depth of a panel.
// - direct(k, column): the rows of B themselves, stride() apart, where they can be used as they lie; else
// null.
#pragma once

#include "cpu/gemm/pack.h"
#include "cpu/parallel.h"

namespace nnx::cpu::NNX_ISA {

// Rows a chunk works on, and segments of one block: together they bound the table of pointers in scratch.
inline constexpr int64_t kChunkTiles = 8;
inline constexpr int64_t kBlockSegments = 64;

// Multiply-adds that are worth a chunk, and what an element of the result costs in them.
inline constexpr int64_t kRowsChunkWork = 1 << 17, kElementWork = 16;

// With more row tiles than this B is packed once for all threads, else by each chunk for itself.
inline constexpr int64_t kSharedPackTiles = 24;

template <class T, class Rows>
NNX_INLINE int64_t block_end(const Rows& a, int64_t s0) {
  int64_t s1 = s0 + 1, depth = a.length(s0);
  while (s1 < a.segments() && s1 - s0 < kBlockSegments && depth + a.length(s1) <= kBlockDepth<T>) {
    depth += a.length(s1++);
  }
  return s1;
}

template <class T>
NNX_INLINE int64_t packed_elements(int64_t depth, int64_t columns) {
  return depth * round_up(columns, kTileColumns<T>);
}

// Elements of workspace gemm_rows wants for a shared copy of B; 0 where each chunk packs for itself.
template <class T>
NNX_INLINE int64_t gemm_rows_workspace(int64_t rows, int64_t columns, int64_t depth) {
  return ceil_div(rows, kTileRows) > kSharedPackTiles ? packed_elements<T>(depth, columns) : 0;
}

template <class T, class Rows, class Columns>
void gemm_rows(Context& context, int64_t rows, int64_t columns, const Rows& a, const Columns& b, T* result,
               const Epilogue<T>& epilogue) {
  if (rows == 0 || columns == 0) return;
  const int64_t width = kTileColumns<T>, panels = ceil_div(columns, width);
  const Tiling tiles = tiles_of(rows, kTileRows);
  const int64_t last = a.segments() - 1, depth = a.offset(last) + a.length(last);

  T* const shared = tiles.count > kSharedPackTiles ? static_cast<T*>(context.workspace) : nullptr;
  if (shared != nullptr) {
    for_each(context, panels, [&](int64_t panel) {
      const int64_t column = panel * width;
      b.pack(0, depth, column, min_of(width, columns - column), shared + panel * width * depth);
    });
  }

  // Chunk sizes touch no sum's order, so they may follow the number of threads.
  const int64_t row_chunks = ceil_div(tiles.count, kChunkTiles);
  const int64_t work = rows * panels * width * (depth + kElementWork);
  const int64_t most = context.size == 1 ? 1 : min_of(int64_t{4} * context.size, work / kRowsChunkWork);
  const int64_t column_chunks = max_of(1, min_of(panels, ceil_div(most, row_chunks)));
  const Tiling row_chunk = {tiles.count, row_chunks}, column_chunk = {panels, column_chunks};
  // Few tiles gain nothing from a copy of B that they would read but once or twice; nor do more, of a B whose
  // rows lie near each other.
  const bool near = b.stride() * static_cast<int64_t>(sizeof(T)) <= kDirectBytes;
  const bool may_read_direct = near || tiles.count <= 4;

  for_each(context, row_chunks * column_chunks, [&](int64_t chunk) {
    const int64_t tile0 = row_chunk.begin(chunk / column_chunks),
                  tile1 = row_chunk.begin(chunk / column_chunks + 1);
    const int64_t panel0 = column_chunk.begin(chunk % column_chunks);
    const int64_t panel1 = column_chunk.begin(chunk % column_chunks + 1);
    Arena arena(thread_scratch());
    auto* const pointers = arena.take<const T*>(kChunkTiles * kBlockSegments * kTileRows);
    int64_t* const lengths = arena.take<int64_t>(kBlockSegments);
    int64_t* const offsets = arena.take<int64_t>(kChunkTiles * kTileRows);
    T* const storage = arena.take<T>(kChunkTiles * kTileRows * a.storage_elements());
    T* const own_panel = arena.take<T>(kBlockDepth<T> * width);

    for (int64_t tile = tile0; tile < tile1; ++tile) {
      a.result_offsets(tiles.begin(tile), tiles.height(tile), offsets + (tile - tile0) * kTileRows);
    }
    for (int64_t s0 = 0, s1; s0 <= last; s0 = s1) {
      s1 = block_end<T>(a, s0);
      for (int64_t s = s0; s < s1; ++s) lengths[s - s0] = a.length(s);
      const int64_t block_depth = a.offset(s1 - 1) + a.length(s1 - 1) - a.offset(s0);
      for (int64_t tile = tile0; tile < tile1; ++tile) {
        a.locate(tiles.begin(tile), tiles.height(tile), s0, s1,
                 pointers + (tile - tile0) * kBlockSegments * kTileRows,
                 storage + (tile - tile0) * kTileRows * a.storage_elements());
      }
      TileTarget<T> target{};
      if (s1 > last) target.epilogue = epilogue;
      target.epilogue.resume = s0 > 0 || epilogue.resume;

      for (int64_t panel = panel0; panel < panel1; ++panel) {
        const int64_t column = panel * width, count = min_of(width, columns - column);
        RowOperand<T> operand{nullptr, lengths, s1 - s0, nullptr, width};
        if (shared != nullptr) {
          operand.b = shared + panel * width * depth + a.offset(s0) * width;
        } else {
          const T* const direct =
              may_read_direct && count == width ? b.direct(a.offset(s0), column) : nullptr;
          if (direct != nullptr) {
            operand.b = direct;
            operand.b_stride = b.stride();
          } else {
            b.pack(a.offset(s0), block_depth, column, count, own_panel);
            operand.b = own_panel;
          }
        }
        target.columns = count;
        target.result = result + column;
        TileTarget<T> placed = target;
        if (placed.epilogue.bias != nullptr) placed.epilogue.bias += column;
        if (placed.epilogue.gradient.saved != nullptr) placed.epilogue.gradient.saved += column;
        for (int64_t tile = tile0; tile < tile1; ++tile) {
          operand.rows = pointers + (tile - tile0) * kBlockSegments * kTileRows;
          placed.row_offsets = offsets + (tile - tile0) * kTileRows;
          run_rows(tiles.height(tile), operand, placed);
        }
      }
    }
  });
}

}  // namespace nnx::cpu::NNX_ISA
