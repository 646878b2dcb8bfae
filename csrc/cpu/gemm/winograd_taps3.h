// The transforms of winograd.h for windows of 3x3: polynomials' values at 0, 1, -1 and infinity.
#pragma once

#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

struct Taps3 {
  static constexpr int size = 3, patch = 4, points = 16, sum = 5;

  static constexpr int groups = 1, all = 0, group_points = points;
  static constexpr int group_begin(int) { return 0; }
  static constexpr int group_end(int) { return points; }

  // (rows 0..3, one column): Bᵀ applied.
  NNX_INLINE void patch_pass(const Vec<float> (&d)[4], Vec<float> (&t)[4]) {
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
  }

  // v (16, channels) = Bᵀ d B of the channels in one vector; points are `step` apart. at(i, j): d's vectors.
  template <int Group, class F>
  NNX_INLINE void transform_patch(const F& at, float* v, int64_t step) {
    Vec<float> half[4][4];  // [column][row]
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const Vec<float> d[4] = {at(0, j), at(1, j), at(2, j), at(3, j)};
      patch_pass(d, half[j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const Vec<float> d[4] = {half[0][i], half[1][i], half[2][i], half[3][i]};
      Vec<float> t[4];
      patch_pass(d, t);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) store(v + (i * 4 + j) * step, t[j]);
    }
  }

  // y (2x2 points) = Aᵀ m A; at(point): m's vectors.
  template <class F>
  NNX_INLINE void transform_products(const F& at, Vec<float>& y00, Vec<float>& y01, Vec<float>& y10,
                                     Vec<float>& y11) {
    Vec<float> upper[4], lower[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const Vec<float> sum = at(4 + j) + at(8 + j), difference = at(4 + j) - at(8 + j);
      upper[j] = at(j) + sum;
      lower[j] = difference - at(12 + j);
    }
    y00 = upper[0] + (upper[1] + upper[2]);
    y01 = (upper[1] - upper[2]) - upper[3];
    y10 = lower[0] + (lower[1] + lower[2]);
    y11 = (lower[1] - lower[2]) - lower[3];
  }

  // (taps 0..2): G applied.
  NNX_INLINE void filter_pass(Vec<float> a, Vec<float> b, Vec<float> c, Vec<float> (&t)[4]) {
    const Vec<float> outer = (a + c) * 0.5f, middle = b * 0.5f;
    t[0] = a;
    t[1] = outer + middle;
    t[2] = outer - middle;
    t[3] = c;
  }

  // u (16, .) = G g Gᵀ; g's taps are tap_step apart, u's points `step`.
  NNX_INLINE void transform_filter(const float* g, int64_t tap_step, float* u, int64_t step) {
    Vec<float> half[3][4];  // [column][row]
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) {
      filter_pass(load(g + j * tap_step), load(g + (3 + j) * tap_step), load(g + (6 + j) * tap_step),
                  half[j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      Vec<float> t[4];
      filter_pass(half[0][i], half[1][i], half[2][i], t);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) store(u + (i * 4 + j) * step, t[j]);
    }
  }

  // (two points of a tile): A applied.
  NNX_INLINE void tile_pass(Vec<float> a, Vec<float> b, Vec<float> (&t)[4]) {
    t[0] = a;
    t[1] = a + b;
    t[2] = a - b;
    t[3] = -b;
  }

  // d (16, channels) = A dy Aᵀ of the channels in one vector.
  template <int Group>
  NNX_INLINE void transform_gradient(Vec<float> y00, Vec<float> y01, Vec<float> y10, Vec<float> y11, float* d,
                                     int64_t step) {
    Vec<float> left[4], right[4];
    tile_pass(y00, y10, left);
    tile_pass(y01, y11, right);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      Vec<float> t[4];
      tile_pass(left[i], right[i], t);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) store(d + (i * 4 + j) * step, t[j]);
    }
  }

  // (four sums): Gᵀ applied.
  NNX_INLINE void sums_pass(Vec<float> a, Vec<float> b, Vec<float> c, Vec<float> d, Vec<float> (&t)[3]) {
    const Vec<float> half = (b + c) * 0.5f;
    t[0] = a + half;
    t[1] = (b - c) * 0.5f;
    t[2] = half + d;
  }

  // taps (9) = Gᵀ s G; s's points are `step` apart.
  NNX_INLINE void transform_sums(const float* s, int64_t step, Vec<float> (&taps)[9]) {
    Vec<float> half[4][3];  // [column][row]
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sums_pass(load(s + j * step), load(s + (4 + j) * step), load(s + (8 + j) * step),
                load(s + (12 + j) * step), half[j]);
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
      Vec<float> t[3];
      sums_pass(half[0][i], half[1][i], half[2][i], half[3][i], t);
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j) taps[i * 3 + j] = t[j];
    }
  }
};

}  // namespace nnx::cpu::NNX_ISA
