// Normal numbers from uniform words (Box and Muller, Annals of Mathematical Statistics 1958), in double.
#pragma once

#include "cpu/vmath.h"

namespace nnx::cpu::NNX_ISA {

// sin and cos of 2 pi u for u in [0, 1), within 2^-52: by the nearest quarter turn.
NNX_INLINE void sincos_turns(Vec<double> u, Vec<double>& sine, Vec<double>& cosine) {
  constexpr double kSine[] = {6.2831853071795864572,  -41.341702240399636207, 81.605249275948035209,
                              -76.705859704274550647, 42.058685020160894047,  -15.093804209987113512,
                              3.7808689593022955184};
  constexpr double kCosine[] = {1.0,
                                -19.739208802178716989,
                                64.939394022667957529,
                                -85.456817206522712487,
                                60.24464132886729332,
                                -26.426250908622135959,
                                7.9030916877516976361,
                                -1.6968494702918826806};
  const double round = MathConstants<double>::kRound;
  const Vec<double> shifted = u * 4 + round;
  const IntVec<double> quarter = (IntVec<double>)shifted;
  const Vec<double> r = u - (shifted - round) * 0.25, z = r * r;
  const Vec<double> s = r * polynomial(z, kSine), c = polynomial(z, kCosine);
  const IntVec<double> odd = (quarter & 1) != 0;
  sine = odd ? c : s;
  cosine = odd ? s : c;
  sine = (quarter & 2) != 0 ? -sine : sine;
  cosine = ((quarter + 1) & 2) != 0 ? -cosine : cosine;
}

// body(i, value) for i in [0, count): normal by Box and Muller from the words of (i, i + 1), i even. Elements
// i and i + 1 are deviation * sqrt(-2 log((w_i + 1) / 2^32)) times the cosine and the sine of 2 pi w_(i+1) /
// 2^32.
template <class F>
NNX_INLINE void for_normals(int64_t count, const uint32_t* words, double deviation, const F& body) {
  constexpr int kPairs = kLanes<double>;
  for (int64_t i = 0; i < count; i += 2 * kPairs) {
    Vec<double> radius, turns;
    for (int lane = 0; lane < kPairs; ++lane) {
      radius[lane] = (words[i + 2 * lane] + 1.0) * 0x1p-32;
      turns[lane] = words[i + 2 * lane + 1] * 0x1p-32;
    }
    radius = square_root(log<double>(radius) * -2) * deviation;
    Vec<double> sine, cosine;
    sincos_turns(turns, sine, cosine);
    const Vec<double> even = radius * cosine, odd = radius * sine;
    for (int lane = 0; lane < kPairs; ++lane) {
      const int64_t at = i + 2 * lane;
      if (at < count) body(at, even[lane]);
      if (at + 1 < count) body(at + 1, odd[lane]);
    }
  }
}

}  // namespace nnx::cpu::NNX_ISA
