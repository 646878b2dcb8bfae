// Fills the kernel tables, a family at a time.
#pragma once

#include "core/precision.h"
#include "kernels/table.h"

namespace nnx::cuda {

template <class T>
void fill(kernels::DenseKernels<T>&, Precision);
template <class T>
void fill(kernels::Conv2dKernels<T>&, Precision);
template <class T>
void fill(kernels::Pool2dKernels<T>&);
template <class T>
void fill(kernels::ActivationKernels<T>&);
template <class T>
void fill(kernels::SoftmaxKernels<T>&);
template <class T>
void fill(kernels::LossKernels<T>&);
template <class T>
void fill(kernels::DropoutKernels<T>&);
template <class T>
void fill(kernels::AugmentKernels<T>&);
template <class T>
void fill(kernels::NormKernels<T>&);
template <class T>
void fill(kernels::OptimizerKernels<T>&);
template <class T>
void fill(kernels::ElementwiseKernels<T>&);
template <class T>
void fill(kernels::ArithmeticKernels<T>&);

// float: any precision; double: strict only.
template <class T>
kernels::Table<T> make_table(Precision precision) {
  kernels::Table<T> table{};
  fill(table.dense, precision);
  fill(table.conv2d, precision);
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
  return table;
}

}  // namespace nnx::cuda
