// Elements four at a time, by accesses of up to 16 bytes where the addresses allow them.
#pragma once

#include "launch.h"

namespace nnx::cuda {

inline constexpr int kThreads = 256;  // of a block, in every kernel of this folder that does no products
inline constexpr int kWarps = kThreads / 32;

__device__ __forceinline__ int64_t thread_of_grid() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}
__device__ __forceinline__ int64_t threads_of_grid() { return static_cast<int64_t>(gridDim.x) * kThreads; }

template <class T, int W>
struct alignas(W * sizeof(T) < 16 ? W * sizeof(T) : 16) Pack {
  T at[W];
};

template <int W, class T>
__device__ __forceinline__ Pack<T, W> load_pack(const T* p) {
  return *reinterpret_cast<const Pack<T, W>*>(p);
}

template <class T, int W>
__device__ __forceinline__ void store_pack(T* p, const Pack<T, W>& values) {
  *reinterpret_cast<Pack<T, W>*>(p) = values;
}

// p = or += values
template <class T, int W>
__device__ __forceinline__ void put_pack(T* p, Pack<T, W> values, Policy policy) {
  if (policy == Policy::accumulate) {
    const Pack<T, W> before = load_pack<W>(p);
#pragma unroll
    for (int k = 0; k < W; ++k) values.at[k] = before.at[k] + values.at[k];
  }
  store_pack(p, values);
}

// The first `count` of four elements, which may be more than there are; zeros behind them. `whole`: packs can
// be loaded.
template <class T>
__device__ __forceinline__ Pack<T, 4> load_four(const T* p, int64_t count, bool whole) {
  if (whole && count >= 4) return load_pack<4>(p);
  Pack<T, 4> values;
#pragma unroll
  for (int k = 0; k < 4; ++k) values.at[k] = k < count ? p[k] : T(0);
  return values;
}

template <class T>
__device__ __forceinline__ void put_four(T* p, const Pack<T, 4>& values, int64_t count, bool whole,
                                         Policy policy = Policy::assign) {
  if (whole && count >= 4) return put_pack(p, values, policy);
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (k < count) put(p + k, values.at[k], policy);
  }
}

template <class F, class T, class... In>
__device__ __forceinline__ void map_four(const F& f, T* y, int64_t count, bool whole, Policy policy,
                                         const Pack<In, 4>&... x) {
  Pack<T, 4> values;
#pragma unroll
  for (int k = 0; k < 4; ++k) values.at[k] = f(x.at[k]...);
  put_four(y, values, count, whole, policy);
}

template <class F, class T, class... In>
__global__ void __launch_bounds__(kThreads)
    map_kernel(int64_t n, bool whole, F f, Policy policy, T* y, const In*... x) {
  begin_kernel();
  for (int64_t i = 4 * thread_of_grid(); i < n; i += 4 * threads_of_grid()) {
    map_four<F, T, In...>(f, y + i, n - i, whole, policy, load_four(x + i, n - i, whole)...);
  }
}

// y (n) = or += f(x...), each x (n); y may be any of them
template <class F, class T, class... In>
void map(Context& context, const char* name, int64_t n, const F& f, Policy policy, T* y, const In*... x) {
  launch(context, name, map_kernel<F, T, In...>, dim3(blocks_for(n, 4 * kThreads)), dim3(kThreads), 0, n,
         aligned(y, x...), f, policy, y, x...);
}

// i / d and i % d, in 32 bits where they do: 64-bit division takes some hundred instructions.
struct Split {
  int64_t quotient, remainder;
};
__device__ __forceinline__ Split split(int64_t i, int64_t d) {
  if (((i | d) >> 32) == 0) {
    const uint32_t quotient = static_cast<uint32_t>(i) / static_cast<uint32_t>(d);
    return {quotient, static_cast<uint32_t>(i) - quotient * static_cast<uint32_t>(d)};
  }
  return {i / d, i % d};
}

__device__ __forceinline__ bool is_finite(double x) { return x - x == 0.0; }

}  // namespace nnx::cuda
