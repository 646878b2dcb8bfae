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
void fill(kernels::ActivationKernels<T>& table) {
  table.forward = forward<T>;
  table.backward = backward<T>;
}

template void fill(kernels::ActivationKernels<float>&);
template void fill(kernels::ActivationKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
