// Norms of gradients and updates, by layer.
#pragma once

#include "cpu/parallel.h"
#include "cpu/sgd.h"
#include "cpu/wide.h"

namespace nnx::cpu::NNX_ISA {

NNX_INLINE bool skips(Sampling sampling, const StepState* guard) {
  return *sampling.step % sampling.every != 0 || held_back(guard);
}

// body(part, begin, end, chunk) over pieces of all parts
template <class T, class F>
NNX_INLINE void for_pieces(Context& context, int64_t parts, const MeasuredPart<T>* part, const F& body) {
  for_each(context, parts * kMeasuredChunks, [&](int64_t i) {
    const MeasuredPart<T>& one = part[i / kMeasuredChunks];
    const int64_t length = ceil_div(ceil_div(one.count, kMeasuredChunks), int64_t{kLanes<T>}) * kLanes<T>;
    const int64_t begin = min_of(one.count, i % kMeasuredChunks * length);
    body(one, begin, min_of(one.count, begin + length), i);
  });
}

template <class T>
void keep(Context& context, Sampling sampling, const StepState* guard, int64_t parts,
          const MeasuredPart<T>* part) {
  if (skips(sampling, guard)) return;
  for_pieces(context, parts, part, [](const MeasuredPart<T>& one, int64_t begin, int64_t end, int64_t) {
    if (end > begin) {
      __builtin_memcpy(one.before + begin, one.p + begin, static_cast<size_t>(end - begin) * sizeof(T));
    }
  });
}

template <class T>
void measure(Context& context, Sampling sampling, const StepState* guard, int64_t layers, int64_t parts,
             const MeasuredPart<T>* part, double* sums, double* totals) {
  if (skips(sampling, guard)) return;
  for_pieces(context, parts, part, [&](const MeasuredPart<T>& one, int64_t begin, int64_t end, int64_t i) {
    Wide<T> gradient = wide_zero<T>(), update = gradient, weight = gradient;
    for_vectors<T>(begin, end, [&](int64_t at, int64_t lanes) {
      const Wide<T> g = widen<T>(load_some(one.g + at, lanes));
      const Wide<T> before = widen<T>(load_some(one.before + at, lanes));
      Wide<T> step = widen<T>(load_some(one.p + at, lanes));
      for (int k = 0; k < Wide<T>::kParts; ++k) step.part[k] -= before.part[k];
      add_product_to(gradient, g, g);
      add_product_to(update, step, step);
      add_product_to(weight, before, before);
    });
    sums[3 * i] = sum_of_wide(gradient);
    sums[3 * i + 1] = sum_of_wide(update);
    sums[3 * i + 2] = sum_of_wide(weight);
  });
  for (int64_t layer = 0; layer < layers; ++layer) {
    double squares[3] = {};
    for (int64_t i = 0; i < parts * kMeasuredChunks; ++i) {
      if (part[i / kMeasuredChunks].layer != layer) continue;
      for (int k = 0; k < 3; ++k) squares[k] += sums[3 * i + k];
    }
    double* const to = totals + 4 * layer;
    const double norm = __builtin_sqrt(squares[0]);
    to[0] += norm;
    to[1] = norm > to[1] ? norm : to[1];
    to[2] += squares[2] > 0.0 ? __builtin_sqrt(squares[1] / squares[2]) : 0.0;
    to[3] += 1.0;
  }
}

}  // namespace nnx::cpu::NNX_ISA
