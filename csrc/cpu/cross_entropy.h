// Softmax cross-entropy of one row: value and gradient while the row is in the cache.
#pragma once

#include "cpu/simd_reduce.h"
#include "cpu/vmath.h"
#include "cpu/wide.h"

namespace nnx::cpu::NNX_ISA {

// One row: the unweighted loss; its gradient times `scale` where `gradient` is not null.
// With d = z - max and Q = sum q: loss = Q log(sum exp(d)) - sum q d, gradient = Q exp(d) / sum exp(d) - q.
template <class T>
NNX_INLINE double cross_entropy_row(int64_t classes, const T* z, int64_t label, const T* one_hot,
                                    double smoothing, double scale, T* gradient) {
  const Vec<T> lowest = broadcast(T(-__builtin_inf()));
  Vec<T> top = lowest;
  for_vectors<T>(0, classes, [&](int64_t i, int64_t lanes) {
    const Vec<T> v = load_some(z + i, lanes);
    top = maximum<T>(lanes == kLanes<T> ? v : select<T>(first_lanes<T>(lanes), v, lowest), top);
  });
  const T max = max_of<T>(top);
  const double spread = smoothing / static_cast<double>(classes), sharp = 1.0 - smoothing;
  const double label_z = one_hot == nullptr ? static_cast<double>(z[label]) : 0.0;  // gradient may be z

  Wide<T> exps = wide_zero<T>(), targets = exps, products = exps, differences = exps;
  for_vectors<T>(0, classes, [&](int64_t i, int64_t lanes) {
    const Vec<T> v = load_some(z + i, lanes);
    Vec<T> e = exp_below<T>(v, broadcast(max));
    // Differences in double: in float they may exceed the largest number.
    Wide<T> d = widen<T>(v);
    if (one_hot != nullptr || smoothing != 0.0) {
      for (auto& part : d.part) part -= static_cast<double>(max);
    }
    if (one_hot != nullptr) {
      const Wide<T> t = widen<T>(load_some(one_hot + i, lanes));
      add_to(targets, t);
      for (int k = 0; k < Wide<T>::kParts; ++k) {
        products.part[k] += t.part[k] != 0 ? t.part[k] * d.part[k] : Vec<double>{};
      }
    }
    if (gradient != nullptr) store_some(gradient + i, e, lanes);
    if (lanes < kLanes<T>) {
      e = select<T>(first_lanes<T>(lanes), e, Vec<T>{});
      for (int k = 0; k < Wide<T>::kParts; ++k) {
        const int64_t here = max_of(0, min_of(lanes - k * kLanes<double>, kLanes<double>));
        d.part[k] = first_lanes<double>(here) ? d.part[k] : Vec<double>{};
      }
    }
    add_to(exps, widen<T>(e));
    if (smoothing != 0.0) add_to(differences, d);
  });

  const double sum = sum_of_wide(exps);
  const double target_sum = one_hot != nullptr ? sum_of_wide(targets) : 1.0;
  const double target_product =
      one_hot != nullptr ? sum_of_wide(products) : label_z - static_cast<double>(max);
  const double all = sharp * target_sum + smoothing;
  double loss = all * __builtin_log(sum) - sharp * target_product;
  if (smoothing != 0.0) loss -= spread * sum_of_wide(differences);
  if (gradient == nullptr) return loss;

  const double factor = scale * all / sum;
  const double label_slope =
      one_hot == nullptr ? factor * static_cast<double>(gradient[label]) - scale * (sharp + spread) : 0.0;
  const Vec<T> times = broadcast(static_cast<T>(factor)), base = broadcast(static_cast<T>(scale * spread));
  const Vec<T> target_times = broadcast(static_cast<T>(scale * sharp));
  for_vectors<T>(0, classes, [&](int64_t i, int64_t lanes) {
    Vec<T> q = base;
    if (one_hot != nullptr) q += load_some(one_hot + i, lanes) * target_times;
    store_some(gradient + i, load_some(gradient + i, lanes) * times - q, lanes);
  });
  if (one_hot == nullptr) gradient[label] = static_cast<T>(label_slope);
  return loss;
}

}  // namespace nnx::cpu::NNX_ISA
