#include "gemm.cuh"
#include "kernels/dense.h"

namespace nnx::cuda {
namespace {

// A batch of more rows is cut: the engine counts k in 31 bits.
constexpr int64_t kMostRows = int64_t{1} << 30;
// Inference on a few rows is the one shape that the general tiles do not fit.
constexpr TileKind kFewRows = TileKind::flat, kLongSums = TileKind::slim;

template <class A_, class B_, class Writer_, bool kColumnSums_>
struct DensePass {
  using A = A_;
  using B = B_;
  using Writer = Writer_;
  static constexpr bool kColumnSums = kColumnSums_;
  const char* name;
  Product<DensePass> only;

  Extents extents() const { return {only.m, only.n, only.k, 1}; }
  __device__ __forceinline__ const Product<DensePass>& product(int) const { return only; }
};

template <class T>
using Rows = MatrixReader<T, true>;
template <class T>
using Columns = MatrixReader<T, false>;

Extents forward_extents(const DenseShape& s) { return {s.rows, s.out, s.in, 1}; }
Extents input_extents(const DenseShape& s) { return {s.rows, s.in, s.out, 1}; }
Extents weight_extents(const DenseShape& s) { return {s.in, s.out, std::min(s.rows, kMostRows), 1}; }

// Along k lie `k` elements, along the other axes `others`.
Together together(int64_t k, int64_t others) { return {k % 8 == 0 && others % 8 == 0, k % 4 == 0}; }
// A weight gradient's k runs down the rows: for TF32 both operands would have to be turned.
Together together_in_rows(const DenseShape& s) { return {s.in % 8 == 0 && s.out % 8 == 0, s.rows % 4 == 0}; }

template <class T, Precision precision>
int64_t workspace(const DenseShape& s) {
  const int64_t x = s.rows * s.in, w = s.in * s.out, y = s.rows * s.out;
  const int64_t rows = std::min(s.rows, kMostRows);
  Together in_rows = together_in_rows(s);
  in_rows.fours = true;  // for smaller batches too
  return std::max(
      {workspace_of<T, precision, kFewRows>(forward_extents(s), together(s.in, s.out), x, w),
       workspace_of<T, precision, kFewRows>(input_extents(s), together(s.out, s.out), y, w),
       workspace_of<T, precision, kLongSums>(weight_extents(s), in_rows, rows * s.in, rows * s.out)});
}

template <class T, Precision precision>
void forward(Context& context, const DenseShape& s, const T* x, const T* w, const T* b, Activation activation,
             T* y) {
  const int n = static_cast<int>(s.out), k = static_cast<int>(s.in);
  const OutputWriter<T> writer{{s.out},
                               y,
                               b,
                               activation.kind,
                               static_cast<T>(activation.alpha),
                               four_at_once(y, s.out, s.out) && four_at_once(b, s.out, s.out)};
  const auto pass = [&](auto* x_at, auto* w_at) {
    using S = ElementOf<decltype(x_at)>;
    constexpr bool kTurned = std::is_same_v<S, Tf32>;
    using Pass = DensePass<Rows<S>, MatrixReader<S, kTurned>, OutputWriter<T>, false>;
    const int64_t w_stride = kTurned ? s.in : s.out;
    return Pass{"dense forward",
                {s.rows, n, k, {x_at, s.in, s.rows, s.in}, {w_at, w_stride, s.out, s.in}, writer}};
  };
  multiply_operands<T, precision, kFewRows>(context, together(s.in, s.out), Operand<T>{x, s.rows * s.in},
                                            Operand<T>{w, s.in * s.out, s.in}, pass);
}

template <class T, Precision precision>
void backward_input(Context& context, const DenseShape& s, const T* dy, const T* w,
                    ActivationGradient<T> gradient, Policy policy, T* dx) {
  using Writer = InputGradientWriter<T, EvenRows>;
  const int n = static_cast<int>(s.in), k = static_cast<int>(s.out);
  const Writer writer{{s.in},
                      dx,
                      gradient.saved,
                      gradient.activation.kind,
                      static_cast<T>(gradient.activation.alpha),
                      policy == Policy::accumulate,
                      four_at_once(dx, s.in, s.in) && four_at_once(gradient.saved, s.in, s.in)};
  const auto pass = [&](auto* dy_at, auto* w_at) {
    using S = ElementOf<decltype(dy_at)>;
    using Pass = DensePass<Rows<S>, Rows<S>, Writer, false>;
    return Pass{"dense backward_input",
                {s.rows, n, k, {dy_at, s.out, s.rows, s.out}, {w_at, s.out, s.in, s.out}, writer}};
  };
  multiply_operands<T, precision, kFewRows>(context, together(s.out, s.out), Operand<T>{dy, s.rows * s.out},
                                            Operand<T>{w, s.in * s.out}, pass);
}

template <class T, Precision precision>
void backward_weights(Context& context, const DenseShape& s, const T* x, const T* dy, Policy policy, T* dw,
                      T* db) {
  using Writer = WeightGradientWriter<T>;
  const int m = static_cast<int>(s.in), n = static_cast<int>(s.out);
  int64_t row = 0;
  do {
    const int64_t rows = std::min(s.rows - row, kMostRows);
    const T* const x_part = x + row * s.in;
    const T* const dy_part = dy + row * s.out;
    const Policy part_policy = row > 0 ? Policy::accumulate : policy;
    const bool accumulate = part_policy == Policy::accumulate, vector = four_at_once(dw, s.out, s.out);
    const auto pass = [&](auto* x_at, auto* dy_at) {
      using S = ElementOf<decltype(x_at)>;
      constexpr bool kTurned = std::is_same_v<S, Tf32>;
      using Operands = MatrixReader<S, kTurned>;
      using Pass = DensePass<Operands, Operands, Writer, !kIsRounded<S>>;
      const Writer writer{{s.out}, dw, kIsRounded<S> ? nullptr : db, accumulate, vector};
      return Pass{"dense backward_weights",
                  {m,
                   n,
                   static_cast<int>(rows),
                   {x_at, kTurned ? rows : s.in, s.in, rows},
                   {dy_at, kTurned ? rows : s.out, s.out, rows},
                   writer}};
    };
    multiply_operands<T, precision, kLongSums>(
        context, together_in_rows({rows, s.in, s.out}), Operand<T>{x_part, rows * s.in, rows},
        Operand<T>{dy_part, rows * s.out, rows}, pass, {dy_part, rows, s.out, db, part_policy});
    row += rows;
  } while (row < s.rows);
}

template <class T, Precision precision>
void fill_with(kernels::DenseKernels<T>& table) {
  table = {};
  table.workspace = workspace<T, precision>;
  table.forward = forward<T, precision>;
  table.backward_input = backward_input<T, precision>;
  table.backward_weights = backward_weights<T, precision>;
}

}  // namespace

template <>
void fill(kernels::DenseKernels<float>& table, Precision precision) {
  with_precision(precision, [&](auto constant) { fill_with<float, decltype(constant)::value>(table); });
}

template <>
void fill(kernels::DenseKernels<double>& table, Precision) {
  fill_with<double, Precision::strict>(table);
}

}  // namespace nnx::cuda
