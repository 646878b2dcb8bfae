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
  // Of a step in parts, small batches whose gradients are added up:
  int64_t row = 0;             // rows of the step before this part
  double loss_of_parts = 0.0;  // the sum over the parts before
  int32_t watch = 0;           // halt at the first loss that is not finite
  int32_t halted = 0;          // one was met, or a fault: this step has changed no parameter and is not done
  LabelFault fault;            // of the labels of this run
};

// What the rules have in common; g' = gradient_scale * g + weight_decay * p is the gradient they go by.
struct UpdateRule {
  Live<double> learning_rate;  // `at` replaces `value` where given
  double rate_factor = 1.0;    // on the learning rate
  double weight_decay = 0.0;
  Live<double> gradient_scale{1.0, nullptr};
  // Where given: nothing is done after a fault of labels, nor, with guard->watch, unless guard->loss is
  // finite.
  const StepState* guard = nullptr;
};

struct SgdRule : UpdateRule {
  double momentum = 0.0;
  bool nesterov = false;
};

// A parameter and its velocity, which is null where there is no momentum.
template <class T>
struct SgdTarget {
  T* p = nullptr;
  T* velocity = nullptr;
};

struct AdamRule : UpdateRule {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  bool decoupled = false;  // AdamW: p -= learning_rate * weight_decay * p, and g' = gradient_scale * g
  Live<uint64_t> step;     // updates done before this one; `at` replaces `value` where given
};

struct RmspropRule : UpdateRule {
  double rho = 0.9, momentum = 0.0, epsilon = 1e-7;
};

struct AdagradRule : UpdateRule {
  double epsilon = 1e-7;
};

struct LionRule : UpdateRule {  // weight_decay is decoupled, as AdamW's
  double beta1 = 0.9, beta2 = 0.99;
};

// average = momentum * average + (1 - momentum) * p; p itself in step 0
struct AverageRule {
  double momentum = 0.99;
  Live<uint64_t> step;
  const StepState* guard = nullptr;
};

// l1 * sum |w| + l2 * sum w^2
struct Penalty {
  double l1 = 0.0, l2 = 0.0;
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
  // Hinton 2012: square = rho * square + (1 - rho) * g'^2;  d = g' / sqrt(square + epsilon), with `mean`
  // (null: none), the same average of g', d = g' / sqrt(max(square - mean^2, 0) + epsilon); velocity =
  // momentum * velocity + learning_rate * d, p -= velocity; velocity null: p -= learning_rate * d
  void (*rmsprop)(Context&, int64_t n, T* p, const T* g, T* square, T* mean, T* velocity, const RmspropRule&);
  // Duchi et al. 2011: sum += g'^2;  p -= learning_rate * g' / sqrt(sum + epsilon)
  void (*adagrad)(Context&, int64_t n, T* p, const T* g, T* sum, const AdagradRule&);
  // Chen et al. 2023: p -= learning_rate * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p);
  // m = beta2 * m + (1 - beta2) * g
  void (*lion)(Context&, int64_t n, T* p, const T* g, T* m, const LionRule&);
  void (*average)(Context&, int64_t n, const T* p, T* average, const AverageRule&);
  // g = g within [-bound, bound]; NaN stays
  void (*clip)(Context&, int64_t n, double bound, T* g);
  // *sum = or += l1 * sum |w| + l2 * sum w^2, in double, in an order fixed by n
  void (*penalty)(Context&, int64_t n, const T* w, const Penalty&, Policy, double* sum);
  // g += l1 * sign(w) + 2 * l2 * w
  void (*penalty_gradient)(Context&, int64_t n, const T* w, const Penalty&, T* g);
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
  // Ends a part of `rows` rows: moves on row and start. After the last, state->loss is that of all parts and
  // row and start are back at the first.
  void (*end_part)(Context&, int64_t rows, bool last, StepState* state);
};

}  // namespace kernels
}  // namespace nnx
