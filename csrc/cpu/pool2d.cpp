#include "cpu/columns.h"
#include "cpu/fill.h"
#include "cpu/max_window.h"
#include "cpu/pool_windows.h"
#include "cpu/upsample.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 16384;  // input elements read

// body(image, row) for every row of the output.
template <class F>
NNX_INLINE void for_output_rows(Context& context, const Pool2dShape& s, const F& body) {
  const int64_t grain = max_of(1, kGrain / max_of(s.ow * s.kh * s.kw * s.c, 1));
  for_ranges(context, s.n * s.oh, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row / s.oh, row % s.oh);
  });
}

template <class T>
static void max_forward(Context& context, const Pool2dShape& s, const T* x, T* y, int32_t* index) {
  for_output_rows(context, s, [&](int64_t n, int64_t i) {
    const T* const image = x + n * s.h * s.w * s.c;
    const int64_t row = (n * s.oh + i) * s.ow;
    const auto run = [&](int64_t j, int64_t count, const PoolWindow& window) {
      const int64_t first = window.rows.first * s.w + window.columns.first, out = (row + j) * s.c;
      const MaxWindow points{window.rows.count,  window.columns.count,     s.w * s.dilation_h, s.c,
                             s.c * s.dilation_w, s.w * s.dilation_h * s.c, s.dilation_w};
      int32_t* const positions = index != nullptr ? index + out : nullptr;
      if (s.dilation_w != 1) return max_window(points, image + first * s.c, first, y + out, positions);
      max_row(points, s.stride_w, count, image + first * s.c, first, y + out, positions, s.c);
    };
    if (s.dilation_w != 1) {
      for (int64_t j = 0; j < s.ow; ++j) run(j, 1, window_at(s, i, j));
      return;
    }
    // Windows [from, to) lie inside the image's width.
    const int64_t from = min_of(s.ow, ceil_div(s.pad_left, s.stride_w));
    const int64_t space = s.w + s.pad_left - s.kw;
    const int64_t to = max_of(from, space < 0 ? 0 : min_of(s.ow, space / s.stride_w + 1));
    for (int64_t j = 0; j < from; ++j) run(j, 1, window_at(s, i, j));
    if (from < to) run(from, to - from, window_at(s, i, from));
    for (int64_t j = to; j < s.ow; ++j) run(j, 1, window_at(s, i, j));
  });
}

// dx (n, h, w, c) = or += for each point the sum, in order, of term(output point, position in the image,
// first channel, lanes) over the windows that reach over it: every element is written once, whatever
// windows overlap.
template <class T, class F>
NNX_INLINE void for_input_points(Context& context, const Pool2dShape& s, Policy policy, T* dx,
                                 const F& term) {
  const int64_t grain = max_of(1, kGrain / max_of(s.w * s.c, 1));
  for_ranges(context, s.n * s.h, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / s.h, ih = row % s.h;
      const Reach rows = reach(ih, s.pad_top, s.kh, s.dilation_h, s.stride_h, s.oh);
      for (int64_t iw = 0; iw < s.w; ++iw) {
        const Reach columns = reach(iw, s.pad_left, s.kw, s.dilation_w, s.stride_w, s.ow);
        T* const point = dx + (row * s.w + iw) * s.c;
        for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
          Vec<T> sum{};
          for (int64_t i = rows.begin; i < rows.end; ++i) {
            for (int64_t j = columns.begin; j < columns.end; ++j) sum += term(n, i, j, ih, iw, c, lanes);
          }
          put(point + c, sum, lanes, policy);
        });
      }
    }
  });
}

// 2 x 2 windows side by side: each writes its four points.
template <class T>
static void halves_backward(Context& context, const Pool2dShape& s, const T* dy, const int32_t* index,
                            Policy policy, T* dx) {
  const int64_t pairs = ceil_div(s.h, 2), pitch = s.w * s.c;
  const int64_t grain = max_of(1, kGrain / max_of(2 * pitch, 1));
  for_ranges(context, s.n * pairs, grain, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t n = pair / pairs, i = pair % pairs;
      T* const row = dx + (n * s.h + 2 * i) * pitch;
      const int64_t reached = i < s.oh ? s.ow : 0;
      const int64_t out = (n * s.oh + i) * s.ow * s.c;
      for (int64_t j = 0; j < reached; ++j) {
        const int64_t first = 2 * (i * s.w + j);
        for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
          const Vec<T> slope = load_some(dy + out + j * s.c + c, lanes);
          const IntVec<T> where = load_positions<T>(index + out + j * s.c + c, lanes);
          T* const to = row + 2 * j * s.c + c;
          const auto give = [&](T* point, int64_t position) {
            put(point, where == every_lane<T>(position) ? slope : Vec<T>{}, lanes, policy);
          };
          give(to, first);
          give(to + s.c, first + 1);
          give(to + pitch, first + s.w);
          give(to + pitch + s.c, first + s.w + 1);
        });
      }
      if (policy == Policy::accumulate) continue;
      for (int64_t r = 0; r < min_of(2, s.h - 2 * i); ++r) {
        for (int64_t c = 2 * reached * s.c; c < pitch; ++c) row[r * pitch + c] = 0;
      }
    }
  });
}

template <class T>
static void max_backward(Context& context, const Pool2dShape& s, const T* dy, const int32_t* index,
                         Policy policy, T* dx) {
  if (s.kh == 2 && s.kw == 2 && s.stride_h == 2 && s.stride_w == 2 && s.dilation_h == 1 &&
      s.dilation_w == 1 && s.pad_top == 0 && s.pad_left == 0 && 2 * s.oh <= s.h && 2 * s.ow <= s.w) {
    return halves_backward(context, s, dy, index, policy, dx);
  }
  for_input_points(context, s, policy, dx,
                   [&](int64_t n, int64_t i, int64_t j, int64_t ih, int64_t iw, int64_t c, int64_t lanes) {
                     const int64_t out = ((n * s.oh + i) * s.ow + j) * s.c + c;
                     const IntVec<T> where = load_positions<T>(index + out, lanes);
                     const Vec<T> slope = load_some(dy + out, lanes);
                     return where == every_lane<T>(ih * s.w + iw) ? slope : Vec<T>{};
                   });
}

template <class T>
static void average_forward(Context& context, const Pool2dShape& s, bool count_include_pad, const T* x,
                            T* y) {
  for_output_rows(context, s, [&](int64_t n, int64_t i) {
    const T* image = x + n * s.h * s.w * s.c;
    for (int64_t j = 0; j < s.ow; ++j) {
      const PoolWindow window = window_at(s, i, j);
      const T count = static_cast<T>(divisor(s, i, j, count_include_pad));
      const T* const first = image + (window.rows.first * s.w + window.columns.first) * s.c;
      T* target = y + ((n * s.oh + i) * s.ow + j) * s.c;
      for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
        Vec<T> sum{};
        for (int64_t r = 0; r < window.rows.count; ++r) {
          for (int64_t k = 0; k < window.columns.count; ++k) {
            sum += load_some(first + (r * s.dilation_h * s.w + k * s.dilation_w) * s.c + c, lanes);
          }
        }
        store_some(target + c, sum / count, lanes);
      });
    }
  });
}

template <class T>
static void average_backward(Context& context, const Pool2dShape& s, bool count_include_pad, const T* dy,
                             Policy policy, T* dx) {
  for_input_points(context, s, policy, dx,
                   [&](int64_t n, int64_t i, int64_t j, int64_t ih, int64_t iw, int64_t c, int64_t lanes) {
                     if (!has_point(i, ih, s.pad_top, s.dilation_h, s.stride_h) ||
                         !has_point(j, iw, s.pad_left, s.dilation_w, s.stride_w)) {
                       return Vec<T>{};
                     }
                     const T count = static_cast<T>(divisor(s, i, j, count_include_pad));
                     return load_some(dy + ((n * s.oh + i) * s.ow + j) * s.c + c, lanes) / count;
                   });
}

template <class T>
static void global_average_forward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* x, T* y) {
  const int64_t blocks = ceil_div(c, kFoldedWidth);
  for_ranges(context, n * blocks, max_of(1, kGrain / max_of(pixels * c, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item % blocks * kFoldedWidth, width = min_of(c - first, kFoldedWidth);
      const T* image = x + item / blocks * pixels * c + first;
      double sums[kFoldedWidth];
      for (int64_t i = 0; i < width; ++i) sums[i] = 0.0;
      add_columns<T, 1>(0, pixels, width, sums, [&](int64_t p, int64_t col, int64_t lanes, Wide<T>* wide) {
        wide[0] = widen<T>(load_some(image + p * c + col, lanes));
      });
      T* target = y + item / blocks * c + first;
      const double count = static_cast<double>(pixels);
      for (int64_t i = 0; i < width; ++i) target[i] = static_cast<T>(sums[i] / count);
    }
  });
}

template <class T>
static void global_average_backward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* dy,
                                    Policy policy, T* dx) {
  const T count = static_cast<T>(pixels);
  for_ranges(context, n * pixels, max_of(1, kGrain / max_of(c, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* source = dy + row / pixels * c;
      for_vectors<T>(0, c, [&](int64_t i, int64_t lanes) {
        put(dx + row * c + i, load_some(source + i, lanes) / count, lanes, policy);
      });
    }
  });
}

template <class T>
static void global_max_forward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* x, T* y,
                               int32_t* index) {
  constexpr int64_t kWidth = 64;  // channels
  const int64_t blocks = ceil_div(c, kWidth);
  const int64_t grain = max_of(1, kGrain / max_of(pixels * min_of(c, kWidth), 1));
  for_ranges(context, n * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t image = item / blocks, first = item % blocks * kWidth, out = image * c + first;
      const MaxWindow points{1, pixels, pixels, min_of(c - first, kWidth), c, pixels * c};
      max_window(points, x + image * pixels * c + first, 0, y + out,
                 index != nullptr ? index + out : nullptr);
    }
  });
}

template <class T>
static void global_max_backward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* dy,
                                const int32_t* index, Policy policy, T* dx) {
  for_ranges(context, n * pixels, max_of(1, kGrain / max_of(c, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t from = row / pixels * c;
      const IntVec<T> here = every_lane<T>(row % pixels);
      for_vectors<T>(0, c, [&](int64_t i, int64_t lanes) {
        const Vec<T> slope = load_some(dy + from + i, lanes);
        put(dx + row * c + i, load_positions<T>(index + from + i, lanes) == here ? slope : Vec<T>{}, lanes,
            policy);
      });
    }
  });
}

template <class T>
void fill(kernels::Pool2dKernels<T>& table) {
  table.max_forward = max_forward<T>;
  table.max_backward = max_backward<T>;
  table.average_forward = average_forward<T>;
  table.average_backward = average_backward<T>;
  table.global_average_forward = global_average_forward<T>;
  table.global_average_backward = global_average_backward<T>;
  table.global_max_forward = global_max_forward<T>;
  table.global_max_backward = global_max_backward<T>;
  table.upsample_forward = upsample_forward<T>;
  table.upsample_backward = upsample_backward<T>;
}

template void fill(kernels::Pool2dKernels<float>&);
template void fill(kernels::Pool2dKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
