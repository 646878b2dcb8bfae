// The matrix engine's main loop on the warpgroups of compute capability 9.0: operands that were rounded
// before (gemm_rounded.cuh), read by the tensor cores from shared memory, while the next slices are copied
// there.
//
// Two groups of four warps share a tile of 128 columns. A slice has 128 bytes of k: 64 elements of bfloat16,
// which may lie either way in memory, or 32 of TF32, along k.
#pragma once

#include "gemm_readers.cuh"
#include "gemm_rounded.cuh"

namespace nnx::cuda {

// kPieces: of 64 rows, to each group of warps.
template <int kPieces_, int kStages_, int kBlocks_>
struct WarpgroupTile {
  static constexpr int kPieces = kPieces_, kStages = kStages_, kBlocks = kBlocks_;
};

template <class Tile, class S, class A, class B>
struct WarpgroupLoop {
  using Element = float;
  static constexpr bool kOfWarpgroups = true;
  static constexpr int kPieces = Tile::kPieces, kStages = Tile::kStages, kBlocks = Tile::kBlocks;
  static constexpr int kGroups = 2, kThreads = 128 * kGroups;
  static constexpr int kRows = 64 * kPieces * kGroups, kColumns = 128;
  static constexpr int kLine = 128, kDepth = kLine / static_cast<int>(sizeof(S));
  static constexpr int kAtOnce = 16 / static_cast<int>(sizeof(S));
  static constexpr int kPasses = kPieces, kStagedRows = 16 * (kThreads / 32), kCopies = 1;
  static constexpr int kStagingStride = kColumns + 8, kStagingSize = kStagedRows * kStagingStride;
  static_assert(sizeof(S) == 2 || (A::kAlongK && B::kAlongK), "products in TF32 take operands along k alone");

  struct Buffers {
    unsigned char a[kStages][kRows * kLine], b[kStages][kColumns * kLine];
  };
  struct alignas(1024) Shared {
    union {
      Buffers buffers;
      float staging[1][kStagingSize];
    };
    Place rows[kRows], columns[kColumns];
    Place running[A::kKeepsRunning ? kStages : 1][kDepth];
    bool last;  // of the blocks that share the tile
  };

  Shared& shared;
  int64_t first_row, first_column;  // of the tile
  float sums[kPieces][64];
  int lane, warp;

  __device__ __forceinline__ WarpgroupLoop(Shared& s, int64_t m0, int64_t n0)
      : shared(s),
        first_row(m0),
        first_column(n0),
        lane(static_cast<int>(threadIdx.x) % 32),
        warp(shuffle(static_cast<int>(threadIdx.x) / 32, 0)) {}  // and the compiler knows that a warp has one

  // The tile's row that is row `row` of the staging area in pass `pass`.
  static __device__ __forceinline__ int tile_row(int row, int pass) {
    return (row / 64 * kPieces + pass) * 64 + row % 64;
  }

  // As swizzled_tile (portability.h) says.
  template <int kExtent, class Reader>
  static __device__ __forceinline__ void copy_slice(const Reader& reader, const FixedPlaces<Reader>& places,
                                                    int k0, const Place* kept, unsigned char* slice) {
    for_pieces<Reader::kAlongK, kExtent, kDepth, kThreads, kAtOnce>([&](int row, int k, int) {
      const int line = Reader::kAlongK ? row : row / 64 * kDepth + k;
      const int in_line = (Reader::kAlongK ? k : row % 64) / kAtOnce;
      const Place fixed = places.at(reader, row);
      const Place running = Reader::kKeepsRunning ? kept[k] : reader.running(k0 + k);
      copy_async_16(slice + line * kLine + (in_line ^ line % 8) * 16,
                    reader.data + (fixed.offset + running.offset), reader.is_inside(fixed, running));
    });
  }
  __device__ __forceinline__ void copy(const A& a, const B& b, int k0, int stage) const {
    const Place* const kept = shared.running[A::kKeepsRunning ? stage : 0];
    copy_slice<kRows>(a, {shared.rows, first_row}, k0, kept, shared.buffers.a[stage]);
    copy_slice<kColumns>(b, {shared.columns, first_column}, k0, nullptr, shared.buffers.b[stage]);
  }
  // Places of k that each thread would have to find for most of its pieces: a slice's are found once, behind
  // the barrier before the one that its copies stand behind.
  __device__ __forceinline__ void keep(const A& a, int k0, int stage) const {
    if constexpr (A::kKeepsRunning) {
      const int k = static_cast<int>(threadIdx.x);
      if (k < kDepth) shared.running[stage][k] = a.running(k0 + k);
    }
  }

  __device__ __forceinline__ void pin() {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) pin_sums(sums[i]);
  }

  // Begins to multiply the slices at a stage.
  __device__ __forceinline__ void multiply(int stage, bool add) {
    constexpr int kSteps = 4;
    const unsigned char* const b = shared.buffers.b[stage];
    pin();
    warpgroup_begin();
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const unsigned char* const b_at = b + step * (B::kAlongK ? 32 : kDepth / kSteps * kLine);
#pragma unroll
      for (int i = 0; i < kPieces; ++i) {
        const int piece = warp / 4 * kPieces + i;
        const unsigned char* const a_at =
            shared.buffers.a[stage] + piece * 64 * kLine + step * (A::kAlongK ? 32 : kDepth / kSteps * kLine);
        if constexpr (sizeof(S) == 2) {
          warpgroup_multiply_bfloat16<A::kAlongK, B::kAlongK>(sums[i], a_at, b_at, add || step > 0);
        } else {
          warpgroup_multiply_tf32(sums[i], a_at, b_at, add || step > 0);
        }
      }
    }
    warpgroup_commit();
  }

  // As SimtLoop::run. One slice is multiplied while the next kStages - 2 are on their way; a stage is written
  // to again behind the barrier after the wait for its products.
  __device__ __forceinline__ void run(const A& a, const B& b, int k0, int slices, bool) {
    constexpr int kAhead = kStages - 2;
    if (slices <= 0) {
#pragma unroll
      for (int i = 0; i < kPieces; ++i) {
#pragma unroll
        for (int v = 0; v < 64; ++v) sums[i][v] = 0;
      }
      return;
    }
    if constexpr (A::kKeepsRunning) {
#pragma unroll
      for (int s = 0; s <= kAhead; ++s) keep(a, k0 + s * kDepth, s);
      sync_block();
    }
#pragma unroll
    for (int s = 0; s < kAhead; ++s) {
      if (s < slices) copy(a, b, k0 + s * kDepth, s);
      copy_async_commit();
    }
    int stage = 0, next_stage = kAhead;
#pragma unroll 1
    for (int s = 0; s < slices; ++s) {
      copy_async_wait<kAhead - 1>();
      publish_to_warpgroups();
      sync_block();
      multiply(stage, s > 0);
      if (s + kAhead < slices) copy(a, b, k0 + (s + kAhead) * kDepth, next_stage);
      copy_async_commit();
      next_stage = next_stage + 1 == kStages ? 0 : next_stage + 1;
      keep(a, k0 + (s + kAhead + 1) * kDepth, next_stage);
      warpgroup_wait<1>();
      pin();
      stage = stage + 1 == kStages ? 0 : stage + 1;
    }
    warpgroup_wait<0>();
    pin();
    copy_async_wait<0>();
    sync_block();
  }

  // The sums of pass `pass` to the staging area: rows (warp, 16), columns.
  __device__ __forceinline__ void stage(int pass) const {
    float* const to = shared.staging[0] + (warp * 16 + lane / 4) * kStagingStride + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < kColumns / 8; ++j) {
      const float* const four = sums[pass] + 4 * j;
      *reinterpret_cast<float2*>(to + 8 * j) = make_float2(four[0], four[1]);
      *reinterpret_cast<float2*>(to + 8 * kStagingStride + 8 * j) = make_float2(four[2], four[3]);
    }
  }
};

}  // namespace nnx::cuda
