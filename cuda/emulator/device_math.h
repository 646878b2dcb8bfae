// The arithmetic a kernel has without including anything. What <math.h> has is taken from there; no function
// here may round otherwise than its namesake on a GPU, except those that are approximate there (__expf).
#pragma once

#include <math.h>  // not <cmath>: the overloads for float are to be global, as with nvcc
#include <stdlib.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#define NNX_DEVICE inline

#define NNX_MIN_MAX(T)                                 \
  NNX_DEVICE T min(T a, T b) { return b < a ? b : a; } \
  NNX_DEVICE T max(T a, T b) { return a < b ? b : a; }
NNX_MIN_MAX(int)
NNX_MIN_MAX(unsigned)
NNX_MIN_MAX(long)
NNX_MIN_MAX(unsigned long)
NNX_MIN_MAX(long long)
NNX_MIN_MAX(unsigned long long)
#undef NNX_MIN_MAX
// Of a NaN and a number: the number.
NNX_DEVICE float min(float a, float b) { return fminf(a, b); }
NNX_DEVICE float max(float a, float b) { return fmaxf(a, b); }
NNX_DEVICE double min(double a, double b) { return fmin(a, b); }
NNX_DEVICE double max(double a, double b) { return fmax(a, b); }

namespace nnx::emulator {
template <class To, class From>
inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace nnx::emulator

NNX_DEVICE unsigned __float_as_uint(float x) { return nnx::emulator::bits_as<unsigned>(x); }
NNX_DEVICE int __float_as_int(float x) { return nnx::emulator::bits_as<int>(x); }
NNX_DEVICE float __uint_as_float(unsigned x) { return nnx::emulator::bits_as<float>(x); }
NNX_DEVICE float __int_as_float(int x) { return nnx::emulator::bits_as<float>(x); }
NNX_DEVICE long long __double_as_longlong(double x) { return nnx::emulator::bits_as<long long>(x); }
NNX_DEVICE double __longlong_as_double(long long x) { return nnx::emulator::bits_as<double>(x); }

NNX_DEVICE float rsqrtf(float x) { return 1.0f / sqrtf(x); }
NNX_DEVICE double rsqrt(double x) { return 1.0 / sqrt(x); }
NNX_DEVICE float __expf(float x) { return expf(x); }
NNX_DEVICE float __logf(float x) { return logf(x); }
NNX_DEVICE float __log2f(float x) { return log2f(x); }
NNX_DEVICE float __powf(float x, float y) { return powf(x, y); }
NNX_DEVICE float __sinf(float x) { return sinf(x); }
NNX_DEVICE float __cosf(float x) { return cosf(x); }
NNX_DEVICE float __fdividef(float x, float y) { return x / y; }
NNX_DEVICE float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
NNX_DEVICE double sinpi(double x) { return sin(x * 3.14159265358979323846); }
NNX_DEVICE double cospi(double x) { return cos(x * 3.14159265358979323846); }
NNX_DEVICE float sinpif(float x) { return static_cast<float>(sinpi(x)); }
NNX_DEVICE float cospif(float x) { return static_cast<float>(cospi(x)); }
NNX_DEVICE void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }
NNX_DEVICE void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }

// Rounded to nearest, never contracted into a fused multiply-add.
NNX_DEVICE float __fadd_rn(float x, float y) { return x + y; }
NNX_DEVICE float __fsub_rn(float x, float y) { return x - y; }
NNX_DEVICE float __fmul_rn(float x, float y) {
  volatile float product = x * y;
  return product;
}
NNX_DEVICE float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
NNX_DEVICE float __fdiv_rn(float x, float y) { return x / y; }
NNX_DEVICE float __frcp_rn(float x) { return 1.0f / x; }
NNX_DEVICE float __fsqrt_rn(float x) { return sqrtf(x); }
NNX_DEVICE double __dadd_rn(double x, double y) { return x + y; }
NNX_DEVICE double __dmul_rn(double x, double y) {
  volatile double product = x * y;
  return product;
}
NNX_DEVICE double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

NNX_DEVICE int __float2int_rn(float x) { return static_cast<int>(nearbyintf(x)); }
NNX_DEVICE int __float2int_rz(float x) { return static_cast<int>(x); }
NNX_DEVICE int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
NNX_DEVICE float __int2float_rn(int x) { return static_cast<float>(x); }
NNX_DEVICE float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
NNX_DEVICE float __double2float_rn(double x) { return static_cast<float>(x); }

NNX_DEVICE int __popc(unsigned x) { return __builtin_popcount(x); }
NNX_DEVICE int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
NNX_DEVICE int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
NNX_DEVICE int __clzll(long long x) {
  return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
NNX_DEVICE int __ffs(int x) { return __builtin_ffs(x); }
NNX_DEVICE int __ffsll(long long x) { return __builtin_ffsll(x); }
NNX_DEVICE unsigned __umulhi(unsigned x, unsigned y) {
  return static_cast<unsigned>((static_cast<uint64_t>(x) * y) >> 32);
}
NNX_DEVICE int __mulhi(int x, int y) { return static_cast<int>((static_cast<int64_t>(x) * y) >> 32); }
NNX_DEVICE unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(x) * y) >> 64);
}

#undef NNX_DEVICE
