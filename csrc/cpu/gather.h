// Casts, and the gathering of batches from arrays of any type.
#pragma once

#include "cpu/parallel.h"
#include "cpu/put.h"
#include "kernels/elementwise.h"

namespace nnx::cpu::NNX_ISA {

inline constexpr int64_t kGrain = 8192;  // elements

// body(typed pointer) for the type that `from` has.
template <class F>
NNX_INLINE void with_type(DType type, const void* from, const F& body) {
  switch (type) {
    case DType::float32:
      return body(static_cast<const float*>(from));
    case DType::float64:
      return body(static_cast<const double*>(from));
    case DType::int32:
      return body(static_cast<const int32_t*>(from));
    case DType::int64:
      return body(static_cast<const int64_t*>(from));
    case DType::uint8:
      return body(static_cast<const uint8_t*>(from));
  }
}

template <class T>
void cast(Context& context, int64_t n, DType from_type, const void* from, T* to) {
  with_type(from_type, from, [&](const auto* source) {
    for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = static_cast<T>(source[i]);
    });
  });
}

// to (rows, cols) = To(from[order[first + r]])
template <class To>
void gather_rows(Context& context, int64_t rows, int64_t cols, DType from_type, const void* from,
                 const int64_t* order, Live<int64_t> first, To* to) {
  const int64_t start = value_of(first);
  const int64_t grain = max_of(1, kGrain / max_of(cols, 1));
  with_type(from_type, from, [&](const auto* source) {
    for_ranges(context, rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const auto* row = source + (order != nullptr ? order[start + r] : start + r) * cols;
        To* target = to + r * cols;
        for (int64_t c = 0; c < cols; ++c) target[c] = static_cast<To>(row[c]);
      }
    });
  });
}

template <class From>
void gather_labels_of(Context& context, int64_t rows, int64_t classes, const volatile From* from,
                      const int64_t* order, int64_t start, int32_t* to, LabelFault* fault) {
  for_ranges(context, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t label = from[order != nullptr ? order[start + r] : start + r];
      const bool known = label >= 0 && label < classes;
      to[r] = known ? static_cast<int32_t>(label) : 0;
      if (!known) {
        __atomic_store_n(&fault->label, label, __ATOMIC_RELAXED);
        __atomic_store_n(&fault->found, 1, __ATOMIC_RELAXED);
      }
    }
  });
}

inline void gather_labels(Context& context, int64_t rows, int64_t classes, DType from_type, const void* from,
                          const int64_t* order, Live<int64_t> first, int32_t* to, LabelFault* fault) {
  const auto run = [&](const auto* labels) {
    gather_labels_of(context, rows, classes, labels, order, value_of(first), to, fault);
  };
  if (from_type == DType::int64) return run(static_cast<const int64_t*>(from));
  if (from_type == DType::uint8) return run(static_cast<const uint8_t*>(from));
  run(static_cast<const int32_t*>(from));
}

}  // namespace nnx::cpu::NNX_ISA
