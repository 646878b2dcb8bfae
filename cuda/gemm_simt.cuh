// The matrix engine's main loop on ordinary arithmetic: float in strict IEEE single precision, and double.
//
// A block's tile is shared out to warps, a warp's to lanes, of which each keeps kM x kN sums in registers.
// Slices of both operands come to shared memory by asynchronous copies, kStages - 1 slices ahead. Of an
// operand along k in memory, four steps of k are read at once; or, for the tiles that do so many products
// with an element that it pays, it is turned by copies of single elements, and as of other operands a step of
// k is read by vectors, the next one while this one is multiplied. (H100, 4096^3: 45 against 41 TFLOP/s; in
// tiles of 64 x 64, 28 against 34.)
#pragma once

#include "gemm_readers.cuh"

namespace nnx::cuda {

// kWarpsK > 1: that many warps share a tile, each taking its part of every slice.
template <int kWarpsM_, int kWarpsN_, int kWarpsK_, int kLanesM_, int kM_, int kN_, int kDepth_, int kStages_,
          int kBlocks_, bool kTurns_ = false>
struct SimtTile {
  static constexpr bool kTurns = kTurns_;
  static constexpr int kWarpsM = kWarpsM_, kWarpsN = kWarpsN_, kWarpsK = kWarpsK_;
  static constexpr int kLanesM = kLanesM_, kLanesN = 32 / kLanesM_;
  static constexpr int kM = kM_, kN = kN_;
  static constexpr int kDepth = kDepth_, kStages = kStages_, kBlocks = kBlocks_;
  static constexpr int kWarpRows = kLanesM * kM, kWarpColumns = kLanesN * kN;
  static constexpr int kRows = kWarpsM * kWarpRows, kColumns = kWarpsN * kWarpColumns;
  static constexpr int kThreads = 32 * kWarpsM * kWarpsN * kWarpsK;
};

__device__ __forceinline__ void read_four(const float* at, float (&v)[4]) {
  const float4 four = *reinterpret_cast<const float4*>(at);
  v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
}
__device__ __forceinline__ void read_four(const double* at, double (&v)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) v[i] = at[i];
}

__device__ __forceinline__ void copy_one(float* to, const float* from, bool valid) {
  copy_async_4(to, from, valid);
}
__device__ __forceinline__ void copy_one(double* to, const double* from, bool valid) {
  *to = valid ? *from : 0.0;
}

template <class T, class Tile, class A, class B, bool kColumnSums>
struct SimtLoop {
  using Element = T;
  static constexpr int kRows = Tile::kRows, kColumns = Tile::kColumns, kDepth = Tile::kDepth;
  static constexpr int kThreads = Tile::kThreads, kBlocks = Tile::kBlocks;
  // Written out in kPasses, in each of which a warp has kPassRows rows.
  static constexpr int kPasses = Tile::kM / 4, kPassRows = 4 * Tile::kLanesM;
  static constexpr bool kOfWarpgroups = false;
  static constexpr int kWarpRows = Tile::kWarpRows, kWarpsM = Tile::kWarpsM, kCopies = Tile::kWarpsK;
  static constexpr int kStagedRows = kWarpsM * kPassRows;
  static constexpr int kStagingStride = kColumns + 8;
  static constexpr int kStagingSize = kWarpsM * kPassRows * kStagingStride;  // of a copy
  static constexpr bool kAAlongK = A::kAlongK && !Tile::kTurns, kBAlongK = B::kAlongK && !Tile::kTurns;
  using SliceA = SliceLayout<kAAlongK, kRows, kDepth, A::kAlongK ? 4 : 0>;
  using SliceB = SliceLayout<kBAlongK, kColumns, kDepth, B::kAlongK ? 4 : 0>;

  struct Buffers {
    T a[Tile::kStages][SliceA::kSize], b[Tile::kStages][SliceB::kSize];
  };
  struct alignas(16) Shared {
    Place rows[kRows], columns[kColumns];
    union {
      Buffers buffers;
      T staging[kCopies][kStagingSize];
      T column_sums[4 * kThreads];
    };
    bool last;  // of the blocks that share the tile
  };

  Shared& shared;
  int64_t first_row, first_column;  // of the tile
  T sums[Tile::kM][Tile::kN];
  T column_sums[4];
  int first_a, first_b;  // the thread's first elements in slices

  struct Position {
    int warp_m, warp_n, warp_k, lane_m, lane_n;
  };
  // Every eight lanes have two places along one axis and four along the other, so that what a load of 16
  // bytes gives to several of them is fetched once.
  static __device__ __forceinline__ Position position() {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int of_eight = lane % 2 + lane / 4 % 4 * 2, of_four = lane / 2 % 2 + lane / 16 * 2;
    static_assert(Tile::kLanesM == 4 || Tile::kLanesM == 8);
    return {warp / Tile::kWarpsN % kWarpsM, warp % Tile::kWarpsN, warp / (Tile::kWarpsN * kWarpsM),
            Tile::kLanesM == 8 ? of_eight : of_four, Tile::kLanesM == 8 ? of_four : of_eight};
  }

  __device__ __forceinline__ SimtLoop(Shared& s, int64_t m0, int64_t n0)
      : shared(s), first_row(m0), first_column(n0) {
    const Position at = position();
    const int k = at.warp_k * (kDepth / kCopies);
    first_a = SliceA::at(at.warp_m * kWarpRows + (kAAlongK ? 1 : 4) * at.lane_m, k);
    first_b = SliceB::at(at.warp_n * Tile::kWarpColumns + (kBAlongK ? 1 : 4) * at.lane_n, k);
#pragma unroll
    for (int i = 0; i < Tile::kM; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kN; ++j) sums[i][j] = 0;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) column_sums[i] = 0;
  }

  template <class Layout, int kExtent, class Reader>
  static __device__ __forceinline__ void copy_slice(const Reader& reader, const FixedPlaces<Reader>& places,
                                                    int k0, T* slice) {
    for_elements<kExtent, kDepth, kThreads, true>(
        reader, places, k0,
        [&](int row, int k, int, const T* at, bool inside) {
          if constexpr (Reader::kAlongK && Tile::kTurns) {
#pragma unroll
            for (int j = 0; j < 4; ++j) copy_one(slice + Layout::at(row, k + j), at + j, inside);
          } else {
            copy_async_16(slice + Layout::at(row, k), at, inside);
          }
        },
        [&](int row, int k, int, int, const T* at, bool inside) {
          copy_one(slice + Layout::at(row, k), at, inside);
        });
  }

  __device__ __forceinline__ void copy(const A& a, const B& b, int k0, int stage) const {
    copy_slice<SliceA, kRows>(a, {shared.rows, first_row}, k0, shared.buffers.a[stage]);
    copy_slice<SliceB, kColumns>(b, {shared.columns, first_column}, k0, shared.buffers.b[stage]);
  }

  // Groups of four rows (columns), kLanes groups apart.
  template <int kCount, int kLanes>
  static __device__ __forceinline__ void read_groups(const T* at, T (&v)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; i += 4) {
      T four[4];
      read_four(at + i * kLanes, four);
#pragma unroll
      for (int j = 0; j < 4; ++j) v[i + j] = four[j];
    }
  }

  __device__ __forceinline__ void multiply_by_steps(const T* a, const T* b) {
    constexpr int kSteps = kDepth / kCopies;
    T as[2][Tile::kM], bs[2][Tile::kN];
    read_groups<Tile::kM, Tile::kLanesM>(a, as[0]);
    read_groups<Tile::kN, Tile::kLanesN>(b, bs[0]);
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      if (k + 1 < kSteps) {
        read_groups<Tile::kM, Tile::kLanesM>(a + SliceA::at(0, k + 1), as[(k + 1) % 2]);
        read_groups<Tile::kN, Tile::kLanesN>(b + SliceB::at(0, k + 1), bs[(k + 1) % 2]);
      }
#pragma unroll
      for (int i = 0; i < Tile::kM; ++i) {
#pragma unroll
        for (int j = 0; j < Tile::kN; ++j) sums[i][j] += as[k % 2][i] * bs[k % 2][j];
      }
    }
  }

  // Of rows (columns) along k a lane has every kLanes-th, else groups of four.
  __device__ __forceinline__ void multiply_by_fours(const T* a, const T* b) {
    [[maybe_unused]] constexpr int kUnrolled = Tile::kM * Tile::kN > 32 ? 1 : 4;
#pragma unroll kUnrolled
    for (int q = 0; q < kDepth / 4 / kCopies; ++q) {
      const int k = 4 * q;
      T bs[4][Tile::kN];
#pragma unroll
      for (int j = 0; j < Tile::kN / (kBAlongK ? 1 : 4); ++j) {
#pragma unroll
        for (int kk = 0; kk < (kBAlongK ? 1 : 4); ++kk) {
          const int column = j * Tile::kLanesN * (kBAlongK ? 1 : 4);
          T four[4];
          read_four(b + SliceB::at(column, k + kk), four);
#pragma unroll
          for (int v = 0; v < 4; ++v) {
            if (kBAlongK) {
              bs[v][j] = four[v];
            } else {
              bs[kk][(4 * j + v) % Tile::kN] = four[v];
            }
          }
        }
      }
      if constexpr (kAAlongK) {
#pragma unroll
        for (int i = 0; i < Tile::kM; ++i) {
          T four[4];
          read_four(a + SliceA::at(i * Tile::kLanesM, k), four);
#pragma unroll
          for (int kk = 0; kk < 4; ++kk) {
#pragma unroll
            for (int j = 0; j < Tile::kN; ++j) sums[i][j] += four[kk] * bs[kk][j];
          }
        }
      } else {
#pragma unroll
        for (int kk = 0; kk < 4; ++kk) {
#pragma unroll
          for (int i = 0; i < Tile::kM; i += 4) {
            T four[4];
            read_four(a + SliceA::at(i * Tile::kLanesM, k + kk), four);
#pragma unroll
            for (int v = 0; v < 4; ++v) {
#pragma unroll
              for (int j = 0; j < Tile::kN; ++j) sums[i + v][j] += four[v] * bs[kk][j];
            }
          }
        }
      }
    }
  }

  __device__ __forceinline__ void multiply(const T* a, const T* b) {
    if constexpr (kAAlongK || kBAlongK) {
      multiply_by_fours(a, b);
    } else {
      multiply_by_steps(a, b);
    }
  }

  __device__ __forceinline__ void add_columns(const T* b) {
    for_pieces<false, kColumns, kDepth, kThreads>([&](int column, int k, int) {
      T four[4];
      read_four(b + SliceB::at(column, k), four);
#pragma unroll
      for (int v = 0; v < 4; ++v) column_sums[v] += four[v];
    });
  }

  // Sums of `slices` slices from k0 on. The table of places is there. Afterwards all warps are done with the
  // buffers.
  __device__ __forceinline__ void run(const A& a, const B& b, int k0, int slices, bool sum_columns) {
    constexpr int kAhead = Tile::kStages - 1;
#pragma unroll
    for (int s = 0; s < kAhead; ++s) {
      if (s < slices) copy(a, b, k0 + s * kDepth, s);
      copy_async_commit();
    }
    int stage = 0, next_stage = kAhead;
#pragma unroll 1
    for (int s = 0; s < slices; ++s) {
      copy_async_wait<kAhead - 1>();
      sync_block();
      if (s + kAhead < slices) copy(a, b, k0 + (s + kAhead) * kDepth, next_stage);
      copy_async_commit();
      multiply(shared.buffers.a[stage] + first_a, shared.buffers.b[stage] + first_b);
      if constexpr (kColumnSums) {
        if (sum_columns) add_columns(shared.buffers.b[stage]);
      }
      stage = stage + 1 == Tile::kStages ? 0 : stage + 1;
      next_stage = next_stage + 1 == Tile::kStages ? 0 : next_stage + 1;
    }
    copy_async_wait<0>();
    sync_block();
  }

  // The tile's row that is row `row` of the staging area in pass `pass`.
  static __device__ __forceinline__ int tile_row(int row, int pass) {
    return row / kPassRows * kWarpRows + pass * kPassRows + row % kPassRows;
  }
  // The sums of pass `pass` to the staging area: rows (warp_m, kPassRows), columns.
  __device__ __forceinline__ void stage(int pass) const {
    const Position at = position();
    T* const to =
        shared.staging[at.warp_k] + at.warp_m * kPassRows * kStagingStride + at.warp_n * Tile::kWarpColumns;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = kAAlongK ? i * Tile::kLanesM + at.lane_m : 4 * at.lane_m + i;
#pragma unroll
      for (int j = 0; j < Tile::kN; ++j) {
        const int column =
            kBAlongK ? j * Tile::kLanesN + at.lane_n : (j / 4 * Tile::kLanesN + at.lane_n) * 4 + j % 4;
        to[row * kStagingStride + column] = sums[4 * pass + i][j];
      }
    }
  }
};

}  // namespace nnx::cuda
