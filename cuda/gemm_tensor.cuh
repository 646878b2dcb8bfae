// The matrix engine's main loop on tensor cores: float32 in memory and in the sums, TF32 or bfloat16 in the
// products.
//
// A slice's elements go through registers to shared memory, rounded on the way, once each; they are fetched
// while the slice before is multiplied.
#pragma once

#include "gemm_readers.cuh"

namespace nnx::cuda {

// What a format's tiles in shared memory are made of, and how a warp gets its fragments of 16 rows or columns
// out of them. kPadAlongK, kPadAcross: the paddings (SliceLayout) that leave fragment loads free of bank
// conflicts.
struct Tf32Format {
  using Stored = uint32_t;
  static constexpr int kMmaDepth = 8, kPadAlongK = 4, kPadAcross = 8;

  static __device__ __forceinline__ void store(Stored* at, const float (&v)[4]) {
    *reinterpret_cast<uint4*>(at) = make_uint4(to_tf32(v[0]), to_tf32(v[1]), to_tf32(v[2]), to_tf32(v[3]));
  }
  // A's rows row .. row + 15
  template <class Layout, bool kAlongK>
  static __device__ __forceinline__ void load_rows(uint32_t (&r)[4], const Stored* slice, int row, int k,
                                                   int lane) {
    if constexpr (kAlongK) {
      load_matrices(r, slice + Layout::at(row + lane % 16, k + lane / 16 * 4));
    } else {
      const Stored* const at = slice + Layout::at(row + lane / 4, k + lane % 4);
      r[0] = at[0], r[1] = at[8];
      r[2] = at[4 * Layout::kStride], r[3] = at[4 * Layout::kStride + 8];
    }
  }
  // B's columns column .. column + 15: r[0], r[1] are the first eight's fragment.
  template <class Layout, bool kAlongK>
  static __device__ __forceinline__ void load_columns(uint32_t (&r)[4], const Stored* slice, int column,
                                                      int k, int lane) {
    if constexpr (kAlongK) {
      load_matrices(r, slice + Layout::at(column + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 4));
    } else {
      const Stored* const at = slice + Layout::at(column + lane / 4, k + lane % 4);
      r[0] = at[0], r[1] = at[4 * Layout::kStride];
      r[2] = at[8], r[3] = at[4 * Layout::kStride + 8];
    }
  }
  static __device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_tf32(d, a, b);
  }
};

struct Bfloat16Format {
  using Stored = uint16_t;
  static constexpr int kMmaDepth = 16, kPadAlongK = 8, kPadAcross = 8;

  static __device__ __forceinline__ void store(Stored* at, const float (&v)[4]) {
    *reinterpret_cast<uint2*>(at) = make_uint2(pack_bfloat16(v[0], v[1]), pack_bfloat16(v[2], v[3]));
  }
  template <class Layout, bool kAlongK>
  static __device__ __forceinline__ void load_rows(uint32_t (&r)[4], const Stored* slice, int row, int k,
                                                   int lane) {
    if constexpr (kAlongK) {
      load_matrices(r, slice + Layout::at(row + lane % 16, k + lane / 16 * 8));
    } else {
      load_matrices_transposed(r, slice + Layout::at(row + lane / 8 % 2 * 8, k + lane / 16 * 8 + lane % 8));
    }
  }
  template <class Layout, bool kAlongK>
  static __device__ __forceinline__ void load_columns(uint32_t (&r)[4], const Stored* slice, int column,
                                                      int k, int lane) {
    if constexpr (kAlongK) {
      load_matrices(r, slice + Layout::at(column + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 8));
    } else {
      load_matrices_transposed(r, slice + Layout::at(column + lane / 16 * 8, k + lane % 16));
    }
  }
  static __device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_bfloat16(d, a, b);
  }
};

// kM, kN: a warp's rows and columns.
template <int kWarpsM_, int kWarpsN_, int kM_, int kN_, int kBlocks_, int kDepth_ = 16>
struct TensorTile {
  static constexpr int kWarpsM = kWarpsM_, kWarpsN = kWarpsN_, kM = kM_, kN = kN_, kBlocks = kBlocks_;
  static constexpr int kDepth = kDepth_;
  static constexpr int kRows = kWarpsM * kM, kColumns = kWarpsN * kN, kThreads = 32 * kWarpsM * kWarpsN;
};

// A thread's sums, and how slices in shared memory are multiplied into them.
template <class Format, class Tile, class A, class B>
struct TensorSums {
  using Element = float;
  using Stored = typename Format::Stored;
  static constexpr int kRows = Tile::kRows, kColumns = Tile::kColumns, kDepth = Tile::kDepth;
  static constexpr int kThreads = Tile::kThreads, kBlocks = Tile::kBlocks;
  static constexpr int kPasses = Tile::kM / 16, kPassRows = 16;
  static constexpr bool kOfWarpgroups = false;
  static constexpr int kWarpRows = Tile::kM, kWarpsM = Tile::kWarpsM, kCopies = 1;
  static constexpr int kStagedRows = kWarpsM * kPassRows;
  static constexpr int kStagingStride = kColumns + 8;
  static constexpr int kStagingSize = kWarpsM * kPassRows * kStagingStride;
  using SliceA = SliceLayout<A::kAlongK, kRows, kDepth, A::kAlongK ? Format::kPadAlongK : Format::kPadAcross>;
  using SliceB =
      SliceLayout<B::kAlongK, kColumns, kDepth, B::kAlongK ? Format::kPadAlongK : Format::kPadAcross>;

  float sums[Tile::kM / 16][Tile::kN / 8][4];
  float column_sums[4];
  int lane, warp_m, warp_n;

  __device__ __forceinline__ TensorSums() {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    lane = static_cast<int>(threadIdx.x) % 32;
    warp_m = warp / Tile::kWarpsN, warp_n = warp % Tile::kWarpsN;
#pragma unroll
    for (int i = 0; i < Tile::kM / 16; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kN / 8; ++j) {
#pragma unroll
        for (int v = 0; v < 4; ++v) sums[i][j][v] = 0;
      }
    }
#pragma unroll
    for (int v = 0; v < 4; ++v) column_sums[v] = 0;
  }

  __device__ __forceinline__ void multiply(const Stored* a, const Stored* b) {
#pragma unroll
    for (int k = 0; k < kDepth; k += Format::kMmaDepth) {
      uint32_t rows[Tile::kM / 16][4];
#pragma unroll
      for (int i = 0; i < Tile::kM / 16; ++i) {
        Format::template load_rows<SliceA, A::kAlongK>(rows[i], a, warp_m * Tile::kM + 16 * i, k, lane);
      }
#pragma unroll
      for (int j = 0; j < Tile::kN / 16; ++j) {
        uint32_t columns[4];
        Format::template load_columns<SliceB, B::kAlongK>(columns, b, warp_n * Tile::kN + 16 * j, k, lane);
        const uint32_t left[2] = {columns[0], columns[1]}, right[2] = {columns[2], columns[3]};
#pragma unroll
        for (int i = 0; i < Tile::kM / 16; ++i) {
          Format::mma(sums[i][2 * j], rows[i], left);
          Format::mma(sums[i][2 * j + 1], rows[i], right);
        }
      }
    }
  }

  // The tile's row that is row `row` of the staging area in pass `pass`.
  static __device__ __forceinline__ int tile_row(int row, int pass) {
    return row / kPassRows * kWarpRows + pass * kPassRows + row % kPassRows;
  }
  // The sums of pass `pass` to the staging area: rows (warp_m, kPassRows), columns.
  __device__ __forceinline__ void stage(float* staging, int pass) const {
    const int column = warp_n * Tile::kN + lane % 4 * 2;
    float* const to = staging + (warp_m * kPassRows + lane / 4) * kStagingStride + column;
#pragma unroll
    for (int j = 0; j < Tile::kN / 8; ++j) {
      const float (&four)[4] = sums[pass][j];
      *reinterpret_cast<float2*>(to + 8 * j) = make_float2(four[0], four[1]);
      *reinterpret_cast<float2*>(to + 8 * kStagingStride + 8 * j) = make_float2(four[2], four[3]);
    }
  }
};

template <class Format, class Tile, class A, class B, bool kColumnSums>
struct TensorLoop : TensorSums<Format, Tile, A, B> {
  using Sums = TensorSums<Format, Tile, A, B>;
  using Sums::kColumns;
  using Sums::kDepth;
  using Sums::kRows;
  using Sums::kThreads;
  using typename Sums::SliceA;
  using typename Sums::SliceB;
  using typename Sums::Stored;
  static constexpr int kPiecesA = kRows * kDepth / 4 / kThreads, kPiecesB = kColumns * kDepth / 4 / kThreads;
  static_assert(kPiecesA > 0 && kPiecesB > 0);

  struct Buffers {
    alignas(16) Stored a[2][SliceA::kSize];
    alignas(16) Stored b[2][SliceB::kSize];
  };
  struct alignas(16) Shared {
    Place rows[kRows], columns[kColumns];
    union {
      Buffers buffers;
      float staging[1][Sums::kStagingSize];
      float column_sums[4 * kThreads];
    };
    bool last;  // of the blocks that share the tile
  };

  Shared& shared;
  int64_t first_row, first_column;  // of the tile
  float fetched_a[kPiecesA][4], fetched_b[kPiecesB][4];

  __device__ __forceinline__ TensorLoop(Shared& s, int64_t m0, int64_t n0)
      : shared(s), first_row(m0), first_column(n0) {}

  template <int kExtent, class Reader, int kPieces>
  static __device__ __forceinline__ void fetch(const Reader& reader, const FixedPlaces<Reader>& places,
                                               int k0, float (&fetched)[kPieces][4]) {
    for_elements<kExtent, kDepth, kThreads, false>(
        reader, places, k0,
        [&](int, int, int i, const float* at, bool inside) {
          float4 four = make_float4(0, 0, 0, 0);
          if (inside) four = load_constant(reinterpret_cast<const float4*>(at));
          fetched[i][0] = four.x, fetched[i][1] = four.y, fetched[i][2] = four.z, fetched[i][3] = four.w;
        },
        [&](int, int, int i, int j, const float* at, bool inside) {
          fetched[i][j] = inside ? load_constant(at) : 0.0f;
        });
  }

  __device__ __forceinline__ void fetch(const A& a, const B& b, int k0) {
    fetch<kRows>(a, {shared.rows, first_row}, k0, fetched_a);
    fetch<kColumns>(b, {shared.columns, first_column}, k0, fetched_b);
  }

  __device__ __forceinline__ void store(int stage, bool sum_columns) {
    for_pieces<A::kAlongK, kRows, kDepth, kThreads>([&](int row, int k, int i) {
      Format::store(shared.buffers.a[stage] + SliceA::at(row, k), fetched_a[i]);
    });
    for_pieces<B::kAlongK, kColumns, kDepth, kThreads>([&](int column, int k, int i) {
      Format::store(shared.buffers.b[stage] + SliceB::at(column, k), fetched_b[i]);
      if constexpr (kColumnSums) {
        if (sum_columns) {
#pragma unroll
          for (int v = 0; v < 4; ++v) this->column_sums[v] += fetched_b[i][v];
        }
      }
    });
  }

  // As SimtLoop::run.
  __device__ __forceinline__ void run(const A& a, const B& b, int k0, int slices, bool sum_columns) {
    if (slices > 0) {
      fetch(a, b, k0);
      store(0, sum_columns);
    }
    sync_block();
#pragma unroll 1
    for (int s = 0; s < slices; ++s) {
      const bool more = s + 1 < slices;
      if (more) fetch(a, b, k0 + (s + 1) * kDepth);
      this->multiply(shared.buffers.a[s % 2], shared.buffers.b[s % 2]);
      if (more) store((s + 1) % 2, sum_columns);
      sync_block();
    }
  }

  __device__ __forceinline__ void stage(int pass) const { Sums::stage(shared.staging[0], pass); }
};

}  // namespace nnx::cuda
