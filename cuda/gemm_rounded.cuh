// Large products on tensor cores: operands that are read often are rounded once, into the workspace, and read
// from there.
//
// A product on tensor cores reads its operands through the second-level cache again and again, and waits for
// it; half the bytes, or none of the work of rounding, are half the wait. The numbers are those of
// TensorLoop, which rounds each element at each reading.
#pragma once

#include "columns.cuh"
#include "epilogue.cuh"
#include "gemm_plan.h"
#include "gemm_tensor.cuh"

namespace nnx::cuda {

// Readers' element types beside float and double: a float rounded to TF32, in 32 bits, and to bfloat16
// (gemm_readers.cuh).
struct Tf32 {
  uint32_t bits;
};
template <class S>
inline constexpr bool kIsRounded = !std::is_floating_point_v<S>;

// Slices come to shared memory by asynchronous copies of eight elements, kStages - 1 slices ahead: whatever
// lies together in memory comes in eights (`rounds_once`).
template <class Tile, class A, class B>
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
    };
    bool last;  // of the blocks that share the tile
  };
  static_assert(sizeof(Shared) <= 99 * 1024, "what the least of the architectures with tensor cores has");

  Shared& shared;
  int64_t first_row, first_column;  // of the tile

  __device__ __forceinline__ RoundedLoop(Shared& s, int64_t m0, int64_t n0)
      : shared(s), first_row(m0), first_column(n0) {}

  template <class Layout, int kExtent, class Reader>
  static __device__ __forceinline__ void copy_slice(const Reader& reader, const FixedPlaces<Reader>& places,
                                                    int k0, Bfloat16* slice) {
    for_pieces<Reader::kAlongK, kExtent, kDepth, kThreads, 8>([&](int row, int k, int) {
      const Place fixed = places.at(reader, row), running = reader.running(k0 + k);
      copy_async_16(slice + Layout::at(row, k), reader.data + (fixed.offset + running.offset),
                    reader.is_inside(fixed, running));
    });
  }
  __device__ __forceinline__ void copy(const A& a, const B& b, int k0, int stage) const {
    copy_slice<SliceA, kRows>(a, {shared.rows, first_row}, k0, shared.buffers.a[stage]);
    copy_slice<SliceB, kColumns>(b, {shared.columns, first_column}, k0, shared.buffers.b[stage]);
  }

  // As SimtLoop::run.
  __device__ __forceinline__ void run(const A& a, const B& b, int k0, int slices, bool) {
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

// An array, whole. Of one that a product in TF32 would have to read across k, turned_rows: it is a matrix of
// so many rows, whose transpose is read.
template <class T>
struct Operand {
  const T* data;
  int64_t elements;
  int64_t turned_rows = 0;
};

// Of an operand (rows, cols) whose columns are summed too: sums = or += them. Null: nothing is summed.
template <class T>
struct SummedColumns {
  const T* values = nullptr;
  int64_t rows = 0, cols = 0;
  T* sums = nullptr;
  Policy policy = Policy::assign;
};

inline constexpr int kRoundThreads = 256;

// Eight elements
template <class T>
__device__ __forceinline__ void store_rounded(Bfloat16* to, const T (&low)[4], const T (&high)[4]) {
  store_16(to, make_uint4(pack_bfloat16(low[0], low[1]), pack_bfloat16(low[2], low[3]),
                          pack_bfloat16(high[0], high[1]), pack_bfloat16(high[2], high[3])));
}
template <class T>
__device__ __forceinline__ void store_rounded(Tf32* to, const T (&low)[4], const T (&high)[4]) {
  store_16(to, make_uint4(to_tf32(low[0]), to_tf32(low[1]), to_tf32(low[2]), to_tf32(low[3])));
  store_16(to + 4, make_uint4(to_tf32(high[0]), to_tf32(high[1]), to_tf32(high[2]), to_tf32(high[3])));
}

// Both operands, eight elements to a thread; of an array that does not end with eight, the last ones are
// written with what lies behind them left out.
template <class T, class S>
__global__ void __launch_bounds__(kRoundThreads)
    round_operands(const T* a, S* a_to, int64_t a_count, const T* b, S* b_to, int64_t b_count, bool vector) {
  begin_kernel();
  const int64_t a_eights = ceil_div<int64_t>(a_count, 8), b_eights = ceil_div<int64_t>(b_count, 8);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kRoundThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kRoundThreads + threadIdx.x; i < a_eights + b_eights;
       i += step) {
    const bool first = i < a_eights;
    const int64_t offset = 8 * (first ? i : i - a_eights), left = (first ? a_count : b_count) - offset;
    const T* const from = (first ? a : b) + offset;
    T low[4], high[4];
    load_some(from, left < 4 ? static_cast<int>(left) : 4, vector && left >= 4, low);
    load_some(from + 4, left < 8 ? static_cast<int>(left) - 4 : 4, vector && left >= 8, high);
    store_rounded((first ? a_to : b_to) + offset, low, high);
  }
}

// to (cols, rows) = the transpose of from (rows, cols), rounded; a block turns a square.
inline constexpr int kSquare = 32;
struct TurnShared {
  uint32_t square[kSquare][kSquare + 1];
};
template <class T>
__global__ void __launch_bounds__(kRoundThreads)
    turn_operand(const T* from, int64_t rows, int64_t cols, int64_t squares_across, Tf32* to) {
  begin_kernel();
  auto& shared = shared_storage<TurnShared>();
  constexpr int kDown = kRoundThreads / kSquare;
  const int across = static_cast<int>(threadIdx.x) % kSquare, down = static_cast<int>(threadIdx.x) / kSquare;
  const int64_t row0 = blockIdx.x / squares_across * kSquare, col0 = blockIdx.x % squares_across * kSquare;
  for (int i = down; i < kSquare; i += kDown) {
    const int64_t row = row0 + i, col = col0 + across;
    shared.square[i][across] =
        row < rows && col < cols ? to_tf32(static_cast<float>(from[row * cols + col])) : 0u;
  }
  sync_block();
  for (int i = down; i < kSquare; i += kDown) {
    const int64_t row = row0 + across, col = col0 + i;
    if (row < rows && col < cols) to[col * rows + row].bits = shared.square[across][i];
  }
}

// The bytes of a rounded operand: behind it lies the second one, and behind that the partial sums.
template <class S>
constexpr int64_t rounded_bytes(int64_t elements) {
  return rounded_up(static_cast<int64_t>(sizeof(S)) * rounded_up(elements, 8) * 8, 256) * 256;
}

// Both operands to `room`; what a pass reads then.
template <class S>
struct RoundedOperands {
  const S *a, *b;
  void* behind;
};
template <class S, class T>
RoundedOperands<S> round_both(Context& context, const char* name, const Operand<T>& a, const Operand<T>& b,
                              void* room) {
  auto* const a_to = static_cast<S*>(room);
  auto* const b_to = reinterpret_cast<S*>(static_cast<char*>(room) + rounded_bytes<S>(a.elements));
  void* const behind = reinterpret_cast<char*>(b_to) + rounded_bytes<S>(b.elements);
  int64_t a_count = a.elements, b_count = b.elements;
  if constexpr (std::is_same_v<S, Tf32>) {
    const auto turn = [&](const Operand<T>& from, S* to, int64_t& count) {
      if (from.turned_rows == 0) return;
      const int64_t rows = from.turned_rows, cols = from.elements / rows;
      const int64_t squares_across = ceil_div<int64_t>(cols, kSquare);
      launch(context, name, turn_operand<T>,
             dim3(static_cast<unsigned>(ceil_div<int64_t>(rows, kSquare) * squares_across)),
             dim3(kRoundThreads), sizeof(TurnShared), from.data, rows, cols, squares_across, to);
      count = 0;
    };
    turn(a, a_to, a_count);
    turn(b, b_to, b_count);
  }
  const int64_t eights = ceil_div<int64_t>(a_count, 8) + ceil_div<int64_t>(b_count, 8);
  if (eights > 0) {
    launch(context, name, round_operands<T, S>, dim3(blocks_for(eights, kRoundThreads)), dim3(kRoundThreads),
           0, a.data, a_to, a_count, b.data, b_to, b_count, aligned(a.data, b.data));
  }
  return {a_to, b_to, behind};
}

}  // namespace nnx::cuda
