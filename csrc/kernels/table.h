// The table of kernels: the one contract between the device-free code and whatever computes.
//
// Filled by csrc/cpu (once per instruction set) and by cuda (once per device kind). Every pointer is set in a
// filled table, but for those called optional. Kernels never allocate, never throw and never check: csrc/ops
// and csrc/program have checked. Shapes may have zero rows; then nothing is read, assigned outputs that do
// not depend on rows become zero.
#pragma once

#include "kernels/activation.h"
#include "kernels/arithmetic.h"
#include "kernels/augment.h"
#include "kernels/conv2d.h"
#include "kernels/dense.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/loss.h"
#include "kernels/norm.h"
#include "kernels/optimizer.h"
#include "kernels/pool2d.h"
#include "kernels/softmax.h"

namespace nnx::kernels {

template <class T>
struct Table {
  DenseKernels<T> dense;
  Conv2dKernels<T> conv2d;
  Pool2dKernels<T> pool2d;
  ActivationKernels<T> activation;
  SoftmaxKernels<T> softmax;
  LossKernels<T> loss;
  DropoutKernels<T> dropout;
  AugmentKernels<T> augment;
  NormKernels<T> norm;
  OptimizerKernels<T> optimizer;
  ElementwiseKernels<T> elementwise;
  ArithmeticKernels<T> arithmetic;
};

}  // namespace nnx::kernels
