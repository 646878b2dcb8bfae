// What each family's file defines for one instruction set, instantiated for float and double.
#pragma once

#include "cpu/simd.h"
#include "kernels/table.h"

namespace nnx::cpu::NNX_ISA {

template <class T>
void fill(kernels::DenseKernels<T>&);
template <class T>
void fill(kernels::Conv2dKernels<T>&);
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

}  // namespace nnx::cpu::NNX_ISA
