// The three passes of a convolution, as the matrix engine takes them: a product for each group (and, of the
// input's gradient, for each phase of the stride).
#pragma once

#include <numeric>

#include "gemm.cuh"
#include "window_readers.cuh"

namespace nnx::cuda {

inline int as_int(int64_t i) { return static_cast<int>(i); }

// Output pixels that look at the input through the kernel.
template <class T, WindowRole role>
WindowReader<T, role> input_windows(const Conv2dShape& s, const T* x) {
  WindowReader<T, role> r{};
  const int64_t c = s.c / s.groups;
  r.data = x;
  r.h = as_int(s.h), r.w = as_int(s.w), r.stride = as_int(s.c);
  r.image_stride = s.h * s.w * s.c;
  r.first_h = -as_int(s.pad_top), r.first_w = -as_int(s.pad_left);
  r.stride_h = as_int(s.stride_h), r.stride_w = as_int(s.stride_w);
  r.move_h = as_int(s.dilation_h), r.move_w = as_int(s.dilation_w);
  r.image_pixels = Divider::by(as_int(s.oh * s.ow)), r.row_pixels = Divider::by(as_int(s.ow));
  r.channels = Divider::by(as_int(c)), r.kernel_w = Divider::by(as_int(s.kw));
  r.pixels = as_int(s.n * s.oh * s.ow), r.taps = as_int(s.kh * s.kw * c);
  r.vector = role != WindowRole::pixels_by_few_taps && four_at_once(x, s.c, c);
  return r;
}

// Of all passes: S, what the operands' elements are stored as (gemm_rounded.cuh), T, what the results are.

// rows: output pixels, columns: filters, k: taps
template <class T, WindowRole role, class S = T>
struct ForwardPass {
  // Filters for products in TF32 are turned: (filters, taps).
  static constexpr bool kTurned = std::is_same_v<S, Tf32>;
  using A = WindowReader<S, role>;
  using B = MatrixReader<S, kTurned>;
  using Writer = OutputWriter<T>;
  static constexpr bool kColumnSums = false;
  const char* name;
  A a;
  B b;
  Writer writer;
  int filters, channels, groups;  // of a group

  static ForwardPass of(const Conv2dShape& s, const S* x, const S* w, const T* bias, Activation activation,
                        T* y) {
    const int64_t c = s.c / s.groups, o = s.o / s.groups;
    const Writer writer{{s.o},
                        y,
                        bias,
                        activation.kind,
                        static_cast<T>(activation.alpha),
                        four_at_once(y, s.o, o) && four_at_once(bias, s.o, o)};
    const auto a = input_windows<S, role>(s, x);
    const int64_t w_stride = kTurned ? a.taps : s.o;
    return {"conv2d forward", a, {w, w_stride, o, a.taps}, writer, as_int(o), as_int(c), as_int(s.groups)};
  }
  Extents extents() const { return {a.pixels, filters, a.taps, groups}; }
  __device__ __forceinline__ Product<ForwardPass> product(int group) const {
    Product<ForwardPass> p{a.pixels, filters, a.taps, a, b, writer};
    const int64_t first_filter = static_cast<int64_t>(group) * filters;
    p.a.data += static_cast<int64_t>(group) * channels;
    p.b.skip(first_filter);
    p.writer.out += first_filter;
    if (p.writer.bias != nullptr) p.writer.bias += first_filter;
    return p;
  }
};

// rows: taps, columns: filters, k: output pixels
template <class T, class S = T>
struct WeightGradientPass {
  using A = WindowReader<S, WindowRole::taps_by_pixels>;
  using B = MatrixReader<S, false>;
  using Writer = WeightGradientWriter<T>;
  static constexpr bool kColumnSums = !kIsRounded<S>;
  const char* name;
  A a;
  B b;
  Writer writer;
  int filters, channels, groups;

  static WeightGradientPass of(const Conv2dShape& s, const S* x, const S* dy, Policy policy, T* dw, T* db) {
    const int64_t c = s.c / s.groups, o = s.o / s.groups;
    T* const column_sums = kIsRounded<S> ? nullptr : db;
    const Writer writer{{s.o}, dw, column_sums, policy == Policy::accumulate, four_at_once(dw, s.o, o)};
    const auto a = input_windows<S, WindowRole::taps_by_pixels>(s, x);
    return {"conv2d backward_weights", a, {dy, s.o, o, a.pixels}, writer, as_int(o), as_int(c),
            as_int(s.groups)};
  }
  Extents extents() const { return {a.taps, filters, a.pixels, groups}; }
  __device__ __forceinline__ Product<WeightGradientPass> product(int group) const {
    Product<WeightGradientPass> p{a.taps, filters, a.pixels, a, b, writer};
    const int64_t first_filter = static_cast<int64_t>(group) * filters;
    p.a.data += static_cast<int64_t>(group) * channels;
    p.b.skip(first_filter);
    p.writer.out += first_filter;
    if (p.writer.column_sums != nullptr) p.writer.column_sums += first_filter;
    return p;
  }
};

// Taps of the same phase are so far apart.
inline int phase_step(int64_t stride, int64_t dilation) {
  return as_int(stride / std::gcd(stride, dilation));
}

inline Extents input_extents(const Conv2dShape& s) {
  const int64_t phases_h = std::min(s.stride_h, s.h), phases_w = std::min(s.stride_w, s.w);
  const int64_t points = rounded_up(s.h, s.stride_h) * rounded_up(s.w, s.stride_w);
  const int64_t taps = rounded_up(s.kh, phase_step(s.stride_h, s.dilation_h)) *
                       rounded_up(s.kw, phase_step(s.stride_w, s.dilation_w));
  return {s.n * points, s.c / s.groups, taps * (s.o / s.groups), s.groups * phases_h * phases_w};
}

// rows: input points of a phase, columns: channels, k: the phase's taps, of filters
template <class T, class S = T>
struct InputGradientPass {
  using A = WindowReader<S, WindowRole::pixels_by_taps>;
  using B = GradientTaps<S>;
  using Writer = InputGradientWriter<T, PhaseRows>;
  static constexpr bool kColumnSums = false;
  const char* name;
  A a;
  B b;
  Writer writer;
  Extents largest;
  int images, filters, channels, phases_h, phases_w;
  int h, w, kh, kw, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;

  static InputGradientPass of(const Conv2dShape& s, const S* dy, const S* weights,
                              ActivationGradient<T> gradient, Policy policy, T* dx) {
    InputGradientPass p{};
    const int64_t c = s.c / s.groups, o = s.o / s.groups;
    p.name = "conv2d backward_input";
    p.largest = input_extents(s);
    p.images = as_int(s.n), p.filters = as_int(o), p.channels = as_int(c);
    p.phases_h = as_int(std::min(s.stride_h, s.h)), p.phases_w = as_int(std::min(s.stride_w, s.w));
    p.h = as_int(s.h), p.w = as_int(s.w), p.kh = as_int(s.kh), p.kw = as_int(s.kw);
    p.stride_h = as_int(s.stride_h), p.stride_w = as_int(s.stride_w);
    p.pad_top = as_int(s.pad_top), p.pad_left = as_int(s.pad_left);
    p.dilation_h = as_int(s.dilation_h), p.dilation_w = as_int(s.dilation_w);
    p.a.data = dy;
    p.a.h = as_int(s.oh), p.a.w = as_int(s.ow), p.a.stride = as_int(s.o);
    p.a.image_stride = s.oh * s.ow * s.o;
    p.a.stride_h = p.a.stride_w = 1;
    p.a.channels = Divider::by(as_int(o));
    p.a.vector = four_at_once(dy, s.o, o);
    p.b.data = weights;
    p.b.tap_stride = c * s.o, p.b.channel_stride = s.o;
    p.b.channels = as_int(c), p.b.kernel_w = as_int(s.kw);
    p.b.step_h = phase_step(s.stride_h, s.dilation_h), p.b.step_w = phase_step(s.stride_w, s.dilation_w);
    p.b.filters = p.a.channels;
    p.b.vector = four_at_once(weights, s.o, o);
    p.writer.rows.h = p.h, p.writer.rows.w = p.w, p.writer.rows.channels = s.c;
    p.writer.rows.stride_h = p.stride_h, p.writer.rows.stride_w = p.stride_w;
    p.writer.out = dx;
    p.writer.saved = gradient.saved;
    p.writer.kind = gradient.activation.kind;
    p.writer.alpha = static_cast<T>(gradient.activation.alpha);
    p.writer.accumulate = policy == Policy::accumulate;
    p.writer.vector = four_at_once(dx, s.c, c) && four_at_once(gradient.saved, s.c, c);
    return p;
  }
  Extents extents() const { return largest; }
  __device__ __forceinline__ Product<InputGradientPass> product(int index) const {
    const int group = index / (phases_h * phases_w), phase = index % (phases_h * phases_w);
    const int phase_h = phase / phases_w, phase_w = phase % phases_w;
    const PhaseAxis rows = PhaseAxis::of(phase_h, h, kh, stride_h, pad_top, dilation_h, b.step_h);
    const PhaseAxis columns = PhaseAxis::of(phase_w, w, kw, stride_w, pad_left, dilation_w, b.step_w);
    const int taps = rows.taps * columns.taps * filters;
    Product<InputGradientPass> p{images * rows.points * columns.points, channels, taps, a, b, writer};
    p.a.data += static_cast<int64_t>(group) * filters;
    p.a.first_h = rows.first, p.a.first_w = columns.first;
    p.a.move_h = rows.move, p.a.move_w = columns.move;
    p.a.image_pixels = Divider::by(rows.points * columns.points);
    p.a.row_pixels = Divider::by(columns.points);
    p.a.kernel_w = Divider::by(max(columns.taps, 1));
    p.a.pixels = static_cast<int>(p.m), p.a.taps = taps;
    p.b.data += static_cast<int64_t>(group) * filters;
    p.b.tap_h = rows.tap, p.b.tap_w = columns.tap;
    p.b.taps_w = p.a.kernel_w;
    p.b.taps = taps;
    p.writer.rows.image_points = p.a.image_pixels, p.writer.rows.row_points = p.a.row_pixels;
    p.writer.rows.phase_h = phase_h, p.writer.rows.phase_w = phase_w;
    const int64_t first_channel = static_cast<int64_t>(group) * channels;
    p.writer.out += first_channel;
    if (p.writer.saved != nullptr) p.writer.saved += first_channel;
    return p;
  }
};

}  // namespace nnx::cuda
