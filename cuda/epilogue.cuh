// What becomes of the matrix engine's sums: where C's element (m, n) lies, and what is done to it on the way.
#pragma once

#include "activate.cuh"
#include "gemm_readers.cuh"

namespace nnx::cuda {

// Up to four neighbours of a row; at once where `vector`.
template <class T>
__device__ __forceinline__ void load_some(const T* at, int count, bool vector, T (&v)[4]) {
  if constexpr (sizeof(T) == 4) {
    if (vector) {
      const float4 four = *reinterpret_cast<const float4*>(at);
      v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
      return;
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) v[i] = i < count ? at[i] : T(0);
}
template <class T>
__device__ __forceinline__ void store_some(T* at, int count, bool vector, const T (&v)[4]) {
  if constexpr (sizeof(T) == 4) {
    if (vector) {
      *reinterpret_cast<float4*>(at) = make_float4(v[0], v[1], v[2], v[3]);
      return;
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (i < count) at[i] = v[i];
  }
}

// Rows of C that lie `stride` apart.
struct EvenRows {
  int64_t stride;
  __device__ __forceinline__ int64_t offset(int64_t m) const { return m * stride; }
};

// A writer's put(offset, n, count, vector, v): v, up to four elements of C from column n on, to out + offset
// of their row + n. `vector`: its vectors may be stored at once.

// y = act(c + bias)
template <class T>
struct OutputWriter {
  using Rows = EvenRows;
  Rows rows;
  T* out;
  const T* bias;
  ActivationKind kind;
  T alpha;
  bool vector;

  __device__ __forceinline__ void put(int64_t offset, int n, int count, bool at_once, T (&v)[4]) const {
    if (bias != nullptr) {
      T b[4];
      load_some(bias + n, count, at_once, b);
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] += b[i];
    }
    if (kind == ActivationKind::relu) {
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] = activate<ActivationKind::relu>(v[i], alpha);
    } else if (kind != ActivationKind::identity) {
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] = activate_any(kind, v[i], alpha);
    }
    store_some(out + offset + n, count, at_once, v);
  }
};

// dx = or += c, or = c act'(saved)
template <class T, class Rows_>
struct InputGradientWriter {
  using Rows = Rows_;
  Rows rows;
  T* out;
  const T* saved;
  ActivationKind kind;
  T alpha;
  bool accumulate, vector;

  __device__ __forceinline__ void put(int64_t offset, int n, int count, bool at_once, T (&v)[4]) const {
    T other[4];
    if (accumulate) {
      load_some(out + offset + n, count, at_once, other);
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] += other[i];
    } else if (saved != nullptr) {
      load_some(saved + offset + n, count, at_once, other);
      if (kind == ActivationKind::relu) {
#pragma unroll
        for (int i = 0; i < 4; ++i) v[i] = activation_gradient<ActivationKind::relu>(v[i], other[i], alpha);
      } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) v[i] = activation_gradient_any(kind, v[i], other[i], alpha);
      }
    }
    store_some(out + offset + n, count, at_once, v);
  }
};

// dw = or += c, db = or += the sums of B's columns
template <class T>
struct WeightGradientWriter {
  using Rows = EvenRows;
  Rows rows;
  T* out;
  T* column_sums;
  bool accumulate, vector;

  __device__ __forceinline__ void put(int64_t offset, int n, int count, bool at_once, T (&v)[4]) const {
    if (accumulate) {
      T other[4];
      load_some(out + offset + n, count, at_once, other);
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] += other[i];
    }
    store_some(out + offset + n, count, at_once, v);
  }
  __device__ __forceinline__ void put_column_sum(int n, T sum) const {
    column_sums[n] = accumulate ? column_sums[n] + sum : sum;
  }
};

}  // namespace nnx::cuda
