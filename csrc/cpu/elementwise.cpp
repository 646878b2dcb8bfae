#include "cpu/columns.h"
#include "cpu/fill.h"
#include "cpu/gather.h"
#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/vmath.h"

namespace nnx::cpu::NNX_ISA {

// put(y + i, f(i, lanes)) over [0, n)
template <class T, class F>
NNX_INLINE void map(Context& context, int64_t n, Policy policy, T* y, const F& f) {
  for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) { put(y + i, f(i, lanes), lanes, policy); });
  });
}

template <class T>
static void add(Context& context, int64_t n, const T* a, const T* b, T* y) {
  map(context, n, Policy::assign, y,
      [&](int64_t i, int64_t lanes) { return load_some(a + i, lanes) + load_some(b + i, lanes); });
}

template <class T>
static void multiply(Context& context, int64_t n, const T* a, const T* b, Policy policy, T* y) {
  map(context, n, policy, y,
      [&](int64_t i, int64_t lanes) { return load_some(a + i, lanes) * load_some(b + i, lanes); });
}

template <class T>
static void scale(Context& context, int64_t n, double factor, const T* x, Policy policy, T* y) {
  const T by = static_cast<T>(factor);
  map(context, n, policy, y, [&](int64_t i, int64_t lanes) { return load_some(x + i, lanes) * by; });
}

template <class T>
static void fill_with(Context& context, int64_t n, double value, T* y) {
  const Vec<T> v = broadcast(static_cast<T>(value));
  map(context, n, Policy::assign, y, [&](int64_t, int64_t) { return v; });
}

template <class T>
static void bias_add(Context& context, int64_t rows, int64_t cols, const T* x, const T* b, T* y) {
  for_rows<T, 1>(context, rows, cols, {b}, [&](int64_t at, int64_t col, int64_t lanes, const T* const* v) {
    store_some(y + at, load_some(x + at, lanes) + load_some(v[0] + col, lanes), lanes);
  });
}

// Threads share out the columns: no partial sums to keep.
template <class T>
static void bias_gradient(Context& context, int64_t rows, int64_t cols, const T* dy, Policy policy, T* db) {
  const int64_t folds = folds_of<T>(rows, cols);
  for_ranges(context, cols, folds > 1 ? cols : kFoldedWidth, [&](int64_t begin, int64_t end) {
    double sums[kFoldedWidth], folded[kFoldedWidth];
    const int64_t width = end - begin;
    for (int64_t c = 0; c < width; ++c) sums[c] = 0.0;
    if (folds > 1) {
      add_folded<T, 1>(0, rows, cols, folds, folded, sums,
                       [&](int64_t at, int64_t, int64_t lanes, Wide<T>* wide) {
                         wide[0] = widen<T>(load_some(dy + at, lanes));
                       });
    } else {
      add_columns<T, 1>(0, rows, width, sums, [&](int64_t row, int64_t col, int64_t lanes, Wide<T>* wide) {
        wide[0] = widen<T>(load_some(dy + row * cols + begin + col, lanes));
      });
    }
    for (int64_t c = 0; c < width; ++c) put(db + begin + c, static_cast<T>(sums[c]), policy);
  });
}

template <class T>
static void copy_strided(Context& context, const StridedShape& shape, const T* from, Policy policy, T* to) {
  const int64_t grain = max_of(1, kGrain / max_of(shape.cols, 1));
  for_ranges(context, shape.rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* source = from + r * shape.from_stride;
      T* target = to + r * shape.to_stride;
      for_vectors<T>(0, shape.cols, [&](int64_t c, int64_t lanes) {
        put(target + c, load_some(source + c, lanes), lanes, policy);
      });
    }
  });
}

template <class T>
static void normalize(Context& context, int64_t rows, int64_t channels, const T* x, const T* mean,
                      const T* deviation, T* y) {
  for_rows<T, 2>(context, rows, channels, {mean, deviation},
                 [&](int64_t at, int64_t c, int64_t lanes, const T* const* v) {
                   const Vec<T> centred = load_some(x + at, lanes) - load_some(v[0] + c, lanes);
                   store_some(y + at, centred / load_some(v[1] + c, lanes), lanes);
                 });
}

template <class T>
static void normalize_backward(Context& context, int64_t rows, int64_t channels, const T* dy,
                               const T* deviation, Policy policy, T* dx) {
  for_rows<T, 1>(context, rows, channels, {deviation},
                 [&](int64_t at, int64_t c, int64_t lanes, const T* const* v) {
                   put(dx + at, load_some(dy + at, lanes) / load_some(v[0] + c, lanes), lanes, policy);
                 });
}

constexpr double kLeastLogArgument = 1e-12;

template <class T>
static void log_forward(Context& context, int64_t n, const T* x, T* y) {
  const Vec<T> least = broadcast(static_cast<T>(kLeastLogArgument));
  map(context, n, Policy::assign, y,
      [&](int64_t i, int64_t lanes) { return log<T>(maximum<T>(load_some(x + i, lanes), least)); });
}

template <class T>
static void log_backward(Context& context, int64_t n, const T* dy, const T* x, Policy policy, T* dx) {
  const Vec<T> least = broadcast(static_cast<T>(kLeastLogArgument));
  map(context, n, policy, dx, [&](int64_t i, int64_t lanes) {
    const Vec<T> v = load_some(x + i, lanes);
    return v < least ? Vec<T>{} : load_some(dy + i, lanes) / maximum<T>(v, least);
  });
}

template <class T>
void fill(kernels::ElementwiseKernels<T>& table) {
  table.add = add<T>;
  table.multiply = multiply<T>;
  table.scale = scale<T>;
  table.fill = fill_with<T>;
  table.bias_add = bias_add<T>;
  table.bias_gradient = bias_gradient<T>;
  table.copy_strided = copy_strided<T>;
  table.normalize = normalize<T>;
  table.normalize_backward = normalize_backward<T>;
  table.log_forward = log_forward<T>;
  table.log_backward = log_backward<T>;
  table.cast = cast<T>;
  table.gather = gather_rows<T>;
  table.gather_labels = gather_labels;
}

template void fill(kernels::ElementwiseKernels<float>&);
template void fill(kernels::ElementwiseKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
