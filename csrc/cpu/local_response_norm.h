// Local response normalisation (Krizhevsky et al. 2012), pixel by pixel.
#pragma once

#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/vmath.h"
#include "kernels/norm.h"

namespace nnx::cpu::NNX_ISA {

// Room for the channels of a pixel with `reach` zeros on either side; kScratchBytes hold what channels there
// can be.
template <class T>
NNX_INLINE T* padded(T* room, int64_t reach, int64_t channels) {
  for (int64_t i = 0; i < reach; ++i) room[i] = room[reach + channels + i] = T(0);
  return room + reach;
}

// The sum of `values` over channels c - reach .. c + reach, for `lanes` channels.
template <class T>
NNX_INLINE Vec<T> window_sum(const T* values, int64_t c, int64_t reach, int64_t lanes) {
  Vec<T> sum = load_some(values + c - reach, lanes);
  for (int64_t i = 1 - reach; i <= reach; ++i) sum += load_some(values + c + i, lanes);
  return sum;
}

template <class T>
NNX_INLINE Vec<T> power(Vec<T> base, T exponent) {
  return exp<T>(log<T>(base) * exponent);
}

// pixel(x offset, squares, spare): once per pixel, `squares` padded with zeros, and as much room behind it.
template <class T, class F>
NNX_INLINE void for_pixels(Context& context, const LocalResponseNormShape& shape, const T* x,
                           const F& pixel) {
  const int64_t channels = shape.channels, reach = min_of(shape.size / 2, channels);
  for_ranges(context, shape.pixels, max_of(1, 4096 / max_of(channels, 1)), [&](int64_t begin, int64_t end) {
    T* squares = padded(static_cast<T*>(thread_scratch()), reach, channels);
    T* spare = padded(squares + channels + reach, reach, channels);
    for (int64_t at = begin * channels; at < end * channels; at += channels) {
      for_vectors<T>(0, channels, [&](int64_t c, int64_t lanes) {
        const Vec<T> v = load_some(x + at + c, lanes);
        store_some(squares + c, v * v, lanes);
      });
      pixel(at, reach, squares, spare);
    }
  });
}

template <class T>
static void local_response_norm(Context& context, const LocalResponseNormShape& shape, const T* x, T* y) {
  const T alpha = static_cast<T>(shape.alpha), k = static_cast<T>(shape.k), beta = static_cast<T>(shape.beta);
  if (shape.channels == 0) return for_ranges(context, 0, 1, [](int64_t, int64_t) {});
  for_pixels(context, shape, x, [&](int64_t at, int64_t reach, const T* squares, T*) {
    for_vectors<T>(0, shape.channels, [&](int64_t c, int64_t lanes) {
      const Vec<T> base = window_sum(squares, c, reach, lanes) * alpha + k;
      store_some(y + at + c, load_some(x + at + c, lanes) * power<T>(base, -beta), lanes);
    });
  });
}

template <class T>
static void local_response_norm_backward(Context& context, const LocalResponseNormShape& shape, const T* dy,
                                         const T* x, Policy policy, T* dx) {
  const T alpha = static_cast<T>(shape.alpha), k = static_cast<T>(shape.k), beta = static_cast<T>(shape.beta);
  const T factor = static_cast<T>(-2.0 * shape.alpha * shape.beta);
  if (shape.channels == 0) return for_ranges(context, 0, 1, [](int64_t, int64_t) {});
  for_pixels(context, shape, x, [&](int64_t at, int64_t reach, T* squares, T* terms) {
    T* powers = terms + shape.channels + reach;
    for_vectors<T>(0, shape.channels, [&](int64_t c, int64_t lanes) {
      const Vec<T> base = window_sum(squares, c, reach, lanes) * alpha + k, scale = power<T>(base, -beta);
      const Vec<T> product = load_some(dy + at + c, lanes) * load_some(x + at + c, lanes);
      store_some(powers + c, scale, lanes);
      store_some(terms + c, product * scale / base, lanes);
    });
    for_vectors<T>(0, shape.channels, [&](int64_t c, int64_t lanes) {
      const Vec<T> direct = load_some(dy + at + c, lanes) * load_some(powers + c, lanes);
      const Vec<T> others = load_some(x + at + c, lanes) * window_sum(terms, c, reach, lanes);
      put(dx + at + c, direct + others * factor, lanes, policy);
    });
  });
}

}  // namespace nnx::cpu::NNX_ISA
