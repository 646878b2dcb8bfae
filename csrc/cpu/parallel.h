// How kernels share work: loops over chunks that are cut by shape, never by thread count.
#pragma once

#include "core/context.h"
#include "cpu/runtime/threads.h"
#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

template <class F>
void call_chunk(const void* body, int64_t i) {
  (*static_cast<const F*>(body))(i);
}

// body(i) for every i in [0, chunks), on this thread and whichever others are free; returns when all are
// done.
template <class F>
NNX_INLINE void for_each(Context& context, int64_t chunks, const F& body) {
  if (context.team == nullptr || chunks <= 1) {
    for (int64_t i = 0; i < chunks; ++i) body(i);
    return;
  }
  share_chunks(*context.team, chunks, &call_chunk<F>, &body);
}

// body(begin, end) over [0, n) in runs of `grain`. `grain` should hold at least some 10 us of work.
template <class F>
NNX_INLINE void for_ranges(Context& context, int64_t n, int64_t grain, const F& body) {
  for_each(context, ceil_div(n, grain), [&](int64_t chunk) {
    const int64_t begin = chunk * grain;
    body(begin, min_of(n, begin + grain));
  });
}

// Partial sums of one sum_ranges.
inline constexpr int64_t kPartials = 64;

// The sum of body(begin, end) over runs of [0, n), added up in order. The runs are at least `grain` long and
// at most kPartials in number.
template <class F>
NNX_INLINE double sum_ranges(Context& context, int64_t n, int64_t grain, const F& body) {
  const int64_t length = max_of(grain, ceil_div(n, kPartials));
  const int64_t chunks = ceil_div(n, length);
  if (chunks <= 1) return n > 0 ? body(int64_t{0}, n) : 0.0;
  double partials[kPartials];
  for_each(context, chunks, [&](int64_t chunk) {
    const int64_t begin = chunk * length;
    partials[chunk] = body(begin, min_of(n, begin + length));
  });
  double sum = 0.0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partials[chunk];
  return sum;
}

}  // namespace nnx::cpu::NNX_ISA
