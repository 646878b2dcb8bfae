// The transforms of winograd.h for windows of 5x5: polynomials' values at 0, 1, -1, infinity and at i and -i,
// which keep every factor a power of two (Meng and Brothers 2019); with 2 and -2 thirds would arise.
//
// Along one axis a value of a real polynomial at i stands for that at -i too, so six numbers remain: the
// values at 0, 1, -1, the real and imaginary part at i, the value at infinity. Along both axes these are
//
//   4 x 4   real numbers                                           16 products
//   8       complex numbers, where one axis is at i and one is not  24
//   2       complex numbers, at (i, i) and (i, -i)                   6
//
// with three products for a complex one: r = ur (vr + vi) - vi (ur + ui), i = ur (vr + vi) + vr (ui - ur).
#pragma once

#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

struct Taps5 {
  // Points: for each real row its real ones and its complex one, then the complex ones of the rows at i.
  static constexpr int size = 5, patch = 6, points = 46, sum = 8;
  static constexpr int kRowPoints = 7, kComplexRow = 4 * kRowPoints, kCorner = kComplexRow + 4 * 3;

  // Of the six numbers: the real values, and the real part at i, which the imaginary one follows.
  static constexpr int kReal[4] = {0, 1, 2, 5}, kAtI = 3;

  // The points of two real rows, of the other two, and of the rows at i, for what works on a part of them.
  static constexpr int groups = 3, all = -1, group_points = points - kComplexRow;
  static constexpr int group_begin(int group) { return group * 2 * kRowPoints; }
  static constexpr int group_end(int group) { return group < 2 ? group_begin(group + 1) : points; }

  // Six rows of six numbers to a group's points. row(i, t): t = row i; put: a complex number's three factors.
  template <int Group, class Row, class Put>
  NNX_INLINE void put_points(const Row& row, const Put& put, float corner, float* to, int64_t step) {
    constexpr int begin = Group == all ? 0 : 2 * Group, end = Group == all || Group == 2 ? 4 : begin + 2;
#pragma GCC unroll 4
    for (int i = begin; i < end; ++i, to += kRowPoints * step) {
      Vec<float> t[6];
      row(kReal[i], t);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) store(to + j * step, t[kReal[j]]);
      put(t[kAtI], t[kAtI + 1], to + 4 * step, step);
    }
    if constexpr (Group == all || Group == 2) {
      Vec<float> re[6], im[6];
      row(kAtI, re);
      row(kAtI + 1, im);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) put(re[kReal[j]], im[kReal[j]], to + 3 * j * step, step);
      put((re[3] - im[4]) * corner, (re[4] + im[3]) * corner, to + 12 * step, step);
      put((re[3] + im[4]) * corner, (im[3] - re[4]) * corner, to + 15 * step, step);
    }
  }

  // The transpose: points at(point) to six rows. take: a complex number from its three points.
  template <class At, class Take, class Row>
  NNX_INLINE void take_points(const At& at, const Take& take, float corner, const Row& row) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      Vec<float> t[6];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) t[kReal[j]] = at(i * kRowPoints + j);
      take(at, i * kRowPoints + 4, t[kAtI], t[kAtI + 1]);
      row(kReal[i], t);
    }
    Vec<float> re[6], im[6], r1, i1, r2, i2;
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) take(at, kComplexRow + 3 * j, re[kReal[j]], im[kReal[j]]);
    take(at, kCorner, r1, i1);
    take(at, kCorner + 3, r2, i2);
    re[3] = (r1 + r2) * corner;
    re[4] = (i1 - i2) * corner;
    im[3] = (i1 + i2) * corner;
    im[4] = (r2 - r1) * corner;
    row(kAtI, re);
    row(kAtI + 1, im);
  }

  // (six points, one column): Bᵀ applied.
  NNX_INLINE void patch_pass(const Vec<float> (&d)[6], Vec<float> (&t)[6]) {
    const Vec<float> even = d[2] + d[4], odd = d[1] + d[3];
    t[0] = d[0] - d[4];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = d[4] - d[2];
    t[4] = d[3] - d[1];
    t[5] = d[5] - d[1];
  }

  // v (a group's points, channels) = Bᵀ d B of the channels in one vector; points are `step` apart. at(i, j):
  // d's vectors.
  template <int Group, class F>
  NNX_INLINE void transform_patch(const F& at, float* v, int64_t step) {
    Vec<float> half[6][6];  // [row][column]
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      const Vec<float> d[6] = {at(0, j), at(1, j), at(2, j), at(3, j), at(4, j), at(5, j)};
      Vec<float> t[6];
      patch_pass(d, t);
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) half[i][j] = t[i];
    }
    const auto put = [](Vec<float> r, Vec<float> i, float* to, int64_t apart) {
      store(to, r + i);
      store(to + apart, r);
      store(to + 2 * apart, i);
    };
    put_points<Group>([&](int i, Vec<float>(&t)[6]) { patch_pass(half[i], t); }, put, 1, v, step);
  }

  // (six values): Aᵀ applied.
  NNX_INLINE void products_pass(const Vec<float> (&t)[6], Vec<float>& a, Vec<float>& b) {
    a = (t[0] + t[3]) + (t[1] + t[2]);
    b = (t[5] - t[4]) + (t[1] - t[2]);
  }

  // y (2x2 points) = Aᵀ m A; at(point): m's vectors.
  template <class F>
  NNX_INLINE void transform_products(const F& at, Vec<float>& y00, Vec<float>& y01, Vec<float>& y10,
                                     Vec<float>& y11) {
    Vec<float> left[6], right[6];
    const auto take = [](const F& from, int point, Vec<float>& r, Vec<float>& i) {
      const Vec<float> shared = from(point);
      r = shared - from(point + 2);
      i = shared + from(point + 1);
    };
    take_points(at, take, 1, [&](int i, const Vec<float>(&t)[6]) { products_pass(t, left[i], right[i]); });
    products_pass(left, y00, y10);
    products_pass(right, y01, y11);
  }

  // (five taps): G applied.
  NNX_INLINE void filter_pass(const Vec<float> (&g)[5], Vec<float> (&t)[6]) {
    const Vec<float> outer = g[0] + g[4], even = (outer + g[2]) * 0.25f, odd = (g[1] + g[3]) * 0.25f;
    t[0] = g[0];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = (outer - g[2]) * 0.5f;
    t[4] = (g[1] - g[3]) * 0.5f;
    t[5] = g[4];
  }

  // u (46, .) = G g Gᵀ; g's taps are tap_step apart, u's points `step`.
  NNX_INLINE void transform_filter(const float* g, int64_t tap_step, float* u, int64_t step) {
    Vec<float> half[6][5];  // [row][column]
#pragma GCC unroll 5
    for (int j = 0; j < 5; ++j) {
      Vec<float> taps[5], t[6];
#pragma GCC unroll 5
      for (int i = 0; i < 5; ++i) taps[i] = load(g + (5 * i + j) * tap_step);
      filter_pass(taps, t);
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) half[i][j] = t[i];
    }
    const auto put = [](Vec<float> r, Vec<float> i, float* to, int64_t apart) {
      store(to, r);
      store(to + apart, i - r);
      store(to + 2 * apart, r + i);
    };
    put_points<all>([&](int i, Vec<float>(&t)[6]) { filter_pass(half[i], t); }, put, 0.5f, u, step);
  }

  // (two points of a tile): A applied.
  NNX_INLINE void tile_pass(Vec<float> a, Vec<float> b, Vec<float> (&t)[6]) {
    t[0] = a;
    t[1] = a + b;
    t[2] = a - b;
    t[3] = a;
    t[4] = -b;
    t[5] = b;
  }

  // d (a group's points, channels) = A dy Aᵀ of the channels in one vector.
  template <int Group>
  NNX_INLINE void transform_gradient(Vec<float> y00, Vec<float> y01, Vec<float> y10, Vec<float> y11, float* d,
                                     int64_t step) {
    Vec<float> left[6], right[6];
    tile_pass(y00, y10, left);
    tile_pass(y01, y11, right);
    const auto put = [](Vec<float> r, Vec<float> i, float* to, int64_t apart) {
      store(to, r + i);
      store(to + apart, i);
      store(to + 2 * apart, -r);
    };
    put_points<Group>([&](int i, Vec<float>(&t)[6]) { tile_pass(left[i], right[i], t); }, put, 1, d, step);
  }

  // (six sums): Gᵀ applied.
  NNX_INLINE void sums_pass(const Vec<float> (&s)[6], Vec<float> (&t)[5]) {
    const Vec<float> even = (s[1] + s[2]) * 0.25f, odd = (s[1] - s[2]) * 0.25f;
    const Vec<float> re = s[3] * 0.5f, im = s[4] * 0.5f, outer = even + re;
    t[0] = s[0] + outer;
    t[1] = odd + im;
    t[2] = even - re;
    t[3] = odd - im;
    t[4] = outer + s[5];
  }

  // taps (25) = Gᵀ s G; s's points are `step` apart.
  NNX_INLINE void transform_sums(const float* s, int64_t step, Vec<float> (&taps)[25]) {
    Vec<float> half[5][6];  // [column][row]
    const auto at = [&](int point) { return load(s + point * step); };
    const auto take = [](const auto& from, int point, Vec<float>& r, Vec<float>& i) {
      const Vec<float> middle = from(point + 1), both = from(point + 2);
      r = (from(point) - middle) + both;
      i = middle + both;
    };
    take_points(at, take, 0.5f, [&](int i, const Vec<float>(&row)[6]) {
      Vec<float> t[5];
      sums_pass(row, t);
#pragma GCC unroll 5
      for (int j = 0; j < 5; ++j) half[j][i] = t[j];
    });
#pragma GCC unroll 5
    for (int j = 0; j < 5; ++j) {
      Vec<float> t[5];
      sums_pass(half[j], t);
#pragma GCC unroll 5
      for (int i = 0; i < 5; ++i) taps[i * 5 + j] = t[i];
    }
  }
};

}  // namespace nnx::cpu::NNX_ISA
