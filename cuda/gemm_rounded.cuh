// Large products in bfloat16: operands that are read often are rounded once, into the workspace, and read
// from there.
//
// A product on tensor cores reads its operands through the second-level cache again and again, and waits for
// it; half the bytes are half the wait. The numbers are those of TensorLoop with Bfloat16Format, which rounds
// each element at each reading.
#pragma once

#include "epilogue.cuh"
#include "gemm_plan.h"
#include "gemm_tensor.cuh"

namespace nnx::cuda {

// The columns of a matrix rounded, and as they were: their sums are taken of the latter.
struct RoundedColumns : MatrixReader<Bfloat16, false> {
  MatrixReader<float, false> exact;

  RoundedColumns() = default;
  RoundedColumns(const Bfloat16* rounded, const float* as_it_was, int64_t stride, int64_t fixed,
                 int64_t running)
      : MatrixReader(rounded, stride, fixed, running), exact(as_it_was, stride, fixed, running) {}
  __device__ __forceinline__ void skip(int64_t columns) {
    data += columns;
    exact.data += columns;
  }
};

// The matrix whose columns a weight gradient sums.
template <class T>
MatrixReader<T, false> summed_columns(const T* at, const T*, int64_t stride, int64_t fixed, int64_t running) {
  return {at, stride, fixed, running};
}
inline RoundedColumns summed_columns(const Bfloat16* at, const float* as_it_was, int64_t stride,
                                     int64_t fixed, int64_t running) {
  return {at, as_it_was, stride, fixed, running};
}

// Slices come to shared memory by asynchronous copies of eight elements, kStages - 1 slices ahead: whatever
// lies together in memory comes in eights (`rounds_once`).
template <class Tile, class A, class B, bool kColumnSums>
struct RoundedLoop : TensorSums<Bfloat16Format, Tile, A, B> {
  using Sums = TensorSums<Bfloat16Format, Tile, A, B>;
  using Sums::kColumns;
  using Sums::kDepth;
  using Sums::kRows;
  using Sums::kThreads;
  using typename Sums::SliceA;
  using typename Sums::SliceB;
  static constexpr int kStages = 3;

  struct Buffers {
    alignas(16) Bfloat16 a[kStages][SliceA::kSize];
    alignas(16) Bfloat16 b[kStages][SliceB::kSize];
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
  static_assert(sizeof(Shared) <= 99 * 1024, "what the least of the architectures with tensor cores has");

  Shared& shared;

  __device__ __forceinline__ explicit RoundedLoop(Shared& s) : shared(s) {}

  template <class Layout, int kExtent, class Reader>
  static __device__ __forceinline__ void copy_slice(const Reader& reader, const Place* table, int k0,
                                                    Bfloat16* slice) {
    for_pieces<Reader::kAlongK, kExtent, kDepth, kThreads, 8>([&](int row, int k, int) {
      const Place fixed = table[row], running = reader.running(k0 + k);
      copy_async_16(slice + Layout::at(row, k), reader.data + (fixed.offset + running.offset),
                    reader.is_inside(fixed, running));
    });
  }
  __device__ __forceinline__ void copy(const A& a, const B& b, int k0, int stage) const {
    copy_slice<SliceA, kRows>(a, shared.rows, k0, shared.buffers.a[stage]);
    copy_slice<SliceB, kColumns>(b, shared.columns, k0, shared.buffers.b[stage]);
  }

  // A thread sums four columns, of every kStep-th row.
  __device__ __forceinline__ void add_columns(const B& b, int k0) {
    constexpr int kAcross = kColumns / 4, kStep = kThreads / kAcross;
    const int thread = static_cast<int>(threadIdx.x);
    const Place fixed = shared.columns[thread % kAcross * 4];
#pragma unroll
    for (int k = thread / kAcross; k < kDepth; k += kStep) {
      const Place running = b.running(k0 + k);
      if (!b.is_inside(fixed, running)) continue;
      const float* const at = b.exact.data + (fixed.offset + running.offset);
      float v[4];
      load_some(at, 4, b.exact.vector, v);
#pragma unroll
      for (int i = 0; i < 4; ++i) this->column_sums[i] += v[i];
    }
  }

  // As SimtLoop::run.
  __device__ __forceinline__ void run(const A& a, const B& b, int k0, int slices, bool sum_columns) {
#pragma unroll
    for (int s = 0; s < kStages - 1; ++s) {
      if (s < slices) copy(a, b, k0 + s * kDepth, s);
      copy_async_commit();
    }
    int stage = 0, next_stage = kStages - 1;
#pragma unroll 1
    for (int s = 0; s < slices; ++s) {
      copy_async_wait<kStages - 2>();
      sync_block();
      if (s + kStages - 1 < slices) copy(a, b, k0 + (s + kStages - 1) * kDepth, next_stage);
      copy_async_commit();
      this->multiply(shared.buffers.a[stage], shared.buffers.b[stage]);
      if constexpr (kColumnSums) {
        if (sum_columns) add_columns(b, k0 + s * kDepth);
      }
      stage = stage + 1 == kStages ? 0 : stage + 1;
      next_stage = next_stage + 1 == kStages ? 0 : next_stage + 1;
    }
    copy_async_wait<0>();
    sync_block();
  }

  __device__ __forceinline__ void stage(int pass) const { Sums::stage(shared.staging[0], pass); }
};

// What a pass made with these pointers reads: T, or what it is rounded to.
template <class Pointer>
using ElementOf = std::remove_const_t<std::remove_pointer_t<Pointer>>;

// An array, whole.
template <class T>
struct Operand {
  const T* data;
  int64_t elements;
};

// Both operands, eight elements to a thread.
inline constexpr int kRoundThreads = 256;
template <class T>
__global__ void __launch_bounds__(kRoundThreads)
    round_operands(const T* a, Bfloat16* a_to, int64_t a_eights, const T* b, Bfloat16* b_to, int64_t b_eights,
                   bool vector) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kRoundThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kRoundThreads + threadIdx.x; i < a_eights + b_eights;
       i += step) {
    const bool first = i < a_eights;
    const int64_t offset = 8 * (first ? i : i - a_eights);
    const T* const from = (first ? a : b) + offset;
    T low[4], high[4];
    load_some(from, 4, vector, low);
    load_some(from + 4, 4, vector, high);
    store_16((first ? a_to : b_to) + offset,
             make_uint4(pack_bfloat16(low[0], low[1]), pack_bfloat16(low[2], low[3]),
                        pack_bfloat16(high[0], high[1]), pack_bfloat16(high[2], high[3])));
  }
}

// Where the second rounded operand lies behind the first, and the partial sums behind the second.
constexpr int64_t rounded_bytes(int64_t elements) { return rounded_up(2 * elements, 256) * 256; }

}  // namespace nnx::cuda
