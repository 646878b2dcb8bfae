// Depthwise convolution: as many groups as channels in and out, so that every output channel sees one input
// channel. No products of matrices: vectors run over channels.
#pragma once

#include "cpu/activate.h"
#include "cpu/gemm/gemm_columns.h"
#include "cpu/put.h"
#include "kernels/conv2d.h"

namespace nnx::cpu::NNX_ISA {

NNX_INLINE bool is_depthwise(const Conv2dShape& s) { return s.groups > 1 && s.groups == s.c && s.o == s.c; }

// Output or input points of a chunk of work, in multiplications.
inline constexpr int64_t kDepthwiseGrain = 65536;

// Of the points from, from + dilation, ... the first `kernel`: those [begin, end) that lie in [0, extent).
struct TapRange {
  int64_t begin, end;
};

NNX_INLINE TapRange taps_inside(int64_t from, int64_t extent, int64_t kernel, int64_t dilation) {
  const int64_t begin = from < 0 ? ceil_div(-from, dilation) : 0;
  return {begin, from >= extent ? 0 : min_of(kernel, (extent - 1 - from) / dilation + 1)};
}

template <class T>
void depthwise_forward(Context& context, const Conv2dShape& s, const T* x, const T* w, const T* b,
                       Activation activation, T* y) {
  const int64_t grain = max_of(1, kDepthwiseGrain / max_of(1, s.ow * s.kh * s.kw * s.c));
  with_activation(activation.kind, [&](auto kind) {
    for_ranges(context, s.n * s.oh, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t h0 = row % s.oh * s.stride_h - s.pad_top;
        const TapRange rows = taps_inside(h0, s.h, s.kh, s.dilation_h);
        const T* const image = x + row / s.oh * s.h * s.w * s.c;
        for (int64_t j = 0; j < s.ow; ++j) {
          const int64_t w0 = j * s.stride_w - s.pad_left;
          const TapRange columns = taps_inside(w0, s.w, s.kw, s.dilation_w);
          for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
            Vec<T> sum = b != nullptr ? load_some(b + c, lanes) : Vec<T>{};
            for (int64_t i = rows.begin; i < rows.end; ++i) {
              const T* const from = image + (h0 + i * s.dilation_h) * s.w * s.c + c;
              for (int64_t k = columns.begin; k < columns.end; ++k) {
                sum += load_some(from + (w0 + k * s.dilation_w) * s.c, lanes) *
                       load_some(w + (i * s.kw + k) * s.c + c, lanes);
              }
            }
            const T alpha = static_cast<T>(activation.alpha);
            store_some(y + (row * s.ow + j) * s.c + c, activate<decltype(kind)::value, T>(sum, alpha), lanes);
          });
        }
      }
    });
  });
}

template <class T>
void depthwise_backward_input(Context& context, const Conv2dShape& s, const T* dy, const T* w,
                              ActivationGradient<T> gradient, Policy policy, T* dx) {
  const int64_t grain = max_of(1, kDepthwiseGrain / max_of(1, s.w * s.kh * s.kw * s.c));
  const ActivationKind saved_kind =
      gradient.saved != nullptr ? gradient.activation.kind : ActivationKind::identity;
  const T alpha = static_cast<T>(gradient.activation.alpha);
  with_activation(saved_kind, [&](auto kind) {
    for_ranges(context, s.n * s.h, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const image = dy + row / s.h * s.oh * s.ow * s.c;
        for (int64_t iw = 0; iw < s.w; ++iw) {
          const int64_t at = (row * s.w + iw) * s.c;
          for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
            Vec<T> sum{};
            for (int64_t i = 0; i < s.kh; ++i) {
              const int64_t h = row % s.h + s.pad_top - i * s.dilation_h, oh = h / s.stride_h;
              if (h < 0 || h % s.stride_h != 0 || oh >= s.oh) continue;
              for (int64_t k = 0; k < s.kw; ++k) {
                const int64_t v = iw + s.pad_left - k * s.dilation_w, ow = v / s.stride_w;
                if (v < 0 || v % s.stride_w != 0 || ow >= s.ow) continue;
                sum += load_some(image + (oh * s.ow + ow) * s.c + c, lanes) *
                       load_some(w + (i * s.kw + k) * s.c + c, lanes);
              }
            }
            const Vec<T> saved = gradient.saved != nullptr ? load_some(gradient.saved + at + c, lanes) : sum;
            sum = activation_gradient<decltype(kind)::value, T>(sum, saved, alpha);
            put(dx + at + c, sum, lanes, policy);
          });
        }
      }
    });
  });
}

// Rows of the output are shared among splits, each with its own part (kh * kw + 1, c): dw and db.
NNX_INLINE int64_t depthwise_splits(const Conv2dShape& s) {
  const int64_t products = s.n * s.oh * s.ow * s.kh * s.kw * s.c;
  return max_of(1, min_of(min_of(kMaxSplits, s.n * s.oh), products / kDepthwiseGrain));
}

NNX_INLINE int64_t depthwise_workspace(const Conv2dShape& s) { return kMaxSplits * (s.kh * s.kw + 1) * s.c; }

template <class T>
void depthwise_backward_weights(Context& context, const Conv2dShape& s, const T* x, const T* dy,
                                Policy policy, T* dw, T* db) {
  const int64_t taps = s.kh * s.kw, rows = s.n * s.oh, splits = depthwise_splits(s);
  T* const parts = static_cast<T*>(context.workspace);
  const Tiling split = {rows, splits};
  for_each(context, splits, [&](int64_t part) {
    T* const to = parts + part * (taps + 1) * s.c;
    for (int64_t i = 0; i < (taps + 1) * s.c; ++i) to[i] = 0;
    // Sums start anew with every row: that bounds the rounding error of long reductions.
    for (int64_t row = split.begin(part); row < split.begin(part + 1); ++row) {
      const int64_t h0 = row % s.oh * s.stride_h - s.pad_top;
      const TapRange inside = taps_inside(h0, s.h, s.kh, s.dilation_h);
      const T* const image = x + row / s.oh * s.h * s.w * s.c;
      const T* const slopes = dy + row * s.ow * s.c;
      for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
        const auto add = [&](int64_t tap, Vec<T> sum) {
          put(to + tap * s.c + c, sum, lanes, Policy::accumulate);
        };
        Vec<T> total{};
        for (int64_t j = 0; j < s.ow; ++j) total += load_some(slopes + j * s.c + c, lanes);
        add(taps, total);
        for (int64_t i = inside.begin; i < inside.end; ++i) {
          const T* const from = image + (h0 + i * s.dilation_h) * s.w * s.c + c;
          for (int64_t k = 0; k < s.kw; ++k) {
            const int64_t w0 = k * s.dilation_w - s.pad_left;
            const TapRange columns = taps_inside(w0, s.w, s.ow, s.stride_w);
            Vec<T> sum{};
            for (int64_t j = columns.begin; j < columns.end; ++j) {
              sum += load_some(from + (w0 + j * s.stride_w) * s.c, lanes) *
                     load_some(slopes + j * s.c + c, lanes);
            }
            add(i * s.kw + k, sum);
          }
        }
      });
    }
  });
  add_parts(context, parts, splits, taps, s.c, policy, dw, s.c, db);
}

}  // namespace nnx::cpu::NNX_ISA
