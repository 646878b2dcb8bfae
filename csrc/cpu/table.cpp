// One instruction set's tables, gathered from its families.
#include "kernels/table.h"

#include "cpu/fill.h"

namespace nnx::cpu::NNX_ISA {

template <class T>
void fill(kernels::Table<T>& table) {
  fill(table.dense);
  fill(table.conv2d);
  fill(table.pool2d);
  fill(table.activation);
  fill(table.softmax);
  fill(table.loss);
  fill(table.dropout);
  fill(table.augment);
  fill(table.norm);
  fill(table.optimizer);
  fill(table.elementwise);
  fill(table.arithmetic);
}

template void fill(kernels::Table<float>&);
template void fill(kernels::Table<double>&);

}  // namespace nnx::cpu::NNX_ISA
