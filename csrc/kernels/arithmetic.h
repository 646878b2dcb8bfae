// Elementwise arithmetic: expressions of several operations, evaluated in one pass over memory; and sums.
#pragma once

#include "core/context.h"

namespace nnx {

// What an instruction computes from its operands a and b, element by element.
enum class Operation : uint8_t {
  negate,
  absolute,
  sign,  // -1, 0 or 1
  exp,
  expm1,
  log,
  log1p,
  sqrt,
  square,
  reciprocal,
  sigmoid,
  tanh,
  relu,  // a where a > 0, else 0; NaN stays
  add,
  subtract,
  multiply,
  divide,
  power,
  power_log,  // a^b log(a), and 0 where a is 0 and b is not negative: power's derivative by b
  maximum,    // NaN where one is NaN, as minimum
  minimum,
  greater,        // 1 where a > b, else 0
  greater_equal,  // 1 where a >= b, else 0
};

constexpr bool is_binary(Operation operation) { return operation >= Operation::add; }

inline constexpr int kMostInstructions = 96, kMostSlots = 24, kMostConstants = 16;
inline constexpr int kMostArrays = 8;  // read, and as many written
inline constexpr int kMostAxes = 5;

// Operands are numbered through: slots, then the arrays that are read, then constants.
inline constexpr int kFirstArray = kMostSlots, kFirstConstant = kFirstArray + kMostArrays;
inline constexpr int kOperands = kFirstConstant + kMostConstants;

// slot `to` = operation(a, b); of an operation of one operand b is a
struct Instruction {
  Operation operation;
  uint8_t to, a, b;
};

// An expression: instructions in their order, and the operands that are its results.
struct ExpressionCode {
  int32_t instructions = 0, slots = 0, constants = 0, inputs = 0, results = 0;
  Instruction instruction[kMostInstructions];
  uint8_t result[kMostArrays];
  double constant[kMostConstants];
};

// An array as part of a larger one, or spread over one: strides in elements, 0 along axes it is repeated
// over.
template <class T>
struct StridedArray {
  T* data;
  int64_t strides[kMostAxes];
};

// The elements that an expression is evaluated for: the first axis counts samples.
template <class T>
struct Evaluation {
  int32_t axes = 1;
  int64_t extents[kMostAxes];
  StridedArray<const T> inputs[kMostArrays];
  StridedArray<T> results[kMostArrays];  // each element once; none overlaps an input
  Policy policies[kMostArrays];

  int64_t elements() const {
    int64_t n = 1;
    for (int axis = 0; axis < axes; ++axis) n *= extents[axis];
    return n;
  }
};

namespace kernels {

template <class T>
struct ArithmeticKernels {
  // results = or += the expression of the inputs
  void (*evaluate)(Context&, const ExpressionCode&, const Evaluation<T>&);
  // y (outer, inner) = or += factor * sums of x (outer, reduced, inner) over the middle axis, added up in
  // double and in an order fixed by the shape
  void (*sum)(Context&, int64_t outer, int64_t reduced, int64_t inner, double factor, const T* x, Policy,
              T* y);
};

}  // namespace kernels
}  // namespace nnx
