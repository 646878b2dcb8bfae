#include "activate.cuh"
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

template <class T>
void fill(kernels::ActivationKernels<T>& table) {
  table.forward = forward<T>;
  table.backward = backward<T>;
}

template void fill(kernels::ActivationKernels<float>&);
template void fill(kernels::ActivationKernels<double>&);

}  // namespace nnx::cuda
