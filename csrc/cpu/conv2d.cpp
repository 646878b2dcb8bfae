#include "kernels/conv2d.h"

#include "cpu/depthwise.h"
#include "cpu/fill.h"
#include "cpu/gemm/dense_operands.h"
#include "cpu/gemm/gemm_columns.h"
#include "cpu/gemm/gemm_rows.h"
#include "cpu/gemm/image_columns.h"
#include "cpu/gemm/image_rows.h"
#include "cpu/gemm/patch_rows.h"
#include "cpu/gemm/patch_source.h"
#include "cpu/gemm/winograd.h"

namespace nnx::cpu::NNX_ISA {
namespace {

// (rows, columns, depth) of one group's forward pass; its input gradient has the pixels and roles changed.
struct Extents {
  int64_t inputs, outputs, taps;
};

Extents extents_of(const Conv2dShape& s) { return {s.c / s.groups, s.o / s.groups, s.kh * s.kw}; }

template <class T>
int64_t workspace(const Conv2dShape& s) {
  if (is_depthwise(s)) return depthwise_workspace(s) * static_cast<int64_t>(sizeof(T));
  const Extents e = extents_of(s);
  const int64_t forward = gemm_rows_workspace<T>(s.n * s.oh * s.ow, e.outputs, e.taps * e.inputs);
  const int64_t input = gemm_rows_workspace<T>(s.n * s.h * s.w, e.inputs, e.taps * e.outputs);
  const int64_t weights =
      gemm_columns_workspace(plan_columns<T>(e.taps * e.inputs, e.outputs, s.n * s.oh * s.ow));
  if constexpr (sizeof(T) == 4) {
    if (winograd_pays(s)) {
      return max_of(winograd_rows_workspace(s), winograd_columns_workspace(s)) * int64_t{sizeof(T)};
    }
  }
  const int64_t image = reads_image(s, nullptr, kBlockDepth<T>) ? image_weights_workspace<T>(s) : 0;
  return max_of(max_of(forward, input), max_of(weights, image)) * static_cast<int64_t>(sizeof(T));
}

template <class T>
void forward(Context& context, const Conv2dShape& s, const T* x, const T* w, const T* b,
             Activation activation, T* y) {
  if (reads_image(s, nullptr, kBlockDepth<T>)) {
    return image_forward(context, s, nullptr, x, w, b, activation, y, nullptr);
  }
  if (is_depthwise(s)) return depthwise_forward(context, s, x, w, b, activation, y);
  const Extents e = extents_of(s);
  const WindowAxis vertical = forward_axis(s.oh, s.h, s.kh, s.stride_h, s.pad_top, s.dilation_h);
  const WindowAxis horizontal = forward_axis(s.ow, s.w, s.kw, s.stride_w, s.pad_left, s.dilation_w);
  for (int64_t g = 0; g < s.groups; ++g) {
    Epilogue<T> epilogue;
    epilogue.bias = b != nullptr ? b + g * e.outputs : nullptr;
    epilogue.activation = activation;
    if constexpr (sizeof(T) == 4) {
      if (winograd_pays(s)) return winograd_forward(context, s, nullptr, x, w, y, nullptr, epilogue);
    }
    const MatrixColumns<T> columns{w + g * e.outputs, s.o};
    const int64_t rows = s.n * s.oh * s.ow;
    if (gathers(s, kBlockDepth<T>)) {
      gemm_rows(context, rows, e.outputs, CopiedRows<T>{s, x}, columns, y, epilogue);
      continue;
    }
    const WindowRows<T> windows{x + g * e.inputs, s.n, vertical, horizontal, s.c, s.o, s.oh, s.ow,
                                {e.inputs}};
    gemm_rows(context, rows, e.outputs, windows, columns, y + g * e.outputs, epilogue);
  }
}

// Windows that share no point of the layer's output and lie inside it.
bool apart(const Conv2dShape& s, const Pool2dShape& pool) {
  return pool.dilation_h == 1 && pool.dilation_w == 1 && pool.pad_top == 0 && pool.pad_left == 0 &&
         pool.stride_h >= pool.kh && pool.stride_w >= pool.kw &&
         (pool.oh - 1) * pool.stride_h + pool.kh <= s.oh && (pool.ow - 1) * pool.stride_w + pool.kw <= s.ow;
}

template <class T>
bool pools_weights(const Conv2dShape& s, const Pool2dShape& pool) {
  return apart(s, pool) && reads_image(s, nullptr, kBlockDepth<T>) && reads_image(s, &pool, kBlockDepth<T>);
}

template <class T>
bool pools(const Conv2dShape& s, const Pool2dShape& pool) {
  return pools_weights<T>(s, pool) || (sizeof(T) == 4 && apart(s, pool) && winograd_pools(s, pool));
}

template <class T>
void forward_pooled(Context& context, const Conv2dShape& s, const Pool2dShape& pool, const T* x, const T* w,
                    const T* b, Activation activation, T* y, int32_t* index) {
  if constexpr (sizeof(T) == 4) {
    if (!pools_weights<T>(s, pool)) {
      Epilogue<T> epilogue;
      epilogue.bias = b;
      epilogue.activation = activation;
      return winograd_forward(context, s, &pool, x, w, y, index, epilogue);
    }
  }
  image_forward(context, s, &pool, x, w, b, activation, y, index);
}

// Input points that no tap reaches, as between the patches of a stride larger than the kernel.
template <class T>
void clear_unreached(Context& context, const WindowRows<T>& rows, int64_t channels, T* dx) {
  for_ranges(context, rows.rows(), 1024, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t offset;
      rows.result_offsets(row, 1, &offset);
      for (int64_t c = 0; c < channels; ++c) dx[offset + c] = 0;
    }
  });
}

template <class T>
void backward_input(Context& context, const Conv2dShape& s, const T* dy, const T* w,
                    ActivationGradient<T> gradient, Policy policy, T* dx) {
  if (is_depthwise(s)) return depthwise_backward_input(context, s, dy, w, gradient, policy, dx);
  if constexpr (sizeof(T) == 4) {
    if (winograd_pays(s)) {
      Epilogue<T> epilogue;
      epilogue.resume = policy == Policy::accumulate;
      epilogue.gradient = gradient;
      return winograd_backward_input(context, s, dy, w, dx, epilogue);
    }
  }
  const Extents e = extents_of(s);
  for (int64_t phase_h = 0; phase_h < min_of(s.stride_h, s.h); ++phase_h) {
    const WindowAxis vertical = gradient_axis(phase_h, s.h, s.oh, s.kh, s.stride_h, s.pad_top, s.dilation_h);
    for (int64_t phase_w = 0; phase_w < min_of(s.stride_w, s.w); ++phase_w) {
      const WindowAxis horizontal =
          gradient_axis(phase_w, s.w, s.ow, s.kw, s.stride_w, s.pad_left, s.dilation_w);
      for (int64_t g = 0; g < s.groups; ++g) {
        const WindowRows<T> rows{dy + g * e.outputs, s.n, vertical, horizontal, s.o, s.c, s.h, s.w,
                                 {e.outputs}};
        T* const dx_group = dx + g * e.inputs;
        if (rows.segments() == 0) {
          if (policy == Policy::assign) clear_unreached(context, rows, e.inputs, dx_group);
          continue;
        }
        Epilogue<T> epilogue;
        epilogue.resume = policy == Policy::accumulate;
        epilogue.gradient = gradient;
        if (gradient.saved != nullptr) epilogue.gradient.saved += g * e.inputs;
        gemm_rows(context, rows.rows(), e.inputs, rows,
                  GradientColumns<T>{s, vertical, horizontal, w + g * e.outputs}, dx_group, epilogue);
      }
    }
  }
}

template <class T>
void backward_weights(Context& context, const Conv2dShape& s, const T* x, const T* dy, Policy policy, T* dw,
                      T* db) {
  if (reads_image(s, nullptr, kBlockDepth<T>)) {
    return image_weights(context, s, ImageGradient<T>{nullptr, dy, nullptr}, x, policy, dw, db);
  }
  if constexpr (sizeof(T) == 4) {
    if (winograd_pays(s)) return winograd_backward_weights(context, s, x, dy, policy, dw, db);
  }
  if (is_depthwise(s)) return depthwise_backward_weights(context, s, x, dy, policy, dw, db);
  const Extents e = extents_of(s);
  for (int64_t g = 0; g < s.groups; ++g) {
    const ColumnsPlan plan = plan_columns<T>(e.taps * e.inputs, e.outputs, s.n * s.oh * s.ow);
    T* const db_group = db != nullptr ? db + g * e.outputs : nullptr;
    gemm_columns(context, plan, PatchSource<T>(s, x + g * e.inputs), dy + g * e.outputs, s.o, policy,
                 dw + g * e.outputs, s.o, db_group);
  }
}

template <class T>
void backward_weights_pooled(Context& context, const Conv2dShape& s, const Pool2dShape& pool, const T* x,
                             const T* dy, const int32_t* index, Policy policy, T* dw, T* db) {
  image_weights(context, s, ImageGradient<T>{&pool, dy, index}, x, policy, dw, db);
}

}  // namespace

template <class T>
void fill(kernels::Conv2dKernels<T>& table) {
  table = {workspace<T>, forward<T>,        backward_input<T>, backward_weights<T>,
           pools<T>,     forward_pooled<T>, pools_weights<T>,  backward_weights_pooled<T>};
}

template void fill(kernels::Conv2dKernels<float>&);
template void fill(kernels::Conv2dKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
