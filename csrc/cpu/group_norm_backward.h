// The gradients of group_norm.h. With c = x - mean and m elements in a group:
// dx = gamma dy / deviation - (sum of gamma dy + c / variance * sum of gamma dy c) / (m deviation)
#pragma once

#include "cpu/group_norm.h"

namespace nnx::cpu::NNX_ISA {

// Samples are shared out in chunks, by the shape alone, each with its part of dbeta and dgamma: at least 16
// pixels and 16384 elements, that the parts are few beside what they sum.
constexpr int64_t kMostSampleChunks = 64;

static int64_t least_chunk(const GroupNormShape& s) {
  return max_of(ceil_div(16, s.pixels), 16384 / max_of(s.pixels * s.channels, 1));
}

static int64_t samples_of_chunk(const GroupNormShape& s) {
  return max_of(least_chunk(s), ceil_div(s.samples, kMostSampleChunks));
}

static int64_t group_norm_workspace(const GroupNormShape& s) {
  const int64_t chunks = min_of(kMostSampleChunks, ceil_div(s.samples, least_chunk(s)));
  return chunks * 2 * s.channels * static_cast<int64_t>(sizeof(double));
}

// beta_sums, gamma_sums (channels) += a sample's part of dbeta and dgamma.
template <class T>
NNX_INLINE void norm_block_backward(const GroupNormShape& s, const GroupBlock& block, const T* dy, const T* x,
                                    const T* gamma, const double* statistics, Policy policy, T* dx,
                                    double* beta_sums, double* gamma_sums) {
  GroupVectors<T> v(block.width);
  const double count = static_cast<double>(s.pixels * block.size);
  for_groups(block, [&](int64_t first, int64_t group) {
    const Centre<T> centre = centre_of<T>(statistics[2 * group]);
    for (int64_t c = first; c < first + block.size; ++c) v.high[c] = centre.high, v.low[c] = centre.low;
  });
  add_columns<T, 2>(0, s.pixels, block.width, v.sum0,
                    [&](int64_t p, int64_t c, int64_t lanes, Wide<T>* wide) {
                      const int64_t at = p * s.channels + c;
                      wide[0] = widen<T>(load_some(dy + at, lanes));
                      wide[1] = widen<T>(v.centred(load_some(x + at, lanes), c, lanes));
                      for (int i = 0; i < Wide<T>::kParts; ++i) wide[1].part[i] *= wide[0].part[i];
                    });
  for_groups(block, [&](int64_t first, int64_t group) {
    const double inverse = statistics[2 * group + 1];
    double slopes = 0.0, products = 0.0;
    for (int64_t c = first; c < first + block.size; ++c) {
      const double weight = gamma != nullptr ? static_cast<double>(gamma[block.first + c]) : 1.0;
      slopes += weight * v.sum0[c];
      products += weight * v.sum1[c];
      beta_sums[block.first + c] += v.sum0[c];
      gamma_sums[block.first + c] += v.sum1[c] * inverse;
      v.scale[c] = static_cast<T>(weight * inverse);
    }
    const T shift = static_cast<T>(-inverse * slopes / count);
    const T slope = static_cast<T>(-inverse * inverse * inverse * products / count);
    for (int64_t c = first; c < first + block.size; ++c) v.shift[c] = shift, v.slope[c] = slope;
  });
  if (dx == nullptr) return;
  for (int64_t p = 0; p < s.pixels; ++p) {
    for_vectors<T>(0, block.width, [&](int64_t c, int64_t lanes) {
      const int64_t at = p * s.channels + c;
      const Vec<T> centred = v.centred(load_some(x + at, lanes), c, lanes);
      const Vec<T> shared = centred * load_some(v.slope + c, lanes) + load_some(v.shift + c, lanes);
      put(dx + at, load_some(dy + at, lanes) * load_some(v.scale + c, lanes) + shared, lanes, policy);
    });
  }
}

template <class T>
NNX_INLINE void norm_row_backward(int64_t size, const T* dy, const T* x, const T* gamma,
                                  const double* statistics, Policy policy, T* dx, double* beta_sums,
                                  double* gamma_sums) {
  const Centre<T> centre = centre_of<T>(statistics[0]);
  const double inverse = statistics[1], count = static_cast<double>(size);
  Wide<T> slopes = wide_zero<T>(), products = wide_zero<T>();
  for_vectors<T>(0, size, [&](int64_t c, int64_t lanes) {
    const Wide<T> weight = widen<T>(load_or(gamma, c, lanes, T(1))),
                  slope = widen<T>(load_some(dy + c, lanes));
    Wide<T> product = widen<T>((load_some(x + c, lanes) - centre.high) - centre.low);
    for (int i = 0; i < Wide<T>::kParts; ++i) product.part[i] *= slope.part[i];
    add_product_to(slopes, weight, slope);
    add_product_to(products, weight, product);
    for (int i = 0; i < Wide<T>::kParts; ++i) product.part[i] *= inverse;
    add_to_memory<T>(beta_sums + c, slope, lanes);
    add_to_memory<T>(gamma_sums + c, product, lanes);
  });
  if (dx == nullptr) return;
  const T by = static_cast<T>(inverse), shift = static_cast<T>(-inverse * sum_of_wide(slopes) / count);
  const T slope = static_cast<T>(-inverse * inverse * inverse * sum_of_wide(products) / count);
  for_vectors<T>(0, size, [&](int64_t c, int64_t lanes) {
    const Vec<T> centred = (load_some(x + c, lanes) - centre.high) - centre.low;
    const Vec<T> own = load_some(dy + c, lanes) * (load_or(gamma, c, lanes, T(1)) * by);
    put(dx + c, own + (centred * slope + shift), lanes, policy);
  });
}

template <class T>
static void group_norm_backward(Context& context, const GroupNormShape& s, const T* dy, const T* x,
                                const T* gamma, const double* statistics, Policy policy_x, T* dx,
                                Policy policy_gamma, T* dgamma, Policy policy_beta, T* dbeta) {
  double* const partials = static_cast<double*>(context.workspace);
  const int64_t channels = s.channels, size = channels / s.groups, length = samples_of_chunk(s);
  const int64_t chunks = ceil_div(s.samples, length), blocks = ceil_div(s.groups, groups_of_block(s));
  for_each(context, chunks, [&](int64_t chunk) {
    double *const beta_sums = partials + chunk * 2 * channels, *const gamma_sums = beta_sums + channels;
    for (int64_t c = 0; c < 2 * channels; ++c) beta_sums[c] = 0.0;
    for (int64_t sample = chunk * length; sample < min_of((chunk + 1) * length, s.samples); ++sample) {
      const double* const given = statistics + sample * s.groups * 2;
      const int64_t at = sample * s.pixels * channels;
      const auto to = [&](int64_t first) { return dx != nullptr ? dx + at + first : nullptr; };
      if (s.pixels == 1) {
        for (int64_t group = 0, c = 0; group < s.groups; ++group, c += size) {
          norm_row_backward(size, dy + at + c, x + at + c, gamma != nullptr ? gamma + c : nullptr,
                            given + 2 * group, policy_x, to(c), beta_sums + c, gamma_sums + c);
        }
        continue;
      }
      for (int64_t b = 0; b < blocks; ++b) {
        const GroupBlock block = group_block(s, b);
        norm_block_backward(s, block, dy + at + block.first, x + at + block.first, gamma, given, policy_x,
                            to(block.first), beta_sums, gamma_sums);
      }
    }
  });
  for_ranges(context, channels, 256, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      double beta_sum = 0.0, gamma_sum = 0.0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        beta_sum += partials[chunk * 2 * channels + c];
        gamma_sum += partials[(chunk * 2 + 1) * channels + c];
      }
      if (dbeta != nullptr) put(dbeta + c, static_cast<T>(beta_sum), policy_beta);
      if (dgamma != nullptr) put(dgamma + c, static_cast<T>(gamma_sum), policy_gamma);
    }
  });
}

}  // namespace nnx::cpu::NNX_ISA
