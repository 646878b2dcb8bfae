// Group normalisation (Wu and He 2018); with one pixel to a sample its groups lie in a row, as in layer
// normalisation (Ba et al. 2016).
//
// Forward: three sweeps over a group, for its mean, its variance about that mean, and y. Backward: two, for
// the sums and for dx. Only the first goes to memory where a sample fits a core's cache.
#pragma once

#include "cpu/columns.h"
#include "cpu/put.h"
#include "kernels/norm.h"

namespace nnx::cpu::NNX_ISA {

// A mean in two parts: its rounding error may be large beside the deviation.
template <class T>
struct Centre {
  T high, low;
};

template <class T>
NNX_INLINE Centre<T> centre_of(double mean) {
  const T high = static_cast<T>(mean);
  return {high, static_cast<T>(mean - static_cast<double>(high))};
}

NNX_INLINE double inverse_of(double squares, int64_t count, double epsilon) {
  return 1.0 / __builtin_sqrt(squares / static_cast<double>(count) + epsilon);
}

// Lanes of an optional vector.
template <class T>
NNX_INLINE Vec<T> load_or(const T* p, int64_t c, int64_t lanes, T other) {
  return p != nullptr ? load_some(p + c, lanes) : broadcast(other);
}

// Whole groups, side by side, of one sample: the channels [first, first + width).
struct GroupBlock {
  int64_t first, width, size;  // size: channels of a group
};

NNX_INLINE int64_t groups_of_block(const GroupNormShape& s) {
  return min_of(s.groups, max_of(1, 256 / max_of(s.channels / s.groups, 1)));
}

NNX_INLINE GroupBlock group_block(const GroupNormShape& s, int64_t block) {
  const int64_t size = s.channels / s.groups, width = groups_of_block(s) * size;
  return {block * width, min_of(width, s.channels - block * width), size};
}

// What a block's channels are combined with, in a thread's scratch memory; the ops limit how many there may
// be.
template <class T>
struct GroupVectors {
  double *sum0, *sum1;
  T *high, *low, *scale, *shift, *slope;

  explicit GroupVectors(int64_t width) {
    sum0 = static_cast<double*>(thread_scratch());
    sum1 = sum0 + width;
    high = reinterpret_cast<T*>(sum1 + width);
    low = high + width, scale = low + width, shift = scale + width, slope = shift + width;
    for (int64_t c = 0; c < 2 * width; ++c) sum0[c] = 0.0;
  }
  Vec<T> centred(Vec<T> x, int64_t c, int64_t lanes) const {
    return (x - load_some(high + c, lanes)) - load_some(low + c, lanes);
  }
};

// body(first channel of a group within the block, its number within the sample)
template <class F>
NNX_INLINE void for_groups(const GroupBlock& block, const F& body) {
  for (int64_t c = 0; c < block.width; c += block.size) body(c, (block.first + c) / block.size);
}

template <class T>
NNX_INLINE void norm_block(const GroupNormShape& s, const GroupBlock& block, const T* x, const T* gamma,
                           const T* beta, double epsilon, T* y, double* statistics) {
  GroupVectors<T> v(block.width);
  const int64_t count = s.pixels * block.size;
  add_columns<T, 1>(0, s.pixels, block.width, v.sum0,
                    [&](int64_t p, int64_t c, int64_t lanes, Wide<T>* wide) {
                      wide[0] = widen<T>(load_some(x + p * s.channels + c, lanes));
                    });
  for_groups(block, [&](int64_t first, int64_t group) {
    double sum = 0.0;
    for (int64_t c = first; c < first + block.size; ++c) sum += v.sum0[c];
    const double mean = sum / static_cast<double>(count);
    const Centre<T> centre = centre_of<T>(mean);
    for (int64_t c = first; c < first + block.size; ++c) v.high[c] = centre.high, v.low[c] = centre.low;
    if (statistics != nullptr) statistics[2 * group] = mean;
  });
  add_columns<T, 1>(0, s.pixels, block.width, v.sum1,
                    [&](int64_t p, int64_t c, int64_t lanes, Wide<T>* wide) {
                      wide[0] = widen<T>(v.centred(load_some(x + p * s.channels + c, lanes), c, lanes));
                      for (auto& part : wide[0].part) part *= part;
                    });
  for_groups(block, [&](int64_t first, int64_t group) {
    double squares = 0.0;
    for (int64_t c = first; c < first + block.size; ++c) squares += v.sum1[c];
    const double inverse = inverse_of(squares, count, epsilon);
    for (int64_t c = first; c < first + block.size; ++c) {
      v.scale[c] = static_cast<T>(inverse * (gamma != nullptr ? gamma[block.first + c] : T(1)));
      v.shift[c] = beta != nullptr ? beta[block.first + c] : T(0);
    }
    if (statistics != nullptr) statistics[2 * group + 1] = inverse;
  });
  for (int64_t p = 0; p < s.pixels; ++p) {
    for_vectors<T>(0, block.width, [&](int64_t c, int64_t lanes) {
      const Vec<T> centred = v.centred(load_some(x + p * s.channels + c, lanes), c, lanes);
      store_some(y + p * s.channels + c,
                 centred * load_some(v.scale + c, lanes) + load_some(v.shift + c, lanes), lanes);
    });
  }
}

// The group of one pixel: `size` elements in a row.
template <class T>
NNX_INLINE void norm_row(int64_t size, const T* x, const T* gamma, const T* beta, double epsilon, T* y,
                         double* statistics) {
  Wide<T> sum = wide_zero<T>(), squares = wide_zero<T>();
  for_vectors<T>(0, size, [&](int64_t c, int64_t lanes) { add_to(sum, widen<T>(load_some(x + c, lanes))); });
  const double mean = sum_of_wide(sum) / static_cast<double>(size);
  const Centre<T> centre = centre_of<T>(mean);
  for_vectors<T>(0, size, [&](int64_t c, int64_t lanes) {
    const Vec<T> all = (load_some(x + c, lanes) - centre.high) - centre.low;
    const Wide<T> wide = widen<T>(lanes == kLanes<T> ? all : select<T>(first_lanes<T>(lanes), all, Vec<T>{}));
    add_product_to(squares, wide, wide);
  });
  const double inverse = inverse_of(sum_of_wide(squares), size, epsilon);
  const T by = static_cast<T>(inverse);
  for_vectors<T>(0, size, [&](int64_t c, int64_t lanes) {
    const Vec<T> centred = (load_some(x + c, lanes) - centre.high) - centre.low;
    store_some(y + c, centred * (load_or(gamma, c, lanes, T(1)) * by) + load_or(beta, c, lanes, T(0)), lanes);
  });
  if (statistics != nullptr) statistics[0] = mean, statistics[1] = inverse;
}

template <class T>
static void group_norm(Context& context, const GroupNormShape& s, const T* x, const T* gamma, const T* beta,
                       double epsilon, T* y, double* statistics) {
  const int64_t size = s.channels / s.groups;
  const auto statistics_at = [&](int64_t group) {
    return statistics != nullptr ? statistics + 2 * group : nullptr;
  };
  if (s.pixels == 1) {
    for_ranges(context, s.samples * s.groups, max_of(1, 4096 / size), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row % s.groups * size;
        norm_row(size, x + row * size, gamma != nullptr ? gamma + first : nullptr,
                 beta != nullptr ? beta + first : nullptr, epsilon, y + row * size, statistics_at(row));
      }
    });
    return;
  }
  const int64_t blocks = ceil_div(s.groups, groups_of_block(s));
  for_each(context, s.samples * blocks, [&](int64_t item) {
    const int64_t sample = item / blocks, at = sample * s.pixels * s.channels;
    const GroupBlock block = group_block(s, item % blocks);
    norm_block(s, block, x + at + block.first, gamma, beta, epsilon, y + at + block.first,
               statistics_at(sample * s.groups));
  });
}

}  // namespace nnx::cpu::NNX_ISA
