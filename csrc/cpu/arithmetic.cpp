#include "kernels/arithmetic.h"

#include "cpu/fill.h"
#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/strided.h"
#include "cpu/sum_axis.h"
#include "cpu/vmath.h"

namespace nnx::cpu::NNX_ISA {

// Elements an instruction is applied to at a time: 2 KiB of each operand, so that those of a few instructions
// stay in the first-level cache.
template <class T>
inline constexpr int64_t kRun = 2048 / static_cast<int64_t>(sizeof(T));

template <class T, class F>
NNX_INLINE void apply(int64_t n, const T* a, const T* b, T* to, const F& f) {
  for_vectors<T>(0, n, [&](int64_t i, int64_t lanes) {
    store_some(to + i, f(load_some(a + i, lanes), load_some(b + i, lanes)), lanes);
  });
}

template <class T, class F>
NNX_INLINE void apply(int64_t n, const T* a, T* to, const F& f) {
  for_vectors<T>(0, n,
                 [&](int64_t i, int64_t lanes) { store_some(to + i, f(load_some(a + i, lanes)), lanes); });
}

static float power_of(float a, float b) { return __builtin_powf(a, b); }
static double power_of(double a, double b) { return __builtin_pow(a, b); }

template <class T>
static void run(Operation operation, int64_t n, const T* a, const T* b, T* to) {
  using V = Vec<T>;
  const V zero{}, one = broadcast(T(1));
  switch (operation) {
    case Operation::negate:
      return apply(n, a, to, [&](V x) { return -x; });
    case Operation::absolute:
      return apply(n, a, to, [&](V x) { return x <= 0 ? zero - x : x; });
    case Operation::sign:
      return apply(n, a, to, [&](V x) { return x > 0 ? one : x < 0 ? -one : x; });
    case Operation::exp:
      return apply(n, a, to, [&](V x) { return exp<T>(x); });
    case Operation::expm1:
      return apply(n, a, to, [&](V x) { return expm1<T>(x); });
    case Operation::log:
      return apply(n, a, to, [&](V x) { return log<T>(x); });
    case Operation::log1p:
      return apply(n, a, to, [&](V x) { return log1p<T>(x); });
    case Operation::sqrt:
      return apply(n, a, to, [&](V x) { return square_root(x); });
    case Operation::square:
      return apply(n, a, to, [&](V x) { return x * x; });
    case Operation::reciprocal:
      return apply(n, a, to, [&](V x) { return 1 / x; });
    case Operation::sigmoid:
      return apply(n, a, to, [&](V x) { return sigmoid<T>(x); });
    case Operation::tanh:
      return apply(n, a, to, [&](V x) { return tanh<T>(x); });
    case Operation::relu:
      return apply(n, a, to, [&](V x) { return x <= 0 ? zero : x; });
    case Operation::add:
      return apply(n, a, b, to, [&](V x, V y) { return x + y; });
    case Operation::subtract:
      return apply(n, a, b, to, [&](V x, V y) { return x - y; });
    case Operation::multiply:
      return apply(n, a, b, to, [&](V x, V y) { return x * y; });
    case Operation::divide:
      return apply(n, a, b, to, [&](V x, V y) { return x / y; });
    case Operation::maximum:
      return apply(n, a, b, to, [&](V x, V y) { return y != y ? y : maximum<T>(x, y); });
    case Operation::minimum:
      return apply(n, a, b, to, [&](V x, V y) { return y != y ? y : minimum<T>(x, y); });
    case Operation::greater:
      return apply(n, a, b, to, [&](V x, V y) { return x > y ? one : zero; });
    case Operation::greater_equal:
      return apply(n, a, b, to, [&](V x, V y) { return x >= y ? one : zero; });
    case Operation::power:
      for (int64_t i = 0; i < n; ++i) to[i] = power_of(a[i], b[i]);
      return;
    case Operation::power_log:
      for (int64_t i = 0; i < n; ++i) {
        to[i] = a[i] == 0 && b[i] >= 0 ? T(0) : power_of(a[i], b[i]) * log<T>(broadcast(a[i]))[0];
      }
      return;
  }
}

// Elements [begin, end) of all: instruction by instruction over a run that fits the cache.
template <class T>
static void evaluate_run(const ExpressionCode& code, const Evaluation<T>& work, const bool* whole, T* room,
                         const T** operands, int64_t begin, int64_t end) {
  const int64_t n = end - begin;
  for (int i = 0; i < code.inputs; ++i) {
    const StridedArray<const T>& x = work.inputs[i];
    T* const copy = room + (kFirstArray + i) * kRun<T>;
    if (!whole[i]) gather(work, x, begin, end, copy);
    operands[kFirstArray + i] = whole[i] ? x.data + begin : copy;
  }
  for (int i = 0; i < code.instructions; ++i) {
    const Instruction& step = code.instruction[i];
    run(step.operation, n, operands[step.a], operands[step.b], room + step.to * kRun<T>);
  }
  for (int i = 0; i < code.results; ++i) {
    const T* const from = operands[code.result[i]];
    if (!whole[kMostArrays + i]) {
      scatter(work, work.results[i], work.policies[i], begin, end, from);
      continue;
    }
    T* const to = work.results[i].data + begin;
    for_vectors<T>(0, n, [&](int64_t at, int64_t lanes) {
      put(to + at, load_some(from + at, lanes), lanes, work.policies[i]);
    });
  }
}

template <class T>
static void evaluate(Context& context, const ExpressionCode& code, const Evaluation<T>& work) {
  bool whole[2 * kMostArrays];
  for (int i = 0; i < code.inputs; ++i) whole[i] = is_whole(work, work.inputs[i].strides);
  for (int i = 0; i < code.results; ++i) whole[kMostArrays + i] = is_whole(work, work.results[i].strides);
  for_ranges(context, work.elements(), 16 * kRun<T>, [&](int64_t first, int64_t last) {
    T* const room = static_cast<T*>(thread_scratch());
    const T* operands[kOperands];
    for (int i = 0; i < kOperands; ++i) operands[i] = room + i * kRun<T>;
    for (int i = 0; i < code.constants; ++i) {
      T* const to = room + (kFirstConstant + i) * kRun<T>;
      for (int64_t at = 0; at < kRun<T>; ++at) to[at] = static_cast<T>(code.constant[i]);
    }
    for (int64_t begin = first; begin < last; begin += kRun<T>) {
      evaluate_run(code, work, whole, room, operands, begin, min_of(last, begin + kRun<T>));
    }
  });
}

template <class T>
void fill(kernels::ArithmeticKernels<T>& table) {
  table.evaluate = evaluate<T>;
  table.sum = sum<T>;
}

template void fill(kernels::ArithmeticKernels<float>&);
template void fill(kernels::ArithmeticKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
