#include "activate.cuh"
#include "reduce.cuh"
#include "table.h"

namespace nnx::cuda {

// Rows (outer, classes) of a last axis, a group of threads to a row. The row is read three times, the first
// time from memory and then from the cache.
template <class T, bool kLog, int kSize>
__global__ void __launch_bounds__(kThreads)
    forward_rows_kernel(int64_t rows, int64_t classes, const T* x, T* y) {
  begin_kernel();
  const Group<kSize> group{shared_storage<GroupStorage>()};
  for (int64_t row = group.first(); row < rows; row += group.groups()) {
    const T* from = x + row * classes;
    T* to = y + row * classes;
    T max = -std::numeric_limits<T>::infinity();
    for (int64_t c = group.member(); c < classes; c += kSize) max = larger(max, from[c]);
    max = group.largest(max);
    double sum = 0.0;
    for (int64_t c = group.member(); c < classes; c += kSize) {
      sum += static_cast<double>(exponential(from[c] - max));
    }
    sum = group.sum(sum);
    const T last = static_cast<T>(kLog ? log(sum) : 1.0 / sum);
    for (int64_t c = group.member(); c < classes; c += kSize) {
      const T difference = from[c] - max;
      to[c] = kLog ? difference - last : exponential(difference) * last;
    }
  }
}

// Any other axis: a thread to a column (classes) of (outer, classes, inner), neighbours side by side.
template <class T, bool kLog>
__global__ void __launch_bounds__(kThreads) forward_columns_kernel(SoftmaxShape shape, const T* x, T* y) {
  begin_kernel();
  for (int64_t i = thread_of_grid(); i < shape.outer * shape.inner; i += threads_of_grid()) {
    const Split at = split(i, shape.inner);
    const int64_t first = at.quotient * shape.classes * shape.inner + at.remainder;
    const int64_t end = first + shape.classes * shape.inner;
    T max = -std::numeric_limits<T>::infinity();
    for (int64_t c = first; c < end; c += shape.inner) max = larger(max, x[c]);
    double sum = 0.0;
    for (int64_t c = first; c < end; c += shape.inner) sum += static_cast<double>(exponential(x[c] - max));
    const T last = static_cast<T>(kLog ? log(sum) : 1.0 / sum);
    for (int64_t c = first; c < end; c += shape.inner) {
      const T difference = x[c] - max;
      y[c] = kLog ? difference - last : exponential(difference) * last;
    }
  }
}

template <bool kLog, class T>
__device__ __forceinline__ double term(T dy, T y) {
  return kLog ? static_cast<double>(dy) : static_cast<double>(dy) * static_cast<double>(y);
}

// The gradient of one element; sum: of the terms of its row
template <bool kLog, class T>
__device__ __forceinline__ T gradient(T dy, T y, T sum) {
  return kLog ? dy - exponential(y) * sum : y * (dy - sum);
}

template <class T, bool kLog, int kSize>
__global__ void __launch_bounds__(kThreads)
    backward_rows_kernel(int64_t rows, int64_t classes, const T* dy, const T* y, Policy policy, T* dx) {
  begin_kernel();
  const Group<kSize> group{shared_storage<GroupStorage>()};
  for (int64_t row = group.first(); row < rows; row += group.groups()) {
    const int64_t first = row * classes + group.member(), end = (row + 1) * classes;
    double sum = 0.0;
    for (int64_t i = first; i < end; i += kSize) sum += term<kLog>(dy[i], y[i]);
    const T all = static_cast<T>(group.sum(sum));
    for (int64_t i = first; i < end; i += kSize) put(dx + i, gradient<kLog>(dy[i], y[i], all), policy);
  }
}

template <class T, bool kLog>
__global__ void __launch_bounds__(kThreads)
    backward_columns_kernel(SoftmaxShape shape, const T* dy, const T* y, Policy policy, T* dx) {
  begin_kernel();
  for (int64_t i = thread_of_grid(); i < shape.outer * shape.inner; i += threads_of_grid()) {
    const Split at = split(i, shape.inner);
    const int64_t first = at.quotient * shape.classes * shape.inner + at.remainder;
    const int64_t end = first + shape.classes * shape.inner;
    double sum = 0.0;
    for (int64_t c = first; c < end; c += shape.inner) sum += term<kLog>(dy[c], y[c]);
    const T all = static_cast<T>(sum);
    for (int64_t c = first; c < end; c += shape.inner) put(dx + c, gradient<kLog>(dy[c], y[c], all), policy);
  }
}

template <class T, bool kLog>
static void forward(Context& context, const SoftmaxShape& shape, const T* x, T* y) {
  const char* name = kLog ? "log_softmax" : "softmax";
  if (shape.inner == 1) {
    with_group(shape.outer, shape.classes, [&](auto size, int64_t blocks) {
      launch(context, name, forward_rows_kernel<T, kLog, decltype(size)::value>, dim3(blocks_for(blocks, 1)),
             dim3(kThreads), sizeof(GroupStorage), shape.outer, shape.classes, x, y);
    });
  } else {
    launch(context, name, forward_columns_kernel<T, kLog>,
           dim3(blocks_for(shape.outer * shape.inner, kThreads)), dim3(kThreads), 0, shape, x, y);
  }
}

template <class T, bool kLog>
static void backward(Context& context, const SoftmaxShape& shape, const T* dy, const T* y, Policy policy,
                     T* dx) {
  const char* name = kLog ? "log_softmax_backward" : "softmax_backward";
  if (shape.inner == 1) {
    with_group(shape.outer, shape.classes, [&](auto size, int64_t blocks) {
      launch(context, name, backward_rows_kernel<T, kLog, decltype(size)::value>, dim3(blocks_for(blocks, 1)),
             dim3(kThreads), sizeof(GroupStorage), shape.outer, shape.classes, dy, y, policy, dx);
    });
  } else {
    launch(context, name, backward_columns_kernel<T, kLog>,
           dim3(blocks_for(shape.outer * shape.inner, kThreads)), dim3(kThreads), 0, shape, dy, y, policy,
           dx);
  }
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

}  // namespace nnx::cuda
