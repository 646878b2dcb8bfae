#include "kernels/dense.h"

#include "cpu/few_rows.h"
#include "cpu/fill.h"
#include "cpu/gemm/dense_operands.h"
#include "cpu/gemm/gemm_columns.h"
#include "cpu/gemm/gemm_rows.h"
#include "cpu/gemm/gemm_update.h"
#include "cpu/one_row.h"
#include "cpu/small_dense.h"

namespace nnx::cpu::NNX_ISA {
namespace {

template <class T>
int64_t workspace(const DenseShape& s) {
  const int64_t forward = gemm_rows_workspace<T>(s.rows, s.out, s.in);
  const int64_t input = gemm_rows_workspace<T>(s.rows, s.in, s.out);
  const int64_t weights = gemm_columns_workspace(plan_columns<T>(s.in, s.out, s.rows));
  const int64_t few = max_of(one_row_workspace<T>(s), few_rows_workspace<T>(s));
  return max_of(max_of(forward, few), max_of(input, weights)) * static_cast<int64_t>(sizeof(T));
}

template <class T>
void forward(Context& context, const DenseShape& s, const T* x, const T* w, const T* b, Activation activation,
             T* y) {
  if (is_small(s)) {
    small_forward(s, x, w, b, activation, y);
    return;
  }
  if (s.rows == 1) {
    one_row_forward(context, s, x, w, b, activation, y);
    return;
  }
  if (depth_parts(s).count > 1) {
    few_rows_forward(context, s, x, w, b, activation, y);
    return;
  }
  Epilogue<T> epilogue;
  epilogue.bias = b;
  epilogue.activation = activation;
  gemm_rows(context, s.rows, s.out, MatrixRows<T>{x, s.in, s.in, s.out}, MatrixColumns<T>{w, s.out}, y,
            epilogue);
}

template <class T>
void backward_input(Context& context, const DenseShape& s, const T* dy, const T* w,
                    ActivationGradient<T> gradient, Policy policy, T* dx) {
  if (is_small(s)) {
    small_backward_input(s, dy, w, gradient, policy, dx);
    return;
  }
  if (s.rows == 1) {
    one_row_backward_input(context, s, dy, w, {dx, gradient, policy});
    return;
  }
  Epilogue<T> epilogue;
  epilogue.resume = policy == Policy::accumulate;
  epilogue.gradient = gradient;
  gemm_rows(context, s.rows, s.in, MatrixRows<T>{dy, s.out, s.out, s.in}, TransposedColumns<T>{w, s.out}, dx,
            epilogue);
}

template <class T>
void backward_weights(Context& context, const DenseShape& s, const T* x, const T* dy, Policy policy, T* dw,
                      T* db) {
  if (is_small(s)) {
    small_backward_weights(s, x, dy, policy, dw, db);
    return;
  }
  const ColumnsPlan plan = plan_columns<T>(s.in, s.out, s.rows);
  gemm_columns(context, plan, MatrixSource<T>{x, s.rows, s.in}, dy, s.out, policy, dw, s.out, db);
}

template <class T>
void update_weights(Context& context, const DenseShape& s, const T* x, const T* dy,
                    const DenseInput<T>& input, const SgdRule& rule, SgdTarget<T> w, SgdTarget<T> b) {
  if (held_back(rule.guard)) return;
  const Sgd<T> numbers = sgd_of<T>(rule);
  const bool one_pass = s.rows == 1 && !is_small(s);
  if (input.dx != nullptr && !one_pass) {
    backward_input(context, s, dy, w.p, input.gradient, input.policy, input.dx);
  }
  with_sgd_kind(rule, w.velocity != nullptr, [&](auto kind) {
    if (one_pass) {
      one_row_update<T, kind.value>(context, s, x, dy, input, numbers, w, b);
    } else if (is_small(s)) {
      small_update<T, kind.value>(s, x, dy, numbers, w, b);
    } else {
      gemm_update<T, kind.value>(context, s, x, dy, numbers, w, b);
    }
  });
}

}  // namespace

template <class T>
void fill(kernels::DenseKernels<T>& table) {
  table = {workspace<T>, forward<T>, backward_input<T>, backward_weights<T>, update_weights<T>};
}

template void fill(kernels::DenseKernels<float>&);
template void fill(kernels::DenseKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
