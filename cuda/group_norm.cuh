// Group normalisation (Wu and He 2018), and layer normalisation as its case of one pixel. A warp, or a block
// where groups are long, takes a group: three sweeps forward (mean, variance about it, y), two backward
// (sums, dx); all but the first find the group in the cache where it fits. The gradients of gamma and beta
// are one more sweep, down the columns.
#pragma once

#include "columns.cuh"
#include "kernels/norm.h"

namespace nnx::cuda {

// A mean in two parts: its rounding error may be large beside the deviation.
template <class T>
struct Centre {
  T high, low;
  __device__ explicit Centre(double mean)
      : high(static_cast<T>(mean)), low(static_cast<T>(mean - static_cast<double>(high))) {}
  __device__ T operator()(T x) const { return (x - high) - low; }
};

// One group of a sample: `pixels` runs of `size` channels.
struct NormGroup {
  int64_t size, first, at;  // channels; the first of them; offset of the first element

  __device__ NormGroup(const GroupNormShape& s, int64_t group) : size(split(s.channels, s.groups).quotient) {
    const Split sample = split(group, s.groups);
    first = sample.remainder * size;
    at = sample.quotient * s.pixels * s.channels + first;
  }
  // body(offset, channel) for this thread's share of the elements, W at a time
  template <int W, class G, class F>
  __device__ void each(const GroupNormShape& s, const G& threads, const F& body) const {
    const int64_t packs = size / W;
    for (int64_t i = threads.member(); i < s.pixels * packs; i += kThreads / G::kPerBlock) {
      const Split pixel = split(i, packs);
      const int64_t c = pixel.remainder * W;
      body(at + pixel.quotient * s.channels + c, first + c);
    }
  }
};

template <int W, class T>
__device__ __forceinline__ Pack<T, W> load_or(const T* p, int64_t c, T other) {
  if (p != nullptr) return load_pack<W>(p + c);
  Pack<T, W> values;
#pragma unroll
  for (int k = 0; k < W; ++k) values.at[k] = other;
  return values;
}

template <int W, int kSize, class T>
__global__ void __launch_bounds__(kThreads)
    group_norm_kernel(GroupNormShape s, const T* x, const T* gamma, const T* beta, double epsilon, T* y,
                      double* statistics) {
  begin_kernel();
  const Group<kSize> threads{shared_storage<GroupStorage>()};
  const double count = static_cast<double>(s.pixels * split(s.channels, s.groups).quotient);
  for (int64_t group = threads.first(); group < s.samples * s.groups; group += threads.groups()) {
    const NormGroup of(s, group);
    double sum = 0.0, squares = 0.0;
    of.each<W>(s, threads, [&](int64_t at, int64_t) {
      const Pack<T, W> values = load_pack<W>(x + at);
#pragma unroll
      for (int k = 0; k < W; ++k) sum += static_cast<double>(values.at[k]);
    });
    const double mean = threads.sum(sum) / count;
    const Centre<T> centred(mean);
    of.each<W>(s, threads, [&](int64_t at, int64_t) {
      const Pack<T, W> values = load_pack<W>(x + at);
#pragma unroll
      for (int k = 0; k < W; ++k) {
        const double offset = static_cast<double>(centred(values.at[k]));
        squares += offset * offset;
      }
    });
    const double inverse = 1.0 / sqrt(threads.sum(squares) / count + epsilon);
    const T scale = static_cast<T>(inverse);
    of.each<W>(s, threads, [&](int64_t at, int64_t c) {
      Pack<T, W> values = load_pack<W>(x + at);
      const Pack<T, W> weight = load_or<W>(gamma, c, T(1)), shift = load_or<W>(beta, c, T(0));
#pragma unroll
      for (int k = 0; k < W; ++k) {
        values.at[k] = centred(values.at[k]) * (weight.at[k] * scale) + shift.at[k];
      }
      store_pack(y + at, values);
    });
    if (statistics != nullptr && threads.member() == 0) {
      statistics[2 * group] = mean;
      statistics[2 * group + 1] = inverse;
    }
  }
}

template <int W, int kSize, class T>
__global__ void __launch_bounds__(kThreads)
    group_norm_backward_kernel(GroupNormShape s, const T* dy, const T* x, const T* gamma,
                               const double* statistics, Policy policy, T* dx) {
  begin_kernel();
  const Group<kSize> threads{shared_storage<GroupStorage>()};
  const double count = static_cast<double>(s.pixels * split(s.channels, s.groups).quotient);
  for (int64_t group = threads.first(); group < s.samples * s.groups; group += threads.groups()) {
    const NormGroup of(s, group);
    const Centre<T> centred(statistics[2 * group]);
    const double inverse = statistics[2 * group + 1];
    double slopes = 0.0, products = 0.0;
    of.each<W>(s, threads, [&](int64_t at, int64_t c) {
      const Pack<T, W> slope = load_pack<W>(dy + at), values = load_pack<W>(x + at);
      const Pack<T, W> weight = load_or<W>(gamma, c, T(1));
#pragma unroll
      for (int k = 0; k < W; ++k) {
        const double weighted = static_cast<double>(weight.at[k]) * static_cast<double>(slope.at[k]);
        slopes += weighted;
        products += weighted * static_cast<double>(centred(values.at[k]));
      }
    });
    const T scale = static_cast<T>(inverse), shift = static_cast<T>(-inverse * threads.sum(slopes) / count);
    const T by = static_cast<T>(-inverse * inverse * inverse * threads.sum(products) / count);
    of.each<W>(s, threads, [&](int64_t at, int64_t c) {
      Pack<T, W> slope = load_pack<W>(dy + at);
      const Pack<T, W> values = load_pack<W>(x + at), weight = load_or<W>(gamma, c, T(1));
#pragma unroll
      for (int k = 0; k < W; ++k) {
        slope.at[k] = slope.at[k] * (weight.at[k] * scale) + (centred(values.at[k]) * by + shift);
      }
      put_pack(dx + at, slope, policy);
    });
  }
}

// Sums of dy and of dy (x - mean) / deviation; W channels side by side may be of several groups.
template <class T>
struct NormSlopes {
  GroupNormShape s;
  const T *dy, *x;
  const double* statistics;
  template <int W>
  struct Given {
    int64_t group[W];
  };
  template <int W>
  __device__ Given<W> columns(int64_t col, int64_t) const {
    const int64_t size = split(s.channels, s.groups).quotient;
    Given<W> given;
#pragma unroll
    for (int k = 0; k < W; ++k) given.group[k] = split(col + k, size).quotient;
    return given;
  }
  template <int W>
  __device__ void add(int64_t at, const Given<W>& given, double (&parts)[2 * W]) const {
    const Pack<T, W> slopes = load_pack<W>(dy + at), values = load_pack<W>(x + at);
    const double* const of = statistics + split(at, s.pixels * s.channels).quotient * s.groups * 2;
#pragma unroll
    for (int k = 0; k < W; ++k) {
      const Centre<T> centred(of[2 * given.group[k]]);
      const double slope = static_cast<double>(slopes.at[k]), inverse = of[2 * given.group[k] + 1];
      parts[2 * k] += slope;
      parts[2 * k + 1] += slope * static_cast<double>(centred(values.at[k])) * inverse;
    }
  }
};

template <class T>
struct FinishNormSlopes {
  Policy policy_gamma, policy_beta;
  T *dgamma, *dbeta;
  __device__ void operator()(int64_t c, const double (&sums)[2]) const {
    if (dbeta != nullptr) put(dbeta + c, static_cast<T>(sums[0]), policy_beta);
    if (dgamma != nullptr) put(dgamma + c, static_cast<T>(sums[1]), policy_gamma);
  }
};

// run(W and the threads of a group as types, blocks)
template <class F>
void with_groups(const GroupNormShape& s, bool whole, const F& run) {
  const int64_t size = s.channels / s.groups;
  with_group(s.samples * s.groups, s.pixels * size, [&](auto threads, int64_t blocks) {
    if (whole && size % 4 == 0) {
      run(GroupSize<4>{}, threads, blocks_for(blocks, 1));
    } else {
      run(GroupSize<1>{}, threads, blocks_for(blocks, 1));
    }
  });
}

template <class T>
static void group_norm(Context& context, const GroupNormShape& s, const T* x, const T* gamma, const T* beta,
                       double epsilon, T* y, double* statistics) {
  with_groups(s, aligned(x, gamma, beta, y), [&](auto width, auto threads, unsigned blocks) {
    launch(context, "group_norm", group_norm_kernel<decltype(width)::value, decltype(threads)::value, T>,
           dim3(blocks), dim3(kThreads), sizeof(GroupStorage), s, x, gamma, beta, epsilon, y, statistics);
  });
}

static int64_t group_norm_workspace(const GroupNormShape&) { return 0; }

template <class T>
static void group_norm_backward(Context& context, const GroupNormShape& s, const T* dy, const T* x,
                                const T* gamma, const double* statistics, Policy policy_x, T* dx,
                                Policy policy_gamma, T* dgamma, Policy policy_beta, T* dbeta) {
  const char* name = "group_norm_backward";
  if (dgamma != nullptr || dbeta != nullptr) {
    column_sums<2>(context, name, s.samples * s.pixels, s.channels, aligned(dy, x),
                   NormSlopes<T>{s, dy, x, statistics},
                   FinishNormSlopes<T>{policy_gamma, policy_beta, dgamma, dbeta});
  }
  if (dx == nullptr) return;
  with_groups(s, aligned(dy, x, gamma, dx), [&](auto width, auto threads, unsigned blocks) {
    launch(context, name, group_norm_backward_kernel<decltype(width)::value, decltype(threads)::value, T>,
           dim3(blocks), dim3(kThreads), sizeof(GroupStorage), s, dy, x, gamma, statistics, policy_x, dx);
  });
}

}  // namespace nnx::cuda
