// Elements of arrays that are part of a larger one or spread over one, in the order of an evaluation.
#pragma once

#include "cpu/put.h"
#include "kernels/arithmetic.h"

namespace nnx::cpu::NNX_ISA {

// Whether element i of the evaluation is element i of the array.
template <class T>
NNX_INLINE bool is_whole(const Evaluation<T>& work, const int64_t* strides) {
  int64_t expected = 1;
  for (int axis = work.axes - 1; axis >= 0; --axis) {
    if (work.extents[axis] != 1 && strides[axis] != expected) return false;
    expected *= work.extents[axis];
  }
  return true;
}

// body(place in the array, count) for elements [begin, end), in runs along the last axis.
template <class T, class F>
NNX_INLINE void for_runs(const Evaluation<T>& work, const int64_t* strides, int64_t begin, int64_t end,
                         const F& body) {
  const int last = work.axes - 1;
  int64_t index[kMostAxes], place = 0, rest = begin;
  for (int axis = last; axis >= 0; --axis) {
    index[axis] = rest % work.extents[axis];
    rest /= work.extents[axis];
    place += index[axis] * strides[axis];
  }
  for (int64_t at = begin; at < end;) {
    const int64_t count = min_of(work.extents[last] - index[last], end - at);
    body(place, count);
    at += count;
    index[last] += count;
    place += count * strides[last];
    for (int axis = last; axis > 0 && index[axis] == work.extents[axis]; --axis) {
      place += strides[axis - 1] - index[axis] * strides[axis];
      index[axis] = 0;
      ++index[axis - 1];
    }
  }
}

// to = elements [begin, end) of x
template <class T>
NNX_INLINE void gather(const Evaluation<T>& work, const StridedArray<const T>& x, int64_t begin, int64_t end,
                       T* to) {
  const int64_t stride = x.strides[work.axes - 1];
  for_runs(work, x.strides, begin, end, [&](int64_t place, int64_t count) {
    const T* const from = x.data + place;
    if (stride == 0) {
      const T value = *from;
      for (int64_t i = 0; i < count; ++i) to[i] = value;
    } else {
      for (int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
    }
    to += count;
  });
}

// elements [begin, end) of y = or += from
template <class T>
NNX_INLINE void scatter(const Evaluation<T>& work, const StridedArray<T>& y, Policy policy, int64_t begin,
                        int64_t end, const T* from) {
  const int64_t stride = y.strides[work.axes - 1];
  for_runs(work, y.strides, begin, end, [&](int64_t place, int64_t count) {
    for (int64_t i = 0; i < count; ++i) put(y.data + place + i * stride, from[i], policy);
    from += count;
  });
}

}  // namespace nnx::cpu::NNX_ISA
