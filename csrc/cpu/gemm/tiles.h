// Cutting extents into tiles and calling the micro-kernel of a tile's height.
#pragma once

#include "cpu/gemm/micro.h"

namespace nnx::cpu::NNX_ISA {

// Depth of one block of the reduction: a panel of B this deep stays in the first two cache levels. A block's
// sums start at zero and are added to the earlier blocks', which also bounds the rounding error of long
// reductions.
template <class T>
inline constexpr int64_t kBlockDepth = sizeof(T) == 4 ? 512 : 256;

// Lines of pixels in one block of a weight gradient's reduction.
inline constexpr int64_t kMaxLines = 256;

// [0, extent) cut into the fewest runs of at most `limit`, all within one of the same length.
struct Tiling {
  int64_t extent, count;
  int64_t begin(int64_t tile) const { return extent * tile / count; }
  int64_t height(int64_t tile) const { return begin(tile + 1) - begin(tile); }
};

NNX_INLINE Tiling tiles_of(int64_t extent, int64_t limit) { return {extent, ceil_div(extent, limit)}; }

template <class T, int M = kTileRows>
NNX_INLINE void run_rows(int64_t height, const RowOperand<T>& operand, const TileTarget<T>& target) {
  if constexpr (M > 1) {
    if (height < M) return run_rows<T, M - 1>(height, operand, target);
  }
  if (target.columns <= kLanes<T>) return micro_rows<T, M, 1>(operand, target);
  micro_rows<T, M, kTileVectors>(operand, target);
}

template <class T, int M = kTileRows>
NNX_INLINE void run_columns(int64_t height, const ColumnOperand<T>& operand, const TileTarget<T>& target) {
  if constexpr (M > 1) {
    if (height < M) return run_columns<T, M - 1>(height, operand, target);
  }
  if (target.columns <= kLanes<T>) return micro_columns<T, M, 1>(operand, target);
  micro_columns<T, M, kTileVectors>(operand, target);
}

// Bump allocation from a thread's scratch.
class Arena {
 public:
  explicit Arena(void* memory) : next_(static_cast<char*>(memory)) {}
  template <class U>
  U* take(int64_t count) {
    U* const taken = reinterpret_cast<U*>(next_);
    next_ += round_up(count * static_cast<int64_t>(sizeof(U)), 64);
    return taken;
  }

 private:
  char* next_;
};

}  // namespace nnx::cpu::NNX_ISA
