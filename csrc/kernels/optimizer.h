// Parameter updates, in place.
#pragma once

#include "core/context.h"
#include "kernels/elementwise.h"

namespace nnx {

// What changes from step to step of a run, in the device's memory: a captured step needs nothing from the
// host.
struct StepState {
  uint64_t step = 0;           // of the whole training; dropout and Adam read it
  int64_t done = 0;            // steps of this run
  int64_t start = 0;           // the row the batch begins at
  double learning_rate = 0.0;  // of this step
  double loss = 0.0;           // of the batch
  double loss_sum = 0.0;       // loss * rows, over the run
  double squared_norm = 0.0, gradient_scale = 1.0;
  int32_t watch = 0;   // halt at the first loss that is not finite
  int32_t halted = 0;  // one was met, or a fault: this step has changed no parameter and is not done
  LabelFault fault;    // of the labels of this run
};

struct SgdRule {
  Live<double> learning_rate;  // `at` replaces `value` where given
  double momentum = 0.0;
  bool nesterov = false;
  double weight_decay = 0.0;  // added to the gradient: g + weight_decay * p
  Live<double> gradient_scale{1.0, nullptr};
  // Where given: nothing is done after a fault of labels, nor, with guard->watch, unless guard->loss is
  // finite.
  const StepState* guard = nullptr;
};

// A parameter and its velocity, which is null where there is no momentum.
template <class T>
struct SgdTarget {
  T* p = nullptr;
  T* velocity = nullptr;
};

struct AdamRule {
  Live<double> learning_rate;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  double weight_decay = 0.0;
  bool decoupled = false;  // AdamW: p -= learning_rate * weight_decay * p, instead of g + weight_decay * p
  Live<uint64_t> step;     // updates done before this one; `at` replaces `value` where given
  Live<double> gradient_scale{1.0, nullptr};
  const StepState* guard = nullptr;  // as above
};

// Pieces that each part's sums are taken in, and added up in order.
inline constexpr int64_t kMeasuredChunks = 32;

// A run of parameters that is measured: `before` is a copy from before the update.
template <class T>
struct MeasuredPart {
  T* p;
  T* before;
  const T* g;
  int64_t count;
  int64_t layer;
};

namespace kernels {

template <class T>
struct OptimizerKernels {
  // g' = scale * g + weight_decay * p;  v = momentum * v - learning_rate * g';
  // p += nesterov ? momentum * v - learning_rate * g' : v.   velocity null: p -= learning_rate * g'
  void (*sgd)(Context&, int64_t n, T* p, const T* g, T* velocity, const SgdRule&);
  // Kingma and Ba 2015: m, v moving averages, both bias-corrected with t = step + 1;
  // p -= learning_rate * m^ / (sqrt(v^) + epsilon)
  void (*adam)(Context&, int64_t n, T* p, const T* g, T* m, T* v, const AdamRule&);
  // *sum = or += sum of g^2, in double, in an order fixed by n
  void (*squared_norm)(Context&, int64_t n, const T* g, Policy, double* sum);
  // *scale = min(1, clip_norm / sqrt(*sum)); 1 where *sum is 0 or not finite
  void (*clip_scale)(Context&, const double* sum, double clip_norm, double* scale);
  // before = p, of all parts
  void (*keep)(Context&, Sampling, const StepState* guard, int64_t parts, const MeasuredPart<T>*);
  // Of each layer, over its parts: totals (layers, 4): += the norm of g; the largest one so far; += the norm
  // of p - before over that of before, 0 where that is 0; += 1. `sums` (parts, kMeasuredChunks, 3) is
  // scratch memory. Nothing is done where an update would not be.
  void (*measure)(Context&, Sampling, const StepState* guard, int64_t layers, int64_t parts,
                  const MeasuredPart<T>*, double* sums, double* totals);
  // Ends a step of `rows` rows: halts where state->watch and the loss is not finite, after a fault of labels,
  // or where halted already; else adds to loss_sum, moves on step, done and start, and takes the next
  // learning rate, rates[min(done, count
  // - 1)]; rates may be null, the rate then stays.
  void (*end_step)(Context&, int64_t rows, const double* rates, int64_t count, StepState* state);
};

}  // namespace kernels
}  // namespace nnx
