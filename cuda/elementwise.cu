#include "columns.cuh"
#include "table.h"

namespace nnx::cuda {

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

template <class T>
static void add(Context& context, int64_t n, const T* a, const T* b, T* y) {
  map(context, "add", n, Sum{}, Policy::assign, y, a, b);
}

struct Product {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a * b;
  }
};

template <class T>
static void multiply(Context& context, int64_t n, const T* a, const T* b, Policy policy, T* y) {
  map(context, "multiply", n, Product{}, policy, y, a, b);
}

template <class T>
struct Times {
  T factor;
  __device__ T operator()(T x) const { return x * factor; }
};

template <class T>
static void scale(Context& context, int64_t n, double factor, const T* x, Policy policy, T* y) {
  map(context, "scale", n, Times<T>{static_cast<T>(factor)}, policy, y, x);
}

template <class T>
struct Constant {
  T value;
  __device__ T operator()() const { return value; }
};

template <class T>
static void fill_with(Context& context, int64_t n, double value, T* y) {
  map(context, "fill", n, Constant<T>{static_cast<T>(value)}, Policy::assign, y);
}

template <class T>
struct BiasAdd {
  const T *x, *b;
  T* y;
  template <int W>
  __device__ Pack<T, W> columns(int64_t col) const {
    return load_pack<W>(b + col);
  }
  template <int W>
  __device__ void element(int64_t at, const Pack<T, W>& bias) const {
    Pack<T, W> values = load_pack<W>(x + at);
#pragma unroll
    for (int k = 0; k < W; ++k) values.at[k] += bias.at[k];
    store_pack(y + at, values);
  }
};

template <class T>
static void bias_add(Context& context, int64_t rows, int64_t cols, const T* x, const T* b, T* y) {
  for_rows(context, "bias_add", rows, cols, aligned(x, b, y), BiasAdd<T>{x, b, y});
}

template <class T>
static void bias_gradient(Context& context, int64_t rows, int64_t cols, const T* dy, Policy policy, T* db) {
  sum_columns(context, "bias_gradient", rows, cols, dy, policy, db);
}

template <class T>
struct Standardize {
  const T *x, *mean, *deviation;  // mean null: 0
  Policy policy;
  T* y;
  template <int W>
  struct Given {
    Pack<T, W> mean, deviation;
  };
  template <int W>
  __device__ Given<W> columns(int64_t col) const {
    Given<W> given{};
    if (mean != nullptr) given.mean = load_pack<W>(mean + col);
    given.deviation = load_pack<W>(deviation + col);
    return given;
  }
  template <int W>
  __device__ void element(int64_t at, const Given<W>& given) const {
    Pack<T, W> values = load_pack<W>(x + at);
#pragma unroll
    for (int k = 0; k < W; ++k) values.at[k] = (values.at[k] - given.mean.at[k]) / given.deviation.at[k];
    put_pack(y + at, values, policy);
  }
};

template <class T>
static void normalize(Context& context, int64_t rows, int64_t channels, const T* x, const T* mean,
                      const T* deviation, T* y) {
  for_rows(context, "normalize", rows, channels, aligned(x, mean, deviation, y),
           Standardize<T>{x, mean, deviation, Policy::assign, y});
}

template <class T>
static void normalize_backward(Context& context, int64_t rows, int64_t channels, const T* dy,
                               const T* deviation, Policy policy, T* dx) {
  for_rows(context, "normalize_backward", rows, channels, aligned(dy, deviation, dx),
           Standardize<T>{dy, nullptr, deviation, policy, dx});
}

constexpr double kLeastLogArgument = 1e-12;

struct Log {
  template <class T>
  __device__ T operator()(T x) const {
    const T least = static_cast<T>(kLeastLogArgument);
    return log(x < least ? least : x);
  }
};

template <class T>
static void log_forward(Context& context, int64_t n, const T* x, T* y) {
  map(context, "log", n, Log{}, Policy::assign, y, x);
}

struct LogGradient {
  template <class T>
  __device__ T operator()(T dy, T x) const {
    return x < static_cast<T>(kLeastLogArgument) ? T(0) : dy / x;
  }
};

template <class T>
static void log_backward(Context& context, int64_t n, const T* dy, const T* x, Policy policy, T* dx) {
  map(context, "log_backward", n, LogGradient{}, policy, dx, dy, x);
}

// run(typed pointer) for the type that `from` has.
template <class F>
static void with_type(DType type, const void* from, const F& run) {
  switch (type) {
    case DType::float32:
      return run(static_cast<const float*>(from));
    case DType::float64:
      return run(static_cast<const double*>(from));
    case DType::int32:
      return run(static_cast<const int32_t*>(from));
    case DType::int64:
      return run(static_cast<const int64_t*>(from));
    case DType::uint8:
      return run(static_cast<const uint8_t*>(from));
  }
}

template <class To>
struct Convert {
  template <class From>
  __device__ To operator()(From x) const {
    return static_cast<To>(x);
  }
};

template <class T>
static void cast(Context& context, int64_t n, DType from_type, const void* from, T* to) {
  with_type(from_type, from,
            [&](const auto* source) { map(context, "cast", n, Convert<T>{}, Policy::assign, to, source); });
}

// to[r * to_stride + c] = or += To(from[source row * from_stride + c]), W elements to a thread. Source row:
// order[first + r], first + r without an order.
template <int W, class To, class From>
__global__ void __launch_bounds__(kThreads)
    copy_rows_kernel(StridedShape shape, const From* from, const int64_t* order, Live<int64_t> first,
                     Policy policy, To* to) {
  begin_kernel();
  const int64_t start = value_of(first), packs = shape.cols / W;
  for (int64_t i = thread_of_grid(); i < shape.rows * packs; i += threads_of_grid()) {
    const Split at = split(i, packs);
    const int64_t row = start + at.quotient, col = at.remainder * W;
    const Pack<From, W> source =
        load_pack<W>(from + (order != nullptr ? order[row] : row) * shape.from_stride + col);
    Pack<To, W> values;
#pragma unroll
    for (int k = 0; k < W; ++k) values.at[k] = static_cast<To>(source.at[k]);
    put_pack(to + at.quotient * shape.to_stride + col, values, policy);
  }
}

template <class To, class From>
static void copy_rows(Context& context, const char* name, const StridedShape& shape, const From* from,
                      const int64_t* order, Live<int64_t> first, Policy policy, To* to) {
  const bool packs =
      shape.cols % 4 == 0 && shape.from_stride % 4 == 0 && shape.to_stride % 4 == 0 && aligned(from, to);
  const int64_t threads = shape.rows * (packs ? shape.cols / 4 : shape.cols);
  launch(context, name, packs ? copy_rows_kernel<4, To, From> : copy_rows_kernel<1, To, From>,
         dim3(blocks_for(threads, kThreads)), dim3(kThreads), 0, shape, from, order, first, policy, to);
}

template <class T>
static void copy_strided(Context& context, const StridedShape& shape, const T* from, Policy policy, T* to) {
  copy_rows(context, "copy_strided", shape, from, nullptr, Live<int64_t>{}, policy, to);
}

template <class To>
static void gather(Context& context, int64_t rows, int64_t cols, DType from_type, const void* from,
                   const int64_t* order, Live<int64_t> first, To* to) {
  with_type(from_type, from, [&](const auto* source) {
    copy_rows(context, "gather", {rows, cols, cols, cols}, source, order, first, Policy::assign, to);
  });
}

// Of several labels that are no classes any may be told.
template <class From>
__global__ void __launch_bounds__(kThreads)
    gather_labels_kernel(int64_t rows, int64_t classes, const volatile From* from, const int64_t* order,
                         Live<int64_t> first, int32_t* to, LabelFault* fault) {
  begin_kernel();
  const int64_t start = value_of(first);
  for (int64_t r = thread_of_grid(); r < rows; r += threads_of_grid()) {
    const int64_t label = from[order != nullptr ? order[start + r] : start + r];
    const bool known = label >= 0 && label < classes;
    to[r] = known ? static_cast<int32_t>(label) : 0;
    if (known) continue;
    fault->label = label;
    fault->found = 1;
  }
}

static void gather_labels(Context& context, int64_t rows, int64_t classes, DType from_type, const void* from,
                          const int64_t* order, Live<int64_t> first, int32_t* to, LabelFault* fault) {
  const auto run = [&](const auto* labels) {
    using From = std::remove_cv_t<std::remove_pointer_t<decltype(labels)>>;
    launch(context, "gather_labels", gather_labels_kernel<From>, dim3(blocks_for(rows, kThreads)),
           dim3(kThreads), 0, rows, classes, labels, order, first, to, fault);
  };
  if (from_type == DType::int64) return run(static_cast<const int64_t*>(from));
  if (from_type == DType::uint8) return run(static_cast<const uint8_t*>(from));
  run(static_cast<const int32_t*>(from));
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
  table.gather = gather<T>;
  table.gather_labels = gather_labels;
}

template void fill(kernels::ElementwiseKernels<float>&);
template void fill(kernels::ElementwiseKernels<double>&);

}  // namespace nnx::cuda
