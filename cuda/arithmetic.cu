#include "columns.cuh"
#include "kernels/arithmetic.h"
#include "table.h"

namespace nnx::cuda {

// Elements of a thread: sixteen bytes of each operand.
template <class T>
inline constexpr int kWidth = 16 / sizeof(T);
inline constexpr int kEvaluators = 128;  // threads of a block: their slots fit into shared memory

template <class T>
__device__ T compute(Operation operation, T a, T b) {
  switch (operation) {
    case Operation::negate:
      return -a;
    case Operation::absolute:
      return a <= T(0) ? T(0) - a : a;
    case Operation::sign:
      return a > T(0) ? T(1) : a < T(0) ? T(-1) : a;
    case Operation::exp:
      return exp(a);
    case Operation::expm1:
      return expm1(a);
    case Operation::log:
      return log(a);
    case Operation::log1p:
      return log1p(a);
    case Operation::sqrt:
      return sqrt(a);
    case Operation::square:
      return a * a;
    case Operation::reciprocal:
      return T(1) / a;
    case Operation::sigmoid: {
      const T e = exp(a < T(0) ? a : -a);
      return (a < T(0) ? e : T(1)) / (e + T(1));
    }
    case Operation::tanh:
      return tanh(a);
    case Operation::relu:
      return a <= T(0) ? T(0) : a;
    case Operation::add:
      return a + b;
    case Operation::subtract:
      return a - b;
    case Operation::multiply:
      return a * b;
    case Operation::divide:
      return a / b;
    case Operation::power:
      return pow(a, b);
    case Operation::power_log:
      return a == T(0) && b >= T(0) ? T(0) : pow(a, b) * log(a);
    case Operation::maximum:
      return b != b ? b : (a <= b ? b : a);
    case Operation::minimum:
      return b != b ? b : (a >= b ? b : a);
    case Operation::greater:
      return a > b ? T(1) : T(0);
    case Operation::greater_equal:
      return a >= b ? T(1) : T(0);
  }
  return T(0);
}

// Arrays whose element i is element i of the evaluation, by their bits: those read, then those written.
template <class T>
struct Plan {
  Evaluation<T> work;
  int64_t elements;
  unsigned whole;
};

template <class T>
__device__ int64_t place_of(const Evaluation<T>& work, const int64_t* strides, int64_t element) {
  int64_t place = 0;
  for (int axis = work.axes - 1; axis > 0; --axis) {
    const Split at = split(element, work.extents[axis]);
    place += at.remainder * strides[axis];
    element = at.quotient;
  }
  return place + element * strides[0];
}

// Values of operand `operand` for elements first .. first + W - 1, of which `count` are there.
template <int W, class T>
__device__ Pack<T, W> operand_of(const ExpressionCode& code, const Plan<T>& plan, const Pack<T, W>* slots,
                                 int operand, int64_t first, int64_t count) {
  if (operand < kFirstArray) return slots[operand * kEvaluators + threadIdx.x];
  Pack<T, W> values{};
  if (operand >= kFirstConstant) {
    for (int k = 0; k < W; ++k) values.at[k] = static_cast<T>(code.constant[operand - kFirstConstant]);
    return values;
  }
  const int input = operand - kFirstArray;
  const StridedArray<const T>& x = plan.work.inputs[input];
  const bool whole = (plan.whole >> input & 1) != 0;
  if (whole && W > 1 && count >= W) return load_pack<W>(x.data + first);
  for (int k = 0; k < W && k < count; ++k) {
    values.at[k] = x.data[whole ? first + k : place_of(plan.work, x.strides, first + k)];
  }
  return values;
}

// A thread goes through the instructions for W elements at a time.
template <int W, class T>
__global__ void __launch_bounds__(kEvaluators)
    evaluate_kernel(const __grid_constant__ ExpressionCode code, const __grid_constant__ Plan<T> plan) {
  begin_kernel();
  Pack<T, W>* const slots = &shared_storage<Pack<T, W>>();
  const int64_t step = static_cast<int64_t>(gridDim.x) * kEvaluators * W;
  for (int64_t first = W * (static_cast<int64_t>(blockIdx.x) * kEvaluators + threadIdx.x);
       first < plan.elements; first += step) {
    const int64_t count = plan.elements - first;
    for (int i = 0; i < code.instructions; ++i) {
      const Instruction instruction = code.instruction[i];
      const Pack<T, W> a = operand_of<W>(code, plan, slots, instruction.a, first, count);
      Pack<T, W> b = a;
      if (is_binary(instruction.operation)) {
        b = operand_of<W>(code, plan, slots, instruction.b, first, count);
      }
      Pack<T, W> values;
      for (int k = 0; k < W; ++k) values.at[k] = compute(instruction.operation, a.at[k], b.at[k]);
      slots[instruction.to * kEvaluators + threadIdx.x] = values;
    }
    for (int i = 0; i < code.results; ++i) {
      const Pack<T, W> values = operand_of<W>(code, plan, slots, code.result[i], first, count);
      const StridedArray<T>& y = plan.work.results[i];
      const bool whole = (plan.whole >> (kMostArrays + i) & 1) != 0;
      if (whole && W > 1 && count >= W) {
        put_pack(y.data + first, values, plan.work.policies[i]);
        continue;
      }
      for (int k = 0; k < W && k < count; ++k) {
        put(y.data + (whole ? first + k : place_of(plan.work, y.strides, first + k)), values.at[k],
            plan.work.policies[i]);
      }
    }
  }
}

template <class T>
static bool is_whole(const Evaluation<T>& work, const int64_t* strides) {
  int64_t expected = 1;
  for (int axis = work.axes - 1; axis >= 0; --axis) {
    if (work.extents[axis] != 1 && strides[axis] != expected) return false;
    expected *= work.extents[axis];
  }
  return true;
}

template <class T>
static void evaluate(Context& context, const ExpressionCode& code, const Evaluation<T>& work) {
  Plan<T> plan{work, work.elements(), 0};
  bool packs = true;  // whole arrays lie where packs can be loaded
  for (int i = 0; i < code.inputs; ++i) {
    if (!is_whole(work, work.inputs[i].strides)) continue;
    plan.whole |= 1u << i;
    packs = packs && aligned(work.inputs[i].data);
  }
  for (int i = 0; i < code.results; ++i) {
    if (!is_whole(work, work.results[i].strides)) continue;
    plan.whole |= 1u << (kMostArrays + i);
    packs = packs && aligned(work.results[i].data);
  }
  const int64_t width = packs ? kWidth<T> : 1;
  const int64_t slots = std::max(code.slots, 1);  // of a copy there are none
  const size_t shared = static_cast<size_t>(slots * kEvaluators * width) * sizeof(T);
  launch(context, "evaluate", packs ? evaluate_kernel<kWidth<T>, T> : evaluate_kernel<1, T>,
         dim3(blocks_for(plan.elements, kEvaluators * width)), dim3(kEvaluators), shared, code, plan);
}

template <class T>
struct PutScaled {
  T* to;
  double factor;
  Policy policy;
  __device__ void operator()(int64_t col, const double (&sums)[1]) const {
    put(to + col, static_cast<T>(factor * sums[0]), policy);
  }
};

// A row's sum by a warp or, where rows are long, by a block.
template <int kSize, class T>
__global__ void __launch_bounds__(kThreads)
    sum_rows_kernel(int64_t rows, int64_t length, double factor, const T* x, Policy policy, T* y) {
  begin_kernel();
  const Group<kSize> group{shared_storage<GroupStorage>()};
  for (int64_t row = group.first(); row < rows; row += group.groups()) {
    double sum = 0.0;
    for (int64_t i = group.member(); i < length; i += kSize) sum += static_cast<double>(x[row * length + i]);
    sum = group.sum(sum);
    if (group.member() == 0) put(y + row, static_cast<T>(factor * sum), policy);
  }
}

// A sum by each thread.
template <class T>
__global__ void __launch_bounds__(kThreads)
    sum_middle_kernel(int64_t outer, int64_t reduced, int64_t inner, double factor, const T* x, Policy policy,
                      T* y) {
  begin_kernel();
  for (int64_t i = thread_of_grid(); i < outer * inner; i += threads_of_grid()) {
    const Split at = split(i, inner);
    const T* const from = x + at.quotient * reduced * inner + at.remainder;
    double sum = 0.0;
    for (int64_t r = 0; r < reduced; ++r) sum += static_cast<double>(from[r * inner]);
    put(y + i, static_cast<T>(factor * sum), policy);
  }
}

template <class T>
static void sum(Context& context, int64_t outer, int64_t reduced, int64_t inner, double factor, const T* x,
                Policy policy, T* y) {
  if (inner == 1 && outer > 0) {
    return with_group(outer, reduced, [&](auto size, int64_t blocks) {
      launch(context, "sum_rows", sum_rows_kernel<size.value, T>,
             dim3(static_cast<unsigned>(std::min<int64_t>(blocks, 4096))), dim3(kThreads),
             sizeof(GroupStorage), outer, reduced, factor, x, policy, y);
    });
  }
  if (outer == 1) {
    return column_sums<1>(context, "sum_columns", reduced, inner, aligned(x), AddElements<T>{x},
                          PutScaled<T>{y, factor, policy});
  }
  launch(context, "sum_middle", sum_middle_kernel<T>, dim3(blocks_for(outer * inner, kThreads)),
         dim3(kThreads), 0, outer, reduced, inner, factor, x, policy, y);
}

template <class T>
void fill(kernels::ArithmeticKernels<T>& table) {
  table.evaluate = evaluate<T>;
  table.sum = sum<T>;
}

template void fill(kernels::ArithmeticKernels<float>&);
template void fill(kernels::ArithmeticKernels<double>&);

}  // namespace nnx::cuda
