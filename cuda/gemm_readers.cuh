// How the matrix engine finds the elements of its operands: C (m, n) = A (m, k) B (k, n).
//
// An operand is read along one fixed index (A's row, B's column), of which a block holds a range from its
// first slice to its last, and one running index, k. Each gives a Place; two places together give the
// element's address, or say that there is none and a zero is meant: outside the matrix, or in an image's
// padding. The places of the fixed index that are dear to find are looked up in a table in shared memory.
#pragma once

#include "launch.h"

namespace nnx::cuda {

// y and x: of images. A place that is nowhere has a y that no other y brings back.
struct alignas(16) Place {
  int64_t offset;
  int32_t y, x;
};
inline constexpr int32_t kNowhere = INT32_MIN / 2;

// n / divisor by a multiplication, for n below 2^31: the multiplier exceeds 2^shift / divisor by less than
// n 2^-shift can notice.
struct Divider {
  uint32_t divisor = 1, multiplier = 1u << 31, shift = 31;

  static __host__ __device__ Divider by(int d) {
    Divider result;
    result.divisor = static_cast<uint32_t>(d);
    while ((uint64_t{1} << (result.shift - 31)) < result.divisor) ++result.shift;
    const uint64_t power = uint64_t{1} << result.shift;
    result.multiplier = static_cast<uint32_t>((power + result.divisor - 1) / result.divisor);
    return result;
  }
  __device__ __forceinline__ int operator()(int n, int& remainder) const {
    const auto number = static_cast<uint32_t>(n);
    const auto quotient = static_cast<uint32_t>((uint64_t{number} * multiplier) >> shift);
    remainder = static_cast<int>(number - quotient * divisor);
    return static_cast<int>(quotient);
  }
};

// A bfloat16's bits. Readers of rounded elements read 16 bytes at once, always: see gemm_rounded.cuh.
using Bfloat16 = uint16_t;

// Whether four consecutive elements may be copied at once.
template <class T>
bool four_at_once(const T* at, int64_t stride, int64_t extent) {
  return sizeof(T) == 4 && reinterpret_cast<uintptr_t>(at) % 16 == 0 && stride % 4 == 0 && extent % 4 == 0;
}

// A matrix in memory, rows `stride` apart. kAlongK: k counts along a row, the fixed index counts rows; else
// the other way round.
template <class T, bool kAlongK_>
struct MatrixReader {
  static constexpr bool kAlongK = kAlongK_;
  static constexpr bool kLooksUp = false;  // places of the fixed index: in a table, or reckoned each time
  static constexpr bool kKeepsRunning = false;  // places of k: see WarpgroupLoop
  const T* data;
  int64_t stride;
  int64_t fixed_extent;
  int running_extent;
  bool vector;

  MatrixReader() = default;
  MatrixReader(const T* at, int64_t row_stride, int64_t fixed, int64_t running)
      : data(at),
        stride(row_stride),
        fixed_extent(fixed),
        running_extent(static_cast<int>(running)),
        vector(four_at_once(at, row_stride, kAlongK ? running : fixed)) {}

  __device__ __forceinline__ Place fixed(int64_t i) const {
    return {kAlongK ? i * stride : i, i < fixed_extent ? 0 : kNowhere, 0};
  }
  __device__ __forceinline__ Place running(int k) const {
    return {kAlongK ? k : k * stride, k < running_extent ? 0 : kNowhere, 0};
  }
  __device__ __forceinline__ bool is_inside(const Place& a, const Place& b) const { return (a.y | b.y) == 0; }
  // To later values of the fixed index.
  __device__ __forceinline__ void skip(int64_t values) { data += kAlongK ? values * stride : values; }
};

// The places of a tile's fixed index.
template <class Reader>
struct FixedPlaces {
  const Place* table;
  int64_t first;

  __device__ __forceinline__ Place at(const Reader& reader, int row) const {
    if constexpr (Reader::kLooksUp) {
      return table[row];
    } else {
      return reader.fixed(first + row);
    }
  }
};
// Fills the table, by kThreads threads.
template <int kExtent, int kThreads, class Reader>
__device__ __forceinline__ void look_up(const Reader& reader, int64_t first, Place* table) {
  if constexpr (Reader::kLooksUp) {
    for (int i = static_cast<int>(threadIdx.x); i < kExtent; i += kThreads)
      table[i] = reader.fixed(first + i);
  }
}

// Where the tile of an operand lies in shared memory: kRows values of the fixed index, kDepth of k. kPad
// keeps the lanes of a warp out of each other's banks.
template <bool kAlongK, int kRows, int kDepth, int kPad>
struct SliceLayout {
  static constexpr int kStride = (kAlongK ? kDepth : kRows) + kPad;
  static constexpr int kSize = (kAlongK ? kRows : kDepth) * kStride;
  static __device__ __forceinline__ int at(int row, int k) {
    return kAlongK ? row * kStride + k : k * kStride + row;
  }
};

// Calls piece(row, k, index) for this thread's groups of kGroup elements of a slice: as many values of k, or
// rows, from there on. A thread's pieces lie at one k, or one row.
template <bool kAlongK, int kRows, int kDepth, int kThreads, int kGroup = 4, class F>
__device__ __forceinline__ void for_pieces(const F& piece) {
  constexpr int kAcross = (kAlongK ? kDepth : kRows) / kGroup, kDown = kAlongK ? kRows : kDepth;
  constexpr int kStep = kThreads / kAcross, kCount = (kDown + kStep - 1) / kStep;
  static_assert(kThreads % kAcross == 0);
  const int thread = static_cast<int>(threadIdx.x);
  const int across = thread % kAcross * kGroup;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const int down = thread / kAcross + i * kStep;
    if (kDown % kStep == 0 || down < kDown) piece(kAlongK ? down : across, kAlongK ? across : down, i);
  }
}

// Finds the addresses of this thread's elements of the slice from k0 on: calls four(row, k, index, at,
// inside) where four lie together, else one(row, k, index, j, at, inside) for each. Of what is not inside,
// `at` is nowhere. kSpread: a group's four rows are not neighbours; neighbouring lanes' are.
template <int kExtent, int kDepth, int kThreads, bool kSpread, class Reader, class Four, class One>
__device__ __forceinline__ void for_elements(const Reader& reader, const FixedPlaces<Reader>& places, int k0,
                                             const Four& four, const One& one) {
  constexpr bool kAlongK = Reader::kAlongK;
  if (reader.vector) {
    for_pieces<kAlongK, kExtent, kDepth, kThreads>([&](int row, int k, int i) {
      const Place fixed = places.at(reader, row), running = reader.running(k0 + k);
      four(row, k, i, reader.data + (fixed.offset + running.offset), reader.is_inside(fixed, running));
    });
  } else if constexpr (kAlongK) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      for_pieces<kAlongK, kExtent, kDepth, kThreads>([&](int row, int k, int i) {
        const Place fixed = places.at(reader, row), running = reader.running(k0 + k + j);
        one(row, k + j, i, j, reader.data + (fixed.offset + running.offset),
            reader.is_inside(fixed, running));
      });
    }
  } else {
    for_pieces<kAlongK, kExtent, kDepth, kThreads>([&](int first, int k, int i) {
      const Place running = reader.running(k0 + k);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int row = kSpread ? first / 4 + j * (kExtent / 4) : first + j;
        const Place fixed = places.at(reader, row);
        one(row, k, i, j, reader.data + (fixed.offset + running.offset), reader.is_inside(fixed, running));
      }
    });
  }
}

}  // namespace nnx::cuda
