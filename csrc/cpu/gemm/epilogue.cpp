#include "cpu/gemm/epilogue.h"

#include "cpu/fill.h"
#include "cpu/gemm/micro.h"

namespace nnx::cpu::NNX_ISA {

template <class T>
void write_any_tile(const T* sums, int64_t sums_stride, int rows, const TileTarget<T>& target) {
  const Epilogue<T>& epilogue = target.epilogue;
  const int64_t columns = target.columns;
  const ActivationKind kind = epilogue.activation.kind;
  const bool relu = kind == ActivationKind::relu, other = !relu && kind != ActivationKind::identity;
  const bool gradient = epilogue.gradient.saved != nullptr;
  const bool relu_gradient = gradient && epilogue.gradient.activation.kind == ActivationKind::relu;
  kernels::ActivationKernels<T> activation;
  fill(activation);
  Context alone;
  const Vec<T> zero{};
  for (int m = 0; m < rows; ++m) {
    T* const row = target.result + target.row_offsets[m];
    const T* const sum = sums + m * sums_stride;
    const T* const saved = gradient ? epilogue.gradient.saved + target.row_offsets[m] : nullptr;
    for_vectors<T>(0, columns, [&](int64_t j, int64_t n) {
      Vec<T> y = load(sum + j);
      if (epilogue.bias != nullptr) y += load_some(epilogue.bias + j, n);
      if (epilogue.resume) y += load_some(row + j, n);
      if (relu) y = maximum<T>(y, zero);
      if (relu_gradient) y = select<T>(load_some(saved + j, n) > zero, y, zero);
      store_some(row + j, y, n);
    });
    if (other) activation.forward(alone, columns, row, epilogue.activation, row);
    if (gradient && !relu_gradient) {
      activation.backward(alone, columns, row, saved, epilogue.gradient.activation, Policy::assign, row);
    }
  }
}

template void write_any_tile(const float*, int64_t, int, const TileTarget<float>&);
template void write_any_tile(const double*, int64_t, int, const TileTarget<double>&);

}  // namespace nnx::cpu::NNX_ISA
