// Local response normalisation (Krizhevsky et al. 2012). Threads take W elements of a pixel, side by side;
// windows are cut at the ends of the pixel's channels.
#pragma once

#include "activate.cuh"
#include "kernels/norm.h"
#include "vector.cuh"

namespace nnx::cuda {

template <class T>
struct Response {
  int64_t channels, reach, elements;  // reach: channels on either side
  T alpha, beta, k, factor;
  const T* x;
};

template <class T>
static Response<T> response_of(const LocalResponseNormShape& shape, const T* x) {
  return {shape.channels,
          std::min(shape.size / 2, shape.channels),
          shape.pixels * shape.channels,
          static_cast<T>(shape.alpha),
          static_cast<T>(shape.beta),
          static_cast<T>(shape.k),
          static_cast<T>(-2.0 * shape.alpha * shape.beta),
          x};
}

// The sums of value(offset) over the windows of W elements from offset `at`, channel c, on.
template <int W, class T, class F>
__device__ __forceinline__ Pack<T, W> window_sums(const Response<T>& of, int64_t at, int64_t c,
                                                  const F& value) {
  Pack<T, W> sums{};
  for (int64_t i = max(-of.reach, -c); i < min(of.reach + W, of.channels - c); ++i) {
    const T v = value(at + i);
#pragma unroll
    for (int k = 0; k < W; ++k) {
      if (i - k <= of.reach && k - i <= of.reach) sums.at[k] += v;
    }
  }
  return sums;
}

// k + alpha * sum of squares: what is raised to the power -beta
template <int W, class T>
__device__ __forceinline__ Pack<T, W> bases(const Response<T>& of, int64_t at, int64_t c) {
  Pack<T, W> base = window_sums<W>(of, at, c, [&](int64_t i) { return of.x[i] * of.x[i]; });
#pragma unroll
  for (int k = 0; k < W; ++k) base.at[k] = base.at[k] * of.alpha + of.k;
  return base;
}

template <class T>
__device__ __forceinline__ T power(T base, T exponent) {
  return exponential(log(base) * exponent);
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads) response_kernel(Response<T> of, T* y) {
  begin_kernel();
  for (int64_t at = W * thread_of_grid(); at < of.elements; at += W * threads_of_grid()) {
    const Pack<T, W> base = bases<W>(of, at, split(at, of.channels).remainder);
    Pack<T, W> values = load_pack<W>(of.x + at);
#pragma unroll
    for (int k = 0; k < W; ++k) values.at[k] *= power(base.at[k], -of.beta);
    store_pack(y + at, values);
  }
}

// What the gradient is made of, for W elements: base^-beta, and dy x base^-beta / base.
template <class T, int W>
struct ResponseTerms {
  Pack<T, W> scale, term;
};

template <int W, class T>
__device__ __forceinline__ ResponseTerms<T, W> response_terms(const Response<T>& of, int64_t at,
                                                              const T* dy) {
  const Pack<T, W> base = bases<W>(of, at, split(at, of.channels).remainder);
  const Pack<T, W> slope = load_pack<W>(dy + at), x = load_pack<W>(of.x + at);
  ResponseTerms<T, W> terms;
#pragma unroll
  for (int k = 0; k < W; ++k) {
    terms.scale.at[k] = power(base.at[k], -of.beta);
    terms.term.at[k] = slope.at[k] * x.at[k] * terms.scale.at[k] / base.at[k];
  }
  return terms;
}

// dx = dy base^-beta - 2 alpha beta x (the window's sum of terms)
template <int W, class T, class Terms>
__device__ __forceinline__ void response_gradient(const Response<T>& of, int64_t at, const T* dy,
                                                  const Pack<T, W>& scale, const Terms& term, Policy policy,
                                                  T* dx) {
  const Pack<T, W> sums = window_sums<W>(of, at, split(at, of.channels).remainder, term);
  Pack<T, W> slope = load_pack<W>(dy + at);
  const Pack<T, W> x = load_pack<W>(of.x + at);
#pragma unroll
  for (int k = 0; k < W; ++k) slope.at[k] = slope.at[k] * scale.at[k] + x.at[k] * sums.at[k] * of.factor;
  put_pack(dx + at, slope, policy);
}

// Elements of a block, and how far it sees beyond them. What is made of them waits in shared memory.
inline constexpr int kResponseTile = 4 * kThreads, kResponseHalo = 256;
template <class T>
struct alignas(16) ResponseStorage {
  T scale[kResponseTile + 2 * kResponseHalo], term[kResponseTile + 2 * kResponseHalo];
};

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    response_backward_kernel(Response<T> of, int halo, const T* dy, Policy policy, T* dx) {
  begin_kernel();
  auto& storage = shared_storage<ResponseStorage<T>>();
  const int64_t tile = static_cast<int64_t>(blockIdx.x) * kResponseTile, first = tile - halo;
  for (int i = W * static_cast<int>(threadIdx.x); i < kResponseTile + 2 * halo; i += W * kThreads) {
    if (first + i < 0 || first + i >= of.elements) continue;
    const ResponseTerms<T, W> terms = response_terms<W>(of, first + i, dy);
    store_pack(storage.scale + i, terms.scale);
    store_pack(storage.term + i, terms.term);
  }
  sync_block();
  for (int i = W * static_cast<int>(threadIdx.x); i < kResponseTile; i += W * kThreads) {
    if (tile + i >= of.elements) continue;
    const auto term = [&](int64_t at) { return storage.term[at - first]; };
    response_gradient<W>(of, tile + i, dy, load_pack<W>(storage.scale + halo + i), term, policy, dx);
  }
}

// Windows wider than the halo: every term anew where it is needed.
template <class T>
__global__ void __launch_bounds__(kThreads)
    response_backward_wide_kernel(Response<T> of, const T* dy, Policy policy, T* dx) {
  begin_kernel();
  for (int64_t at = thread_of_grid(); at < of.elements; at += threads_of_grid()) {
    const auto term = [&](int64_t i) { return response_terms<1>(of, i, dy).term.at[0]; };
    response_gradient<1>(of, at, dy, response_terms<1>(of, at, dy).scale, term, policy, dx);
  }
}

template <class T>
static void local_response_norm(Context& context, const LocalResponseNormShape& shape, const T* x, T* y) {
  const Response<T> of = response_of(shape, x);
  const bool packs = shape.channels % 4 == 0 && aligned(x, y);
  launch(context, "local_response_norm", packs ? response_kernel<4, T> : response_kernel<1, T>,
         dim3(blocks_for(of.elements, packs ? 4 * kThreads : kThreads)), dim3(kThreads), 0, of, y);
}

template <class T>
static void local_response_norm_backward(Context& context, const LocalResponseNormShape& shape, const T* dy,
                                         const T* x, Policy policy, T* dx) {
  const char* name = "local_response_norm_backward";
  const Response<T> of = response_of(shape, x);
  if (of.reach > kResponseHalo) {
    launch(context, name, response_backward_wide_kernel<T>, dim3(blocks_for(of.elements, kThreads)),
           dim3(kThreads), 0, of, dy, policy, dx);
    return;
  }
  const bool packs = shape.channels % 4 == 0 && aligned(dy, x, dx);
  const int halo = static_cast<int>(ceil_div<int64_t>(of.reach, 4) * 4);
  launch(context, name, packs ? response_backward_kernel<4, T> : response_backward_kernel<1, T>,
         dim3(static_cast<unsigned>(ceil_div<int64_t>(of.elements, kResponseTile))), dim3(kThreads),
         sizeof(ResponseStorage<T>), of, halo, dy, policy, dx);
}

}  // namespace nnx::cuda
