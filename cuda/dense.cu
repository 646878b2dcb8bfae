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

template <class T, Precision precision>
int64_t workspace(const DenseShape& s) {
  return std::max({workspace_of<T, precision, kFewRows>(forward_extents(s)),
                   workspace_of<T, precision, kFewRows>(input_extents(s)),
                   workspace_of<T, precision, kLongSums>(weight_extents(s))});
}

template <class T, Precision precision>
void forward(Context& context, const DenseShape& s, const T* x, const T* w, const T* b, Activation activation,
             T* y) {
  using Pass = DensePass<Rows<T>, Columns<T>, OutputWriter<T>, false>;
  const int n = static_cast<int>(s.out), k = static_cast<int>(s.in);
  const OutputWriter<T> writer{{s.out},
                               y,
                               b,
                               activation.kind,
                               static_cast<T>(activation.alpha),
                               four_at_once(y, s.out, s.out) && four_at_once(b, s.out, s.out)};
  const Pass pass{"dense forward", {s.rows, n, k, {x, s.in, s.rows, s.in}, {w, s.out, s.out, s.in}, writer}};
  multiply_all<T, precision, kFewRows>(context, pass);
}

template <class T, Precision precision>
void backward_input(Context& context, const DenseShape& s, const T* dy, const T* w,
                    ActivationGradient<T> gradient, Policy policy, T* dx) {
  using Writer = InputGradientWriter<T, EvenRows>;
  using Pass = DensePass<Rows<T>, Rows<T>, Writer, false>;
  const int n = static_cast<int>(s.in), k = static_cast<int>(s.out);
  const Writer writer{{s.in},
                      dx,
                      gradient.saved,
                      gradient.activation.kind,
                      static_cast<T>(gradient.activation.alpha),
                      policy == Policy::accumulate,
                      four_at_once(dx, s.in, s.in) && four_at_once(gradient.saved, s.in, s.in)};
  const Pass pass{"dense backward_input",
                  {s.rows, n, k, {dy, s.out, s.rows, s.out}, {w, s.out, s.in, s.out}, writer}};
  multiply_all<T, precision, kFewRows>(context, pass);
}

template <class T, Precision precision>
void backward_weights(Context& context, const DenseShape& s, const T* x, const T* dy, Policy policy, T* dw,
                      T* db) {
  using Writer = WeightGradientWriter<T>;
  using Pass = DensePass<Columns<T>, Columns<T>, Writer, true>;
  const int m = static_cast<int>(s.in), n = static_cast<int>(s.out);
  int64_t row = 0;
  do {
    const int64_t rows = std::min(s.rows - row, kMostRows);
    const Writer writer{
        {s.out}, dw, db, policy == Policy::accumulate || row > 0, four_at_once(dw, s.out, s.out)};
    const Pass pass{"dense backward_weights",
                    {m,
                     n,
                     static_cast<int>(rows),
                     {x + row * s.in, s.in, s.in, rows},
                     {dy + row * s.out, s.out, s.out, rows},
                     writer}};
    multiply_all<T, precision, kLongSums>(context, pass);
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
