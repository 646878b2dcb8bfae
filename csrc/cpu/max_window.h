// The maximum of one window, for whoever pools: pool2d and the convolutions that pool their own rows.
#pragma once

#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

// Lanes of a row of int32 positions.
template <class T>
NNX_INLINE IntVec<T> load_positions(const int32_t* p, int64_t lanes) {
  if constexpr (sizeof(T) == 4) {
    return (IntVec<T>)load_some(reinterpret_cast<const float*>(p), lanes);
  } else {
    IntVec<T> v{};
    for (int lane = 0; lane < kLanes<T>; ++lane) v[lane] = lane < lanes ? p[lane] : 0;
    return v;
  }
}

template <class T>
NNX_INLINE void store_positions(int32_t* p, IntVec<T> v, int64_t lanes) {
  if constexpr (sizeof(T) == 4) {
    store_some(reinterpret_cast<float*>(p), (Vec<float>)v, lanes);
  } else {
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      if (lane < lanes) p[lane] = static_cast<int32_t>(v[lane]);
    }
  }
}

template <class T>
NNX_INLINE IntVec<T> every_lane(int64_t position) {
  return IntVec<T>{} + static_cast<typename Simd<T>::Int>(position);
}

// A window of kh x kw points of c channels. In memory points are `point` apart and rows `row`; positions are
// `apart` and `width`.
struct MaxWindow {
  int64_t kh, kw, width, c, point, row;
  int64_t apart = 1;
};

// y (c) = maxima over the window whose first point is x, and index (c) = their positions, of which the first
// point's is `first`; index may be null. The first of equals wins; a NaN wins over everything.
template <class T>
NNX_INLINE void max_window(const MaxWindow& window, const T* x, int64_t first, T* y, int32_t* index) {
  for_vectors<T>(0, window.c, [&](int64_t c, int64_t lanes) {
    Vec<T> best = load_some(x + c, lanes);
    IntVec<T> where = every_lane<T>(first);
    for (int64_t i = 0; i < window.kh; ++i) {
      for (int64_t j = 0; j < window.kw; ++j) {
        const Vec<T> v = load_some(x + i * window.row + j * window.point + c, lanes);
        const IntVec<T> wins = ~(v <= best) & (best == best);
        best = wins ? v : best;
        where = wins ? every_lane<T>(first + i * window.width + j * window.apart) : where;
      }
    }
    store_some(y + c, best, lanes);
    if (index != nullptr) store_positions<T>(index + c, where, lanes);
  });
}

template <class T>
NNX_INLINE void max_run(const MaxWindow& window, int64_t step, int64_t count, const T* x, int64_t first, T* y,
                        int32_t* index, int64_t y_step) {
  for (int64_t j = 0; j < count; ++j) {
    max_window(window, x + j * step * window.point, first + j * step, y + j * y_step,
               index != nullptr ? index + j * y_step : nullptr);
  }
}

// `count` windows `step` points apart, of neighbouring points, to points of y `y_step` apart; the usual sizes
// with their loops unrolled.
template <class T>
NNX_INLINE void max_row(const MaxWindow& window, int64_t step, int64_t count, const T* x, int64_t first, T* y,
                        int32_t* index, int64_t y_step) {
  MaxWindow fixed = window;
  fixed.apart = 1;
  if (window.kh == 2 && window.kw == 2) {
    fixed.kh = fixed.kw = 2;
    return max_run(fixed, step, count, x, first, y, index, y_step);
  }
  if (window.kh == 3 && window.kw == 3) {
    fixed.kh = fixed.kw = 3;
    return max_run(fixed, step, count, x, first, y, index, y_step);
  }
  max_run(fixed, step, count, x, first, y, index, y_step);
}

}  // namespace nnx::cpu::NNX_ISA
