// Weight gradients by winograd.h. A chunk takes some channels of x and dy and transforms them block by block
// of tiles; its 16 products stay in the second-level cache until they are dw's nine taps.
#include "cpu/gemm/gemm_columns.h"
#include "cpu/gemm/winograd.h"
#include "cpu/gemm/winograd_tiles.h"
#include "cpu/put.h"

namespace nnx::cpu::NNX_ISA {
namespace {

constexpr int64_t kWidth = kTileColumns<float>;
constexpr int64_t kMaxRows = 64, kMaxColumns = 64;  // channels of x and of dy in a chunk
constexpr int64_t kBlockBytes = 512 << 10;          // of a transformed block of tiles
constexpr int64_t kMinSplitTiles = 256;
constexpr int64_t kFewChunks = 4, kMinRows = 16;  // single images are cut more finely than pays on one thread

// How the work is cut, by shape alone: every number here fixes the order of some sum.
template <class Taps>
struct Plan {
  static constexpr int64_t window = Taps::size * Taps::size;
  TileGrid grid;
  int64_t rows, columns;  // channels of x and of dy
  Tiling row_chunk, panel_chunk, split;

  explicit Plan(const Conv2dShape& s)
      : grid{s.n, s.h, s.w, s.c, s.pad_top, s.pad_left, s.oh, s.ow},
        rows(s.c),
        columns(s.o),
        row_chunk(tiles_of(s.c, kMaxRows)),
        panel_chunk(tiles_of(ceil_div(s.o, kWidth), kMaxColumns / kWidth)),
        split{grid.tiles(), 1} {
    split.count = max_of(1, min_of(ceil_div(kMaxSplits, chunks()), grid.tiles() / kMinSplitTiles));
    const int64_t few = ceil_div(kFewChunks, panel_chunk.count * split.count);
    row_chunk.count = max_of(row_chunk.count, min_of(few, ceil_div(s.c, kMinRows)));
  }
  int64_t chunks() const { return row_chunk.count * panel_chunk.count; }
  int64_t part() const { return (window * rows + 1) * columns; }
};

// One chunk of channels and tiles, with its share of scratch.
template <class Taps>
struct Chunk {
  const Plan<Taps>& plan;
  int64_t row0, rows, column0, columns;
  int64_t v_stride, d_stride;  // of transformed patches (tile, rows) and gradients (tile, columns)
  int64_t block;               // tiles
  int64_t v_point, d_point;    // strides of points
  int64_t sums_point;
  float *v, *d, *sums;  // [point][tile][row], [point][tile][column], of a group; [point][row][column]

  Chunk(const Plan<Taps>& of, int64_t row_chunk, int64_t panel_chunk)
      : plan(of),
        row0(of.row_chunk.begin(row_chunk)),
        rows(of.row_chunk.height(row_chunk)),
        column0(of.panel_chunk.begin(panel_chunk) * kWidth),
        columns(min_of(of.columns - column0, of.panel_chunk.height(panel_chunk) * kWidth)),
        v_stride(round_up(rows, kLanes<float>)),
        d_stride(round_up(columns, kWidth)),
        block(kBlockBytes / (Taps::group_points * (v_stride + d_stride) * int64_t{sizeof(float)})),
        v_point(array_stride(block * v_stride)),
        d_point(array_stride(block * d_stride)),
        sums_point(array_stride(rows * d_stride)) {
    Arena arena(thread_scratch());
    v = arena.take<float>(Taps::group_points * v_point);
    d = arena.take<float>(Taps::group_points * d_point);
    sums = arena.take<float>(Taps::points * sums_point);
  }

  // d of one tile, a group of points; points of dy beyond its edges are zero, and so are columns behind the
  // last.
  template <int Group>
  void transform_dy(const Position& at, const float* dy, float* to, int64_t step) const {
    const int64_t i = 2 * at.i, j = 2 * at.j;
    const int64_t right = plan.columns, below = plan.grid.ow * plan.columns;
    const bool has_right = j + 1 < plan.grid.ow, has_below = i + 1 < plan.grid.oh;
    const float* const first = dy + ((at.n * plan.grid.oh + i) * plan.grid.ow + j) * plan.columns + column0;
    const Vec<float> zero{};
    for_vectors<float>(0, columns, [&](int64_t c, int64_t lanes) {
      const float* const p = first + c;
      Taps::template transform_gradient<Group>(
          load_some(p, lanes), has_right ? load_some(p + right, lanes) : zero,
          has_below ? load_some(p + below, lanes) : zero,
          has_right && has_below ? load_some(p + below + right, lanes) : zero, to + c, step);
    });
    for (int64_t c = round_up(columns, kLanes<float>); c < d_stride; c += kLanes<float>) {
      for (int64_t point = 0; point < Taps::group_points; ++point) store(to + point * step + c, zero);
    }
  }

  // sums = or += Σ over the block's tiles v[row] d[column], for the `count` points from `first` on
  void add_block(int64_t first, int64_t count, int64_t tiles, bool resume) const {
    const Tiling row_tiles = tiles_of(rows, kTileRows);
    for (int64_t point = 0; point < count; ++point) {
      const ColumnSegment<float> segment{v + point * v_point, d + point * d_point, tiles};
      ColumnOperand<float> operand{&segment, 1, 0, 0, v_stride, d_stride};
      for (int64_t tile = 0; tile < row_tiles.count; ++tile) {
        int64_t offsets[kTileRows];
        operand.a_offset = row_tiles.begin(tile);
        for (int64_t m = 0; m < row_tiles.height(tile); ++m) offsets[m] = m * d_stride;
        for (operand.b_offset = 0; operand.b_offset < d_stride; operand.b_offset += kWidth) {
          TileTarget<float> target{};
          target.result =
              sums + (first + point) * sums_point + operand.a_offset * d_stride + operand.b_offset;
          target.row_offsets = offsets;
          target.columns = kWidth;
          target.epilogue.resume = resume;
          run_columns(row_tiles.height(tile), operand, target);
        }
      }
    }
  }

  // dw (size, size, plan.rows, plan.columns) = or += this chunk's rows and columns
  void finish(Policy policy, float* dw) const {
    for (int64_t row = 0; row < rows; ++row) {
      float* const to = dw + (row0 + row) * plan.columns + column0;
      for_vectors<float>(0, columns, [&](int64_t c, int64_t lanes) {
        Vec<float> taps[plan.window];
        Taps::transform_sums(sums + row * d_stride + c, sums_point, taps);
        for (int64_t tap = 0; tap < plan.window; ++tap) {
          put<float>(to + tap * plan.rows * plan.columns + c, taps[tap], lanes, policy);
        }
      });
    }
  }

  // The sums of a group's points and of those behind it, so that what is between transform and product fits
  // the second-level cache; db may be null.
  template <int Group = 0>
  void sum_groups(int64_t tile0, int64_t tile1, const float* x, const float* dy, float* db) const {
    constexpr int first = Taps::group_begin(Group), count = Taps::group_end(Group) - first;
    constexpr bool has_sum = Taps::sum >= first && Taps::sum < first + count;
    Position at = plan.grid.tile(tile0);
    for (int64_t begin = tile0; begin < tile1; begin += block) {
      const int64_t tiles = min_of(block, tile1 - begin);
      for (int64_t t = 0; t < tiles; ++t, at.next()) {
        transform_tile<Taps, Group>(plan.grid, at, x + row0, rows, v + t * v_stride, v_point);
        transform_dy<Group>(at, dy, d + t * d_stride, d_point);
      }
      for (int64_t c = 0; has_sum && db != nullptr && c < columns; c += kWidth) {
        add_column_sums(d + (Taps::sum - first) * d_point + c, d_stride, tiles, min_of(kWidth, columns - c),
                        db + column0 + c);
      }
      add_block(first, count, tiles, begin > tile0);
    }
    if constexpr (Group + 1 < Taps::groups) sum_groups<Group + 1>(tile0, tile1, x, dy, db);
  }

  // db may be null.
  void run(int64_t tile0, int64_t tile1, const float* x, const float* dy, Policy policy, float* dw,
           float* db) const {
    for (int64_t c = column0; db != nullptr && policy == Policy::assign && c < column0 + columns; ++c)
      db[c] = 0;
    sum_groups(tile0, tile1, x, dy, db);
    finish(policy, dw);
  }
};

template <class Taps>
void winograd_columns(Context& context, const Conv2dShape& s, const float* x, const float* dy, Policy policy,
                      float* dw, float* db) {
  const Plan<Taps> plan(s);
  const int64_t splits = plan.split.count, chunks = plan.chunks();
  float* const parts = splits > 1 ? static_cast<float*>(context.workspace) : nullptr;
  for_each(context, chunks * splits, [&](int64_t i) {
    const int64_t split = i / chunks, row_chunk = i % chunks / plan.panel_chunk.count;
    const int64_t panel_chunk = i % plan.panel_chunk.count;
    float* const to = parts != nullptr ? parts + split * plan.part() : dw;
    float* const to_sums = parts != nullptr ? to + plan.window * plan.rows * plan.columns : db;
    Chunk<Taps>(plan, row_chunk, panel_chunk)
        .run(plan.split.begin(split), plan.split.begin(split + 1), x, dy,
             parts != nullptr ? Policy::assign : policy, to,
             row_chunk == 0 && db != nullptr ? to_sums : nullptr);
  });
  if (parts != nullptr) {
    add_parts(context, parts, splits, plan.window * plan.rows, plan.columns, policy, dw, plan.columns, db);
  }
}

}  // namespace

int64_t winograd_columns_workspace(const Conv2dShape& s) {
  return with_taps(s, [&](auto taps) {
    const Plan<decltype(taps)> plan(s);
    return plan.split.count > 1 ? plan.split.count * plan.part() : 0;
  });
}

void winograd_backward_weights(Context& context, const Conv2dShape& s, const float* x, const float* dy,
                               Policy policy, float* dw, float* db) {
  with_taps(s, [&](auto taps) { winograd_columns<decltype(taps)>(context, s, x, dy, policy, dw, db); });
}

}  // namespace nnx::cpu::NNX_ISA
