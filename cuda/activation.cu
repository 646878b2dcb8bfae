#include "activate.cuh"
#include "reduce.cuh"
#include "table.h"
#include "vector.cuh"

namespace nnx::cuda {

template <ActivationKind kind, class T>
struct Activate {
  T alpha;
  __device__ T operator()(T x) const { return activate<kind>(x, alpha); }
};

template <class T>
static void forward(Context& context, int64_t n, const T* x, Activation activation, T* y) {
  const T alpha = static_cast<T>(activation.alpha);
  with_activation(activation.kind, [&](auto kind) {
    map(context, "activation", n, Activate<decltype(kind)::value, T>{alpha}, Policy::assign, y, x);
  });
}

template <ActivationKind kind, class T>
struct ActivateBackward {
  T alpha;
  __device__ T operator()(T dy, T saved) const { return activation_gradient<kind>(dy, saved, alpha); }
};

template <class T>
static void backward(Context& context, int64_t n, const T* dy, const T* saved, Activation activation,
                     Policy policy, T* dx) {
  const T alpha = static_cast<T>(activation.alpha);
  with_activation(activation.kind, [&](auto kind) {
    map(context, "activation_backward", n, ActivateBackward<decltype(kind)::value, T>{alpha}, policy, dx, dy,
        saved);
  });
}

// A warp for 32 columns side by side, the blocks for stretches of rows.
template <class T>
__global__ void __launch_bounds__(kThreads)
    mark_alive_kernel(Sampling sampling, int64_t rows, int64_t cols, const T* y, double* alive) {
  begin_kernel();
  if (*sampling.step % sampling.every != 0) return;
  const int64_t c = static_cast<int64_t>(blockIdx.y) * 32 + threadIdx.x % 32;
  if (c >= cols || alive[c] != 0.0) return;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  for (int64_t r = first; r < rows; r += static_cast<int64_t>(gridDim.x) * kWarps) {
    if (y[r * cols + c] > T{0}) {
      alive[c] = 1.0;  // whoever comes to write it writes the same
      return;
    }
  }
}

template <class T>
static void mark_alive(Context& context, Sampling sampling, int64_t rows, int64_t cols, const T* y,
                       double* alive) {
  launch(context, "mark_alive", mark_alive_kernel<T>,
         dim3(blocks_for(rows, 16 * kWarps, 256), static_cast<unsigned>(ceil_div<int64_t>(cols, 32))),
         dim3(kThreads), 0, sampling, rows, cols, y, alive);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    count_outside_kernel(Sampling sampling, int64_t n, T low, T high, const T* y, Total total) {
  begin_kernel();
  if (*sampling.step % sampling.every != 0) return;
  double sums[2] = {};
  for (int64_t i = thread_of_grid(); i < n; i += threads_of_grid()) {
    sums[0] += y[i] < low || y[i] > high ? 1.0 : 0.0;
    sums[1] += 1.0;
  }
  add_up(sums, total, shared_storage<BlockSums<2>>());
}

template <class T>
static void count_outside(Context& context, Sampling sampling, int64_t n, double low, double high, const T* y,
                          double* counts) {
  launch(context, "count_outside", count_outside_kernel<T>, dim3(blocks_of_total(n, 16 * kThreads)),
         dim3(kThreads), sizeof(BlockSums<2>), sampling, n, static_cast<T>(low), static_cast<T>(high), y,
         total_to(context, counts, 1.0, Policy::accumulate));
}

template <class T>
void fill(kernels::ActivationKernels<T>& table) {
  table.forward = forward<T>;
  table.backward = backward<T>;
  table.mark_alive = mark_alive<T>;
  table.count_outside = count_outside<T>;
}

template void fill(kernels::ActivationKernels<float>&);
template void fill(kernels::ActivationKernels<double>&);

}  // namespace nnx::cuda
