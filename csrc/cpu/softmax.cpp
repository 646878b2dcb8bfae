#include "cpu/fill.h"
#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/simd_reduce.h"
#include "cpu/vmath.h"
#include "cpu/wide.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 8192;  // elements

// One row (classes), contiguous.
template <class T, bool kLog>
NNX_INLINE void forward_row(int64_t classes, const T* x, T* y) {
  const Vec<T> lowest = broadcast(T(-__builtin_inf()));
  Vec<T> top = lowest;
  for_vectors<T>(0, classes, [&](int64_t i, int64_t lanes) {
    const Vec<T> v = load_some(x + i, lanes);
    top = maximum<T>(lanes == kLanes<T> ? v : select<T>(first_lanes<T>(lanes), v, lowest), top);
  });
  const Vec<T> max = broadcast(max_of<T>(top));
  Wide<T> sums = wide_zero<T>();
  for_vectors<T>(0, classes, [&](int64_t i, int64_t lanes) {
    Vec<T> e = exp_below<T>(load_some(x + i, lanes), max);
    if (!kLog) store_some(y + i, e, lanes);
    if (lanes < kLanes<T>) e = select<T>(first_lanes<T>(lanes), e, Vec<T>{});
    add_to(sums, widen<T>(e));
  });
  const double sum = sum_of_wide(sums);
  const Vec<T> last = broadcast(static_cast<T>(kLog ? __builtin_log(sum) : 1.0 / sum));
  for_vectors<T>(0, classes, [&](int64_t i, int64_t lanes) {
    store_some(y + i, kLog ? (load_some(x + i, lanes) - max) - last : load_some(y + i, lanes) * last, lanes);
  });
}

// `lanes` columns of (classes, inner), side by side.
template <class T, bool kLog>
NNX_INLINE void forward_columns(int64_t classes, int64_t inner, int64_t lanes, const T* x, T* y) {
  Vec<T> max = load_some(x, lanes);
  for (int64_t c = 1; c < classes; ++c) max = maximum<T>(load_some(x + c * inner, lanes), max);
  Wide<T> sums = wide_zero<T>();
  for (int64_t c = 0; c < classes; ++c) {
    const Vec<T> e = exp_below<T>(load_some(x + c * inner, lanes), max);
    if (!kLog) store_some(y + c * inner, e, lanes);
    add_to(sums, widen<T>(e));
  }
  for (auto& part : sums.part) part = kLog ? log<double>(part) : 1.0 / part;
  const Vec<T> last = narrow<T>(sums);
  for (int64_t c = 0; c < classes; ++c) {
    const int64_t i = c * inner;
    store_some(y + i, kLog ? (load_some(x + i, lanes) - max) - last : load_some(y + i, lanes) * last, lanes);
  }
}

// The gradient of one element from dy, y and the row's sum (of dy y, or of dy).
template <class T, bool kLog>
NNX_INLINE Vec<T> gradient(Vec<T> dy, Vec<T> y, Vec<T> sum) {
  return kLog ? dy - exp<T>(y) * sum : y * (dy - sum);
}

template <class T, bool kLog>
NNX_INLINE void add_term(Wide<T>& sums, Vec<T> dy, Vec<T> y) {
  if (kLog) {
    add_to(sums, widen<T>(dy));
  } else {
    add_product_to(sums, widen<T>(dy), widen<T>(y));
  }
}

template <class T, bool kLog>
NNX_INLINE void backward_row(int64_t classes, const T* dy, const T* y, Policy policy, T* dx) {
  Wide<T> sums = wide_zero<T>();
  for_vectors<T>(0, classes, [&](int64_t i, int64_t lanes) {
    add_term<T, kLog>(sums, load_some(dy + i, lanes), load_some(y + i, lanes));
  });
  const Vec<T> sum = broadcast(static_cast<T>(sum_of_wide(sums)));
  for_vectors<T>(0, classes, [&](int64_t i, int64_t lanes) {
    put(dx + i, gradient<T, kLog>(load_some(dy + i, lanes), load_some(y + i, lanes), sum), lanes, policy);
  });
}

template <class T, bool kLog>
NNX_INLINE void backward_columns(int64_t classes, int64_t inner, int64_t lanes, const T* dy, const T* y,
                                 Policy policy, T* dx) {
  Wide<T> sums = wide_zero<T>();
  for (int64_t c = 0; c < classes; ++c) {
    add_term<T, kLog>(sums, load_some(dy + c * inner, lanes), load_some(y + c * inner, lanes));
  }
  const Vec<T> sum = narrow<T>(sums);
  for (int64_t c = 0; c < classes; ++c) {
    const int64_t i = c * inner;
    put(dx + i, gradient<T, kLog>(load_some(dy + i, lanes), load_some(y + i, lanes), sum), lanes, policy);
  }
}

// row(offset) for every row of a contiguous last axis, or columns(offset, lanes) for every vector of columns.
template <class T, class Row, class Columns>
NNX_INLINE void for_softmaxes(Context& context, const SoftmaxShape& shape, const Row& row,
                              const Columns& columns) {
  const int64_t grain = max_of(1, kGrain / max_of(shape.classes * shape.inner, 1));
  for_ranges(context, shape.outer, grain, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const int64_t at = o * shape.classes * shape.inner;
      if (shape.inner == 1) {
        row(at);
      } else {
        for_vectors<T>(0, shape.inner, [&](int64_t i, int64_t lanes) { columns(at + i, lanes); });
      }
    }
  });
}

template <class T, bool kLog>
static void forward(Context& context, const SoftmaxShape& shape, const T* x, T* y) {
  if (shape.classes == 0) return;
  for_softmaxes<T>(
      context, shape, [&](int64_t at) { forward_row<T, kLog>(shape.classes, x + at, y + at); },
      [&](int64_t at, int64_t lanes) {
        forward_columns<T, kLog>(shape.classes, shape.inner, lanes, x + at, y + at);
      });
}

template <class T, bool kLog>
static void backward(Context& context, const SoftmaxShape& shape, const T* dy, const T* y, Policy policy,
                     T* dx) {
  for_softmaxes<T>(
      context, shape,
      [&](int64_t at) { backward_row<T, kLog>(shape.classes, dy + at, y + at, policy, dx + at); },
      [&](int64_t at, int64_t lanes) {
        backward_columns<T, kLog>(shape.classes, shape.inner, lanes, dy + at, y + at, policy, dx + at);
      });
}

template <class T>
void fill(kernels::SoftmaxKernels<T>& table) {
  table.forward = forward<T, false>;
  table.log_forward = forward<T, true>;
  table.backward = backward<T, false>;
  table.log_backward = backward<T, true>;
}

template void fill(kernels::SoftmaxKernels<float>&);
template void fill(kernels::SoftmaxKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
