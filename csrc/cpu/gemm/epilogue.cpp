#include "cpu/gemm/epilogue.h"

#include "cpu/fill.h"
#include "cpu/gemm/micro.h"

namespace nnx::cpu::NNX_ISA {

template <class T>
void write_any_tile(const T* sums, int64_t sums_stride, int rows, const TileTarget<T>& target) {
  const Epilogue<T>& epilogue = target.epilogue;
  const int64_t columns = target.columns;
  kernels::ActivationKernels<T> activation;
  fill(activation);
  Context alone;
  T y[kTileColumns<T>];
  for (int m = 0; m < rows; ++m) {
    T* const row = target.result + target.row_offsets[m];
    const T* const sum = sums + m * sums_stride;
    for (int64_t j = 0; j < columns; ++j) y[j] = sum[j];
    if (epilogue.bias != nullptr) {
      for (int64_t j = 0; j < columns; ++j) y[j] += epilogue.bias[j];
    }
    if (epilogue.resume) {
      for (int64_t j = 0; j < columns; ++j) y[j] += row[j];
    }
    if (epilogue.activation.kind != ActivationKind::identity) {
      activation.forward(alone, columns, y, epilogue.activation, y);
    }
    if (epilogue.gradient.saved != nullptr) {
      activation.backward(alone, columns, y, epilogue.gradient.saved + target.row_offsets[m],
                          epilogue.gradient.activation, Policy::assign, y);
    }
    for (int64_t j = 0; j < columns; ++j) row[j] = y[j];
  }
}

template void write_any_tile(const float*, int64_t, int, const TileTarget<float>&);
template void write_any_tile(const double*, int64_t, int, const TileTarget<double>&);

}  // namespace nnx::cpu::NNX_ISA
