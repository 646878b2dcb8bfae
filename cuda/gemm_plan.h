// How a product is cut: which tile, and into how many parts along k. By shape alone, for a device of
// kMultiprocessors: so a result does not depend on the device, nor on where the arrays lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace nnx::cuda {

// The tiles of C that kernels exist for; a pass has some of them.
enum class TileKind : int32_t {
  large,
  tall,
  medium,
  narrow,
  flat,
  slim,
  tensor_large,
  tensor_medium,
  tensor_small,
  rounded_large,  // of operands that were rounded before: gemm_rounded.cuh
  rounded_medium,
  warpgroup_large,  // and, of bfloat16 and of TF32, for warpgroups: gemm_warpgroup.cuh
  warpgroup_medium,
  warpgroup_tf32_large,
  warpgroup_tf32_medium
};

struct TileCost {
  int rows, columns, depth, threads;
  int resident;  // blocks that fit on a multiprocessor
  double cycles,
      alone;  // of a slice: shared by full multiprocessors, and at the least, for a block by itself
};

constexpr TileCost cost_of(TileKind kind) {
  switch (kind) {
    case TileKind::large:
      return {128, 128, 16, 256, 2, 2850, 3190};
    case TileKind::tall:
      return {128, 64, 16, 128, 4, 1590, 2410};
    case TileKind::medium:
      return {64, 64, 16, 128, 4, 900, 1150};
    case TileKind::narrow:
      return {128, 16, 16, 128, 4, 770, 1000};
    case TileKind::flat:
      return {16, 128, 16, 128, 4, 620, 870};
    case TileKind::slim:
      return {32, 16, 64, 128, 4, 640, 1150};
    case TileKind::tensor_large:
      return {256, 128, 16, 256, 1, 1890, 2030};
    case TileKind::tensor_medium:
      return {128, 64, 16, 128, 3, 510, 900};
    case TileKind::tensor_small:
      return {64, 32, 16, 128, 6, 180, 760};
    case TileKind::rounded_large:
      return {256, 128, 32, 256, 1, 2160, 2160};
    case TileKind::rounded_medium:
      return {128, 128, 32, 128, 2, 1100, 1500};
    case TileKind::warpgroup_large:
      return {256, 128, 64, 256, 1, 1580, 1580};
    case TileKind::warpgroup_medium:
      return {128, 128, 64, 256, 2, 1120, 1250};
    case TileKind::warpgroup_tf32_large:
      return {256, 128, 32, 256, 1, 1370, 1370};
    case TileKind::warpgroup_tf32_medium:
      return {128, 128, 32, 256, 2, 1060, 1200};
  }
  return {};
}

inline constexpr int64_t kMultiprocessors = 132;
// Only products of few tiles are cut along k, into at most so many blocks.
inline constexpr int64_t kMostBlocks = 4 * kMultiprocessors;
inline constexpr int kFewestSlices = 2;

// m, n, k of the largest of `groups` products.
struct Extents {
  int64_t m, n, k, groups;
};

struct Plan {
  TileKind tile;
  int64_t tiles_m, tiles_n;
  int splits, slices;  // slices of a split
};

constexpr int64_t rounded_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Loads of four that a thread needs for the parts of its block's tile.
inline int64_t loads_of_parts(const Plan& plan) {
  const TileCost cost = cost_of(plan.tile);
  return int64_t{plan.splits} * cost.rows * cost.columns / (4 * cost.threads);
}

// Few parts are added up by the last of the blocks that make them, which costs no launch; many by a second
// kernel, of more blocks.
inline bool adds_up_in_last_block(const Plan& plan) { return plan.splits > 1 && loads_of_parts(plan) <= 64; }

// Expected cycles of the plan, those of adding its parts up included.
inline double expected_cycles(const Extents& e, const Plan& plan) {
  const TileCost cost = cost_of(plan.tile);
  const int64_t blocks = plan.tiles_m * plan.tiles_n * plan.splits * e.groups;
  const int64_t queue = rounded_up(blocks, kMultiprocessors), rounds = rounded_up(queue, cost.resident);
  const double slices = plan.slices;
  double cycles = std::max(static_cast<double>(queue) * slices * cost.cycles,
                           static_cast<double>(rounds) * slices * cost.alone);
  cycles += 2500.0 * static_cast<double>(rounds);
  if (plan.splits > 1) {
    const double partial = static_cast<double>(plan.splits) * static_cast<double>(e.m * e.n * e.groups);
    cycles +=
        partial / 200.0 +
        (adds_up_in_last_block(plan) ? 800.0 + 40.0 * static_cast<double>(loads_of_parts(plan)) : 4000.0);
  }
  return cycles;
}

// NNX_CUDA_TILE=4, to measure a tile: products that have the kind of that number take it, and are not cut.
inline int tile_asked_for() {
  static const char* const asked = std::getenv("NNX_CUDA_TILE");
  return asked == nullptr ? -1 : std::atoi(asked);
}

template <int kTiles>
Plan plan_product(const Extents& e, const TileKind (&tiles)[kTiles]) {
  Plan best{};
  double least = -1;
  for (const TileKind tile : tiles) {
    const TileCost cost = cost_of(tile);
    const int64_t tiles_m = rounded_up(e.m, cost.rows), tiles_n = rounded_up(e.n, cost.columns);
    const int64_t slices = rounded_up(e.k, cost.depth);
    if (static_cast<int>(tile) == tile_asked_for())
      return {tile, tiles_m, tiles_n, 1, static_cast<int>(slices)};
    for (int64_t splits = 1;; splits += rounded_up(splits, 4)) {
      if (splits > 1 &&
          (splits * tiles_m * tiles_n * e.groups > kMostBlocks || slices < splits * kFewestSlices)) {
        break;
      }
      const int64_t part = rounded_up(slices, splits);
      const int64_t used = std::max<int64_t>(rounded_up(slices, std::max<int64_t>(part, 1)), 1);
      const Plan plan{tile, tiles_m, tiles_n, static_cast<int>(used), static_cast<int>(part)};
      const double cycles = expected_cycles(e, plan);
      if (least < 0 || cycles < least) least = cycles, best = plan;
    }
  }
  return best;
}

// Whether a product in bfloat16 gains by rounding its operands, arrays of `a` and `b` elements, once, before
// it: in_eights says whether those come eight together, which the copies ask for. A large tile's slice is
// expected to take half the time; rounding, 6 bytes an element at the memory's rate and a launch. Where it
// gains for a batch, it does for all larger ones, so that programs may ask once. NNX_CUDA_ROUND_ONCE=always
// or =never, for tests and to measure it.
inline bool rounds_once(const Extents& e, bool in_eights, int64_t a, int64_t b) {
  static const char* const asked = std::getenv("NNX_CUDA_ROUND_ONCE");
  if (!in_eights || (asked != nullptr && std::strcmp(asked, "never") == 0)) return false;
  if (asked != nullptr && std::strcmp(asked, "always") == 0) return true;
  const TileCost cost = cost_of(TileKind::tensor_large);
  const double products = static_cast<double>(e.m) * static_cast<double>(e.n) * static_cast<double>(e.k) *
                          static_cast<double>(e.groups);
  const double slices = products / (static_cast<double>(cost.rows) * cost.columns * cost.depth);
  const double saved = slices * cost.cycles / 2 / kMultiprocessors;
  const double spent = 3000.0 + static_cast<double>(a + b) * 6 / 1700.0;
  return saved > 2 * spent;  // or it is not worth the memory
}

// Whether a product gains by rounding its operands for warpgroups: the plain tiles' time, half as much again
// as that of warpgroups, against the bytes of rounding. As rounds_once, a larger batch gains where a smaller
// one does.
inline bool gains_by_warpgroups(const Extents& e, int64_t a, int64_t b, bool bfloat16) {
  static const char* const asked = std::getenv("NNX_CUDA_ROUND_ONCE");
  if (asked != nullptr && std::strcmp(asked, "never") == 0) return false;
  if (asked != nullptr && std::strcmp(asked, "always") == 0) return true;
  const TileCost cost = cost_of(TileKind::tensor_large);
  const double products = static_cast<double>(e.m) * static_cast<double>(e.n) * static_cast<double>(e.k) *
                          static_cast<double>(e.groups);
  const double slices = products / (static_cast<double>(cost.rows) * cost.columns * cost.depth);
  const double saved = slices * cost.cycles * (bfloat16 ? 0.8 : 0.6) / kMultiprocessors;
  const double spent = 3000.0 + static_cast<double>(a + b) * (bfloat16 ? 6 : 8) / 1700.0;
  return saved > 1.5 * spent;
}

// Elements that partial sums take at most, for this product and every one with a smaller m or k: programs ask
// once, for their largest batch.
template <int kTiles>
int64_t most_partial_sums(const Extents& e, const TileKind (&tiles)[kTiles]) {
  int64_t most = 0;
  for (const TileKind tile : tiles) {
    const TileCost cost = cost_of(tile);
    const int64_t splits = std::min(rounded_up(e.k, cost.depth) / kFewestSlices, kMostBlocks);
    if (splits < 2) continue;
    const int64_t by_blocks = kMostBlocks * cost.rows * cost.columns;
    most = std::max(most, std::min(by_blocks, splits * e.m * e.n * e.groups) + splits * e.n * e.groups);
  }
  return most;
}

}  // namespace nnx::cuda
