#include "cpu/activate.h"
#include "cpu/fill.h"
#include "cpu/parallel.h"
#include "cpu/put.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 8192;

template <class T>
static void forward(Context& context, int64_t n, const T* x, Activation activation, T* y) {
  const T alpha = static_cast<T>(activation.alpha);
  with_activation(activation.kind, [&](auto kind) {
    for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
      for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
        store_some(y + i, activate<decltype(kind)::value, T>(load_some(x + i, lanes), alpha), lanes);
      });
    });
  });
}

template <class T>
static void backward(Context& context, int64_t n, const T* dy, const T* saved, Activation activation,
                     Policy policy, T* dx) {
  const T alpha = static_cast<T>(activation.alpha);
  with_activation(activation.kind, [&](auto kind) {
    for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
      for_vectors<T>(begin, end, [&](int64_t i, int64_t lanes) {
        const Vec<T> slope = load_some(dy + i, lanes), at = load_some(saved + i, lanes);
        put(dx + i, activation_gradient<decltype(kind)::value, T>(slope, at, alpha), lanes, policy);
      });
    });
  });
}

template <class T>
static void mark_alive(Context& context, Sampling sampling, int64_t rows, int64_t cols, const T* y,
                       double* alive) {
  if (*sampling.step % sampling.every != 0) return;
  for_each(context, ceil_div(cols, int64_t{kLanes<T>}), [&](int64_t block) {
    const int64_t c = block * kLanes<T>, lanes = min_of(cols - c, int64_t{kLanes<T>});
    bool all = true;  // that are alive need no more looking at
    for (int64_t i = c; i < c + lanes; ++i) all = all && alive[i] != 0.0;
    if (all) return;
    Vec<T> largest{};
    for (int64_t r = 0; r < rows; ++r) {
      const Vec<T> v = load_some(y + r * cols + c, lanes);
      largest = v > largest ? v : largest;
    }
    for (int64_t i = 0; i < lanes; ++i) {
      if (largest[i] > T{0}) alive[c + i] = 1.0;
    }
  });
}

template <class T>
static void count_outside(Context& context, Sampling sampling, int64_t n, double low, double high, const T* y,
                          double* counts) {
  if (*sampling.step % sampling.every != 0) return;
  const T least = static_cast<T>(low), most = static_cast<T>(high);
  counts[0] += sum_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    int64_t outside = 0;
    for (int64_t i = begin; i < end; ++i) outside += y[i] < least || y[i] > most;
    return static_cast<double>(outside);
  });
  counts[1] += static_cast<double>(n);
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

}  // namespace nnx::cpu::NNX_ISA
