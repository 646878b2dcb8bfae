// Sums, copies, casts and the gathering of batches.
#pragma once

#include "core/context.h"
#include "core/dtype.h"

namespace nnx {

// A strided run of rows: `rows` runs of `cols` elements, `stride` elements apart.
struct StridedShape {
  int64_t rows, cols;
  int64_t from_stride, to_stride;
};

// What gather_labels met that is no class: the last such label. It stays until somebody clears it.
struct LabelFault {
  int64_t label = 0;
  int32_t found = 0;
};

namespace kernels {

template <class T>
struct ElementwiseKernels {
  // y (n) = a + b; y may be either
  void (*add)(Context&, int64_t n, const T* a, const T* b, T* y);
  // y (n) = or += a * b
  void (*multiply)(Context&, int64_t n, const T* a, const T* b, Policy, T* y);
  // y (n) = or += factor * x
  void (*scale)(Context&, int64_t n, double factor, const T* x, Policy, T* y);
  void (*fill)(Context&, int64_t n, double value, T* y);
  // y (rows, cols) = x + b (cols); y may be x
  void (*bias_add)(Context&, int64_t rows, int64_t cols, const T* x, const T* b, T* y);
  // db (cols) = or += column sums of dy (rows, cols), in an order fixed by the shape
  void (*bias_gradient)(Context&, int64_t rows, int64_t cols, const T* dy, Policy, T* db);
  // to[r * to_stride + c] = or += from[r * from_stride + c]: concatenation and its gradient
  void (*copy_strided)(Context&, const StridedShape&, const T* from, Policy, T* to);
  // y (rows, channels) = (x - mean) / deviation, mean and deviation (channels)
  void (*normalize)(Context&, int64_t rows, int64_t channels, const T* x, const T* mean, const T* deviation,
                    T* y);
  // dx (rows, channels) = or += dy / deviation
  void (*normalize_backward)(Context&, int64_t rows, int64_t channels, const T* dy, const T* deviation,
                             Policy, T* dx);
  // y (n) = log(max(x, 1e-12));  dx (n) = or += dy / max(x, 1e-12), 0 where x was below
  void (*log_forward)(Context&, int64_t n, const T* x, T* y);
  void (*log_backward)(Context&, int64_t n, const T* dy, const T* x, Policy, T* dx);
  // to (n) = T(from), from of any DType
  void (*cast)(Context&, int64_t n, DType from_type, const void* from, T* to);
  // to (rows, cols) = T(from[order[first + r]]), from (*, cols) of any DType; order null: from[first + r]
  void (*gather)(Context&, int64_t rows, int64_t cols, DType from_type, const void* from,
                 const int64_t* order, Live<int64_t> first, T* to);
  // The same for labels (rows) of int32, int64 or uint8. Others may write to them meanwhile: each is read
  // once, and one outside [0, classes) becomes 0 and is told to `fault`.
  void (*gather_labels)(Context&, int64_t rows, int64_t classes, DType from_type, const void* from,
                        const int64_t* order, Live<int64_t> first, int32_t* to, LabelFault* fault);
};

}  // namespace kernels
}  // namespace nnx
