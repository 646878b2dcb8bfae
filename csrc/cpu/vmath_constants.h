// Bit layouts, ranges and polynomial coefficients of vmath.h. The polynomials interpolate at Chebyshev nodes;
// their own errors are below 2^-28 (float) and 2^-55 (double) of the function's value.
#pragma once

#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

template <class T>
struct MathConstants;

template <>
struct MathConstants<float> {
  static constexpr int kMantissaBits = 23;
  static constexpr int32_t kBias = 127;
  static constexpr int32_t kSqrtHalf = 0x3f3504f3;  // the bits of sqrt(1/2)
  static constexpr float kRound = 12582912.0f;      // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float kMinNormal = 1.17549435e-38f, kRaise = 33554432.0f;
  static constexpr int kRaiseBits = 25;
  static constexpr float kExpLow = -104.0f, kExpHigh = 89.0f, kExpm1Low = -20.0f, kTailHigh = 15.0f;
  // ln 2 in two parts; a product of the first with an exponent is exact.
  static constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
  static constexpr int32_t kUpperHalf = -4096;  // clears the lower half of a significand
  // (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2
  static constexpr float kExp[] = {0.5f,          0.16666667f,   0.041666463f,
                                   0.0083333105f, 0.0013933731f, 0.0001989108f};
  // (log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, on |s| <= 0.1716
  static constexpr float kLog[] = {0.66666687f, 0.3998876f, 0.29580986f};
  // e^(a^2/2) times the normal tail beyond a, in (a - 4) / (a + 4)
  static constexpr float kTailCenter = 4.0f;
  static constexpr float kTail[] = {0.09441064298f,   -0.17039772868f,   0.12437925488f,    -0.07170740515f,
                                    0.03086474165f,   -0.00849220995f,   0.00050797121366f, 0.00063983874861f,
                                    -0.000187915182f, -4.9081718316e-5f, 2.7247086109e-5f,  8.5224792201e-6f};
};

template <>
struct MathConstants<double> {
  static constexpr int kMantissaBits = 52;
  static constexpr int64_t kBias = 1023;
  static constexpr int64_t kSqrtHalf = 0x3fe6a09e667f3bcd;
  static constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kMinNormal = 2.2250738585072014e-308, kRaise = 18014398509481984.0;
  static constexpr int kRaiseBits = 54;
  static constexpr double kExpLow = -746.0, kExpHigh = 710.0, kExpm1Low = -40.0, kTailHigh = 40.0;
  static constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  static constexpr int64_t kUpperHalf = -(int64_t{1} << 27);
  static constexpr double kExp[] = {0.50000000000000010314,     0.1666666666666666746,
                                    0.041666666666623820532,    0.0083333333333300381973,
                                    0.0013888888917367080562,   0.00019841269863171556026,
                                    0.000024801521057868205199, 2.7557268276905696187e-6,
                                    2.7620201591031548792e-7,   2.5100472505694996003e-8};
  static constexpr double kLog[] = {0.66666666666666697077, 0.39999999999898890514, 0.28571428626253837606,
                                    0.22222211089379496214, 0.18182892432536871201, 0.15331611722055007885,
                                    0.14617807153417324964};
  static constexpr double kTailCenter = 5.0;
  static constexpr double kTail[] = {
      0.076919304975006295877,    -0.1434575552640119724,    0.11606881188600330272,
      -0.080883877264127361089,   0.047855352284169600565,   -0.023413900487693896097,
      0.0089913705505980870093,   -0.0023788443566677468527, 0.00021955073754404668565,
      0.00013427684322654088334,  -6.0427482373019248024e-5, 9.6130678418064918555e-7,
      6.644419936253439039e-6,    -1.2700784124302811263e-6, -6.7507651513122321171e-7,
      2.4335323340753376027e-7,   7.7106314902066245092e-8,  -3.9177508747531593151e-8,
      -1.0996973803321144273e-8,  5.6967296984476831741e-9,  1.8288584887387793986e-9,
      -5.7215353543926091837e-10, -2.3317088626272374039e-10};
};

}  // namespace nnx::cpu::NNX_ISA
