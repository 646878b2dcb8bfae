// How a tile of sums leaves the registers.
#pragma once

#include "cpu/simd.h"
#include "kernels/activation.h"

namespace nnx::cpu::NNX_ISA {

// What is done to a sum on its way out, in this order.
template <class T>
struct Epilogue {
  bool resume = false;      // the result holds an earlier part of this sum, or is accumulated: add it
  const T* bias = nullptr;  // (columns)
  Activation activation;
  ActivationGradient<T> gradient;  // `saved` has the layout of the result
};

// Where a tile goes: row m starts at result + row_offsets[m]. Offsets also hold for gradient.saved.
template <class T>
struct TileTarget {
  T* result;
  const int64_t* row_offsets;  // (M)
  int64_t columns;             // <= kTileColumns
  Epilogue<T> epilogue;        // bias already moved to the tile's first column
};

// Any epilogue, any width: by way of memory.
template <class T>
void write_any_tile(const T* sums, int64_t sums_stride, int rows, const TileTarget<T>& target);

template <class T, int M, int V>
NNX_INLINE void write_tile(Vec<T> (&sums)[M][V], const TileTarget<T>& target) {
  constexpr int columns = V * kLanes<T>;
  const Epilogue<T>& epilogue = target.epilogue;
  const ActivationKind forward = epilogue.activation.kind;
  const bool relu_gradient = epilogue.gradient.saved != nullptr;
  const bool plain = target.columns == columns &&
                     (forward == ActivationKind::identity || forward == ActivationKind::relu) &&
                     (!relu_gradient || epilogue.gradient.activation.kind == ActivationKind::relu);
  if (__builtin_expect(!plain, 0)) {
    T memory[M * columns];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) store(memory + m * columns + v * kLanes<T>, sums[m][v]);
    }
    write_any_tile<T>(memory, columns, M, target);
    return;
  }
  Vec<T> bias[V] = {};
  if (epilogue.bias != nullptr) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) bias[v] = load(epilogue.bias + v * kLanes<T>);
  }
  const Vec<T> zero{};
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
    T* const row = target.result + target.row_offsets[m];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      Vec<T> y = sums[m][v] + bias[v];
      if (epilogue.resume) y += load(row + v * kLanes<T>);
      if (forward == ActivationKind::relu) y = maximum<T>(y, zero);
      if (relu_gradient) {
        const Vec<T> saved = load(epilogue.gradient.saved + target.row_offsets[m] + v * kLanes<T>);
        y = select<T>(saved > zero, y, zero);
      }
      store(row + v * kLanes<T>, y);
    }
  }
}

}  // namespace nnx::cpu::NNX_ISA
