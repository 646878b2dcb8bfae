// How kernels share work: loops over chunks that are cut by shape, never by thread count.
#pragma once

#include "core/context.h"
#include "cpu/runtime/threads.h"
#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

// body(i) for every i in [0, chunks), on whichever thread is free; returns on all threads when all are done.
template <class F>
NNX_INLINE void for_each(Context& context, int64_t chunks, const F& body) {
  if (context.size == 1) {
    for (int64_t i = 0; i < chunks; ++i) body(i);
    return;
  }
  int64_t chunk;
  while (team_next(context, chunks, &chunk)) body(chunk);
  team_barrier(context);
}

// body(begin, end) over [0, n) in runs of `grain`. `grain` should hold at least some 10 us of work.
template <class F>
NNX_INLINE void for_ranges(Context& context, int64_t n, int64_t grain, const F& body) {
  for_each(context, ceil_div(n, grain), [&](int64_t chunk) {
    const int64_t begin = chunk * grain;
    body(begin, min_of(n, begin + grain));
  });
}

// The sum of body(begin, end) over runs of [0, n), added up in order, on every thread. The runs are at least
// `grain` long and at most kPartials in number.
template <class F>
NNX_INLINE double sum_ranges(Context& context, int64_t n, int64_t grain, const F& body) {
  const int64_t length = max_of(grain, ceil_div(n, kPartials));
  const int64_t chunks = ceil_div(n, length);
  if (chunks <= 1) {
    // Every thread computes the same short sum: cheaper than telling each other.
    const double sum = n > 0 ? body(int64_t{0}, n) : 0.0;
    if (context.size > 1) team_barrier(context);
    return sum;
  }
  for_each(context, chunks, [&](int64_t chunk) {
    const int64_t begin = chunk * length;
    context.partials[chunk] = body(begin, min_of(n, begin + length));
  });
  double sum = 0.0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += context.partials[chunk];
  if (context.size > 1) team_barrier(context);  // partials may be written again only when all have read
  return sum;
}

// body() on one thread; the others wait.
template <class F>
NNX_INLINE void once(Context& context, const F& body) {
  if (context.rank == 0) body();
  if (context.size > 1) team_barrier(context);
}

}  // namespace nnx::cpu::NNX_ISA
