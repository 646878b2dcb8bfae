// The matrix engine: C (m, n) = A (m, k) B (k, n), for dense and conv2d, all passes.
//
// A pass says what A and B are and what becomes of C (readers: gemm_readers.cuh, window_readers.cuh; writers:
// epilogue.cuh). Blocks take tiles of C; where there are few tiles and k is long, k is cut too, and the last
// of a tile's blocks adds the parts up, or a second kernel: in their order, so that nothing depends on which
// block is done first.
#pragma once

#include "device.h"
#include "epilogue.cuh"
#include "gemm_parts.cuh"
#include "gemm_rounded.cuh"
#include "gemm_simt.cuh"
#include "gemm_tensor.cuh"
#include "gemm_warpgroup.cuh"
#include "table.h"

namespace nnx::cuda {

// The block's tile from the staging area to C, or to the partial sums (partial != nullptr).
template <class Loop, class Product, class T>
__device__ __forceinline__ void write_pass(const Loop& loop, const Product& product, int64_t m0, int n0,
                                           int pass, T* partial, bool partial_vector) {
  constexpr int kQuads = Loop::kColumns / 4, kRows = Loop::kStagedRows;
#pragma unroll 1
  for (int e = static_cast<int>(threadIdx.x); e < kRows * kQuads; e += Loop::kThreads) {
    const int row = e / kQuads, n = n0 + e % kQuads * 4;
    const int64_t m = m0 + Loop::tile_row(row, pass);
    if (m >= product.m || n >= product.n) continue;
    const int count = min(4, product.n - n);
    T v[4];
    read_four(loop.shared.staging[0] + row * Loop::kStagingStride + e % kQuads * 4, v);
#pragma unroll
    for (int copy = 1; copy < Loop::kCopies; ++copy) {
      T more[4];
      read_four(loop.shared.staging[copy] + row * Loop::kStagingStride + e % kQuads * 4, more);
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] += more[i];
    }
    if (partial != nullptr) {
      store_some(partial + m * product.n + n, count, partial_vector, v);
    } else {
      product.writer.put(product.writer.rows.offset(m), n, count, product.writer.vector, v);
    }
  }
}

// The sums of B's columns that the threads hold, added up and written.
template <class Loop, class Product, class T>
__device__ __forceinline__ void write_column_sums(Loop& loop, const Product& product, int n0, T* partial) {
  T* const all = loop.shared.column_sums;
  sync_block();
#pragma unroll
  for (int i = 0; i < 4; ++i) all[4 * threadIdx.x + i] = loop.column_sums[i];
  sync_block();
  for (int column = static_cast<int>(threadIdx.x); column < Loop::kColumns; column += Loop::kThreads) {
    T sum = 0;
    for (int i = column; i < 4 * Loop::kThreads; i += Loop::kColumns) sum += all[i];
    const int n = n0 + column;
    if (n >= product.n) continue;
    if (partial != nullptr) {
      partial[product.m * product.n + n] = sum;
    } else {
      product.writer.put_column_sum(n, sum);
    }
  }
}

template <class Loop, class Pass>
__device__ __forceinline__ void multiply_tile(const Pass& pass, const Cut<typename Loop::Element>& cut) {
  static_assert(
      Loop::kBlocks * (sizeof(typename Loop::Shared) + 1024) <= 228 * 1024,
      "a multiprocessor of compute capability 9.0 holds as many blocks as the registers are shared out to");
  using T = typename Loop::Element;
  const BlockPlace place = place_of_block(cut);
  const auto product = pass.product(place.group);
  const int64_t m0 = place.tile_m * Loop::kRows;
  const int n0 = place.tile_n * Loop::kColumns;
  T* partial = nullptr;
  if (cut.splits > 1) {
    partial = cut.partial + (static_cast<int64_t>(place.split) * cut.groups + place.group) * cut.stride;
  }

  auto& shared = shared_storage<typename Loop::Shared>();
  look_up<Loop::kRows, Loop::kThreads>(product.a, m0, shared.rows);
  look_up<Loop::kColumns, Loop::kThreads>(product.b, n0, shared.columns);
  if constexpr (Pass::A::kLooksUp || Pass::B::kLooksUp) sync_block();

  Loop loop(shared, m0, n0);
  bool sum_columns = false;
  if constexpr (Pass::kColumnSums) sum_columns = place.tile_m == 0 && product.writer.column_sums != nullptr;
  // Products smaller than the largest have tiles and splits with nothing in them.
  const int in_all = m0 < product.m ? (product.k + Loop::kDepth - 1) / Loop::kDepth : 0;
  const int first = place.split * cut.slices;
  loop.run(product.a, product.b, first * Loop::kDepth, min(cut.slices, in_all - first), sum_columns);

  const bool partial_vector = sizeof(T) == 4 && product.n % 4 == 0;
#pragma unroll 1
  for (int pass_index = 0; pass_index < Loop::kPasses; ++pass_index) {
    if (pass_index > 0) sync_block();
#pragma unroll
    for (int i = 0; i < Loop::kPasses; ++i) {
      if (i == pass_index) loop.stage(i);
    }
    sync_block();
    write_pass(loop, product, m0, n0, pass_index, partial, partial_vector);
  }
  if constexpr (Pass::kColumnSums) {
    if (sum_columns) write_column_sums(loop, product, n0, partial);
  }
  if (cut.done != nullptr) {
    const uint32_t tile =
        (static_cast<uint32_t>(place.group) * cut.tiles_m + place.tile_m) * cut.tiles_n + place.tile_n;
    if (last_block(cut.done + tile, cut.splits, shared.last)) {
      add_parts<Loop, Pass::kColumnSums>(product, cut, place.group, m0, n0, sum_columns, partial_vector);
    }
  }
}

template <class Loop, class Pass>
__global__ void __launch_bounds__(Loop::kThreads, Loop::kBlocks)
    multiply(Pass pass, Cut<typename Loop::Element> cut) {
  begin_kernel();
  // Code for devices without warpgroups has nothing there, and is not launched.
  if constexpr (kHasWarpgroups || !Loop::kOfWarpgroups) multiply_tile<Loop>(pass, cut);
}

// The tiles of a pass's kernels in a precision. kSpecial: the pass's own, for shapes that the general ones
// would waste themselves on.
template <class T, Precision precision, TileKind kSpecial>
struct Tiles {
  static constexpr TileKind kAll[3] = {TileKind::tensor_large, TileKind::tensor_medium,
                                       TileKind::tensor_small};
};
template <TileKind kSpecial>
struct Tiles<float, Precision::strict, kSpecial> {
  static constexpr TileKind kAll[4] = {TileKind::large, TileKind::tall, TileKind::medium, kSpecial};
};
template <TileKind kSpecial>
struct Tiles<double, Precision::strict, kSpecial> {
  static constexpr TileKind kAll[1] = {TileKind::medium};
};

template <TileKind kind>
struct SimtTileOf;
template <>
struct SimtTileOf<TileKind::large> : SimtTile<4, 2, 1, 4, 8, 8, 16, 3, 2, true> {};
template <>
struct SimtTileOf<TileKind::tall> : SimtTile<4, 1, 1, 4, 8, 8, 16, 3, 4, true> {};
template <>
struct SimtTileOf<TileKind::medium> : SimtTile<2, 2, 1, 4, 8, 4, 16, 3, 4> {};
template <>
struct SimtTileOf<TileKind::narrow> : SimtTile<4, 1, 1, 8, 4, 4, 16, 3, 4> {};
template <>
struct SimtTileOf<TileKind::flat> : SimtTile<1, 4, 1, 4, 4, 4, 16, 3, 4> {};
template <>
struct SimtTileOf<TileKind::slim> : SimtTile<1, 1, 4, 8, 4, 4, 64, 3, 4> {};
// Correct rather than fast.
using DoubleTile = SimtTile<2, 2, 1, 4, 8, 4, 16, 2, 2>;

// The plan and the kernel mean the same tile by its kind.
template <TileKind kind, class Loop, class Pass, class T>
void launch_multiply(Context& context, const Pass& pass, const Cut<T>& cut) {
  constexpr TileCost cost = cost_of(kind);
  static_assert(sizeof(T) == 8 || (cost.rows == Loop::kRows && cost.columns == Loop::kColumns &&
                                   cost.depth == Loop::kDepth && cost.threads == Loop::kThreads));
  const uint32_t blocks = cut.tiles_m * cut.tiles_n * cut.splits * cut.groups;
  launch(context, pass.name, multiply<Loop, Pass>, dim3(blocks), dim3(Loop::kThreads),
         sizeof(typename Loop::Shared), pass, cut);
}

template <TileKind kind_, class Type_>
struct Kind {
  static constexpr TileKind kind = kind_;
  using Type = Type_;
};

template <Precision precision>
struct PrecisionConstant {
  static constexpr Precision value = precision;
};

// body(PrecisionConstant): a family's kernels are compiled once for each.
template <class F>
void with_precision(Precision precision, const F& body) {
  switch (precision) {
    case Precision::strict:
      return body(PrecisionConstant<Precision::strict>{});
    case Precision::tf32:
      return body(PrecisionConstant<Precision::tf32>{});
    case Precision::bfloat16:
      return body(PrecisionConstant<Precision::bfloat16>{});
  }
}

// Plans the product with one of `tiles`, lets run(tile, cut) launch it, and adds its parts up.
template <class T, int kTiles, class Pass, class Run>
void multiply_cut(Context& context, const Pass& pass, const TileKind (&tiles)[kTiles], void* partial,
                  const Run& run) {
  const Extents e = pass.extents();
  if (e.m == 0 || e.n == 0 || e.groups == 0) return;
  const Plan plan = plan_product(e, tiles);
  const int64_t stride = (e.m + (Pass::kColumnSums ? 1 : 0)) * e.n;
  const Cut<T> cut{static_cast<uint32_t>(plan.tiles_m),
                   static_cast<uint32_t>(plan.tiles_n),
                   static_cast<uint32_t>(plan.splits),
                   static_cast<int>(e.groups),
                   plan.slices,
                   static_cast<T*>(partial),
                   static_cast<uint32_t>(stride),
                   adds_up_in_last_block(plan) ? counters_of(context) : nullptr};
  run(plan.tile, cut);
  if (plan.splits > 1 && cut.done == nullptr) {
    const int parts = plan.splits < 16 ? 1 : plan.splits < 64 ? 8 : 32;
    const auto blocks = static_cast<unsigned>(ceil_div<int64_t>(stride * e.groups, kSumThreads / parts));
    launch(context, pass.name, add_splits<Pass, T>, dim3(blocks), dim3(kSumThreads), sizeof(SumShared<T>),
           pass, cut, parts);
  }
}

// C's products on the device. kSpecial: the pass's own tile beside the general ones.
template <class T, Precision precision, TileKind kSpecial, class Pass>
void multiply_all(Context& context, const Pass& pass) {
  using A = typename Pass::A;
  using B = typename Pass::B;
  constexpr bool kSums = Pass::kColumnSums;
  multiply_cut<T>(
      context, pass, Tiles<T, precision, kSpecial>::kAll, context.workspace,
      [&](TileKind tile, const Cut<T>& cut) {
        const auto run = [&](auto loop) {
          using Found = decltype(loop);
          launch_multiply<Found::kind, typename Found::Type>(context, pass, cut);
        };
        if constexpr (sizeof(T) == 8) {
          run(Kind<TileKind::medium, SimtLoop<T, DoubleTile, A, B, kSums>>{});
        } else if constexpr (precision == Precision::strict) {
          if (tile == TileKind::large) {
            run(Kind<TileKind::large, SimtLoop<T, SimtTileOf<TileKind::large>, A, B, kSums>>{});
          } else if (tile == TileKind::tall) {
            run(Kind<TileKind::tall, SimtLoop<T, SimtTileOf<TileKind::tall>, A, B, kSums>>{});
          } else if (tile == TileKind::medium) {
            run(Kind<TileKind::medium, SimtLoop<T, SimtTileOf<TileKind::medium>, A, B, kSums>>{});
          } else {
            run(Kind<kSpecial, SimtLoop<T, SimtTileOf<kSpecial>, A, B, kSums>>{});
          }
        } else {
          using Format = std::conditional_t<precision == Precision::tf32, Tf32Format, Bfloat16Format>;
          if (tile == TileKind::tensor_large) {
            run(Kind<TileKind::tensor_large, TensorLoop<Format, TensorTile<4, 2, 64, 64, 1>, A, B, kSums>>{});
          } else if (tile == TileKind::tensor_medium) {
            run(Kind<TileKind::tensor_medium,
                     TensorLoop<Format, TensorTile<2, 2, 64, 32, 3>, A, B, kSums>>{});
          } else {
            run(Kind<TileKind::tensor_small, TensorLoop<Format, TensorTile<2, 2, 32, 16, 6>, A, B, kSums>>{});
          }
        }
      });
}

inline constexpr TileKind kRoundedTiles[2] = {TileKind::rounded_large, TileKind::rounded_medium};
template <class S>
inline constexpr TileKind kWarpgroupTiles[2] = {TileKind::warpgroup_tf32_large,
                                                TileKind::warpgroup_tf32_medium};
template <>
inline constexpr TileKind kWarpgroupTiles<Bfloat16>[2] = {TileKind::warpgroup_large,
                                                          TileKind::warpgroup_medium};

// The same of a pass over rounded operands; partial sums lie at `partial`.
template <class Pass>
void multiply_rounded(Context& context, const Pass& pass, void* partial) {
  using A = typename Pass::A;
  using B = typename Pass::B;
  multiply_cut<float>(context, pass, kRoundedTiles, partial, [&](TileKind tile, const Cut<float>& cut) {
    if (tile == TileKind::rounded_large) {
      launch_multiply<TileKind::rounded_large, RoundedLoop<TensorTile<4, 2, 64, 64, 1, 32>, A, B>>(context,
                                                                                                   pass, cut);
    } else {
      launch_multiply<TileKind::rounded_medium, RoundedLoop<TensorTile<2, 2, 64, 64, 2, 32>, A, B>>(
          context, pass, cut);
    }
  });
}
template <class S, class Pass>
void multiply_by_warpgroups(Context& context, const Pass& pass, void* partial) {
  using A = typename Pass::A;
  using B = typename Pass::B;
  multiply_cut<float>(context, pass, kWarpgroupTiles<S>, partial, [&](TileKind tile, const Cut<float>& cut) {
    if (tile == kWarpgroupTiles<S>[0]) {
      launch_multiply<kWarpgroupTiles<S>[0], WarpgroupLoop<WarpgroupTile<2, 4, 1>, S, A, B>>(context, pass,
                                                                                             cut);
    } else {
      launch_multiply<kWarpgroupTiles<S>[1], WarpgroupLoop<WarpgroupTile<1, 3, 2>, S, A, B>>(context, pass,
                                                                                             cut);
    }
  });
}

// How many of an operand's elements lie together, and at multiples of so many, wherever a product reads them:
// what copies of 16 bytes of rounded elements ask for.
struct Together {
  bool eights;        // of bfloat16, in any order
  bool fours;         // of TF32, along k once the operands that have to be are turned
  bool turns = true;  // whether turning is enough for TF32
};

// What becomes of a product's operands before it.
enum class Rounding { none, once, for_warpgroups };

// For precisions that have operands to round. By shape alone, but for what the device's code has.
template <Precision precision>
Rounding rounding_of(const Extents& e, const Together& together, int64_t a, int64_t b, bool warpgroups) {
  constexpr bool kBfloat16 = precision == Precision::bfloat16;
  const bool fits = kBfloat16 ? together.eights : together.fours && together.turns;
  if (warpgroups && fits && gains_by_warpgroups(e, a, b, kBfloat16)) return Rounding::for_warpgroups;
  return kBfloat16 && rounds_once(e, together.eights, a, b) ? Rounding::once : Rounding::none;
}

// The product that make(a, b) is the pass of: of the operands, or of what they are rounded to, with the sums
// of b's columns then taken by a kernel of their own.
template <class T, Precision precision, TileKind kSpecial, bool kTf32 = true, class Make>
void multiply_operands(Context& context, const Together& together, const Operand<T>& a, const Operand<T>& b,
                       const Make& make, const SummedColumns<T>& summed = {}) {
  const auto pass = make(a.data, b.data);
  if constexpr (precision != Precision::strict) {
    const auto rounding =
        rounding_of<precision>(pass.extents(), together, a.elements, b.elements, has_warpgroups());
    if (rounding != Rounding::none && summed.sums != nullptr)
      sum_columns(context, pass.name, summed.rows, summed.cols, summed.values, summed.policy, summed.sums);
    if constexpr (precision == Precision::bfloat16) {
      if (rounding != Rounding::none) {
        const auto to = round_both<Bfloat16>(context, pass.name, a, b, context.workspace);
        if (rounding == Rounding::once) return multiply_rounded(context, make(to.a, to.b), to.behind);
        return multiply_by_warpgroups<Bfloat16>(context, make(to.a, to.b), to.behind);
      }
    } else if constexpr (kTf32) {
      if (rounding != Rounding::none) {
        const auto to = round_both<Tf32>(context, pass.name, a, b, context.workspace);
        return multiply_by_warpgroups<Tf32>(context, make(to.a, to.b), to.behind);
      }
    }
  }
  multiply_all<T, precision, kSpecial>(context, pass);
}

// Bytes of workspace for a product of arrays of `a` and `b` elements, and of those of smaller batches, on any
// device; see most_partial_sums.
template <class T, Precision precision, TileKind kSpecial>
int64_t workspace_of(const Extents& e, const Together& together, int64_t a, int64_t b) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(T));
  int64_t most = most_partial_sums(e, Tiles<T, precision, kSpecial>::kAll) * kSize;
  if constexpr (precision != Precision::strict) {
    using S = std::conditional_t<precision == Precision::bfloat16, Bfloat16, Tf32>;
    const int64_t rounded = rounded_bytes<S>(a) + rounded_bytes<S>(b);
    if (rounding_of<precision>(e, together, a, b, false) != Rounding::none)
      most = std::max(most, rounded + most_partial_sums(e, kRoundedTiles) * kSize);
    if (rounding_of<precision>(e, together, a, b, true) == Rounding::for_warpgroups)
      most = std::max(most, rounded + most_partial_sums(e, kWarpgroupTiles<S>) * kSize);
  }
  return most;
}

}  // namespace nnx::cuda
