#include "cpu/columns.h"
#include "cpu/fill.h"
#include "cpu/parallel.h"
#include "cpu/put.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 16384;  // input elements read

// The points of the image under one output point: [top, bottom) x [left, right).
struct Window {
  int64_t top, bottom, left, right;
  int64_t points() const { return max_of(bottom - top, 0) * max_of(right - left, 0); }
};

NNX_INLINE Window window_at(const Pool2dShape& s, int64_t i, int64_t j) {
  const int64_t top = i * s.stride_h - s.pad_top, left = j * s.stride_w - s.pad_left;
  return {max_of(top, 0), min_of(top + s.kh, s.h), max_of(left, 0), min_of(left + s.kw, s.w)};
}

NNX_INLINE int64_t divisor(const Pool2dShape& s, const Window& window, bool count_include_pad) {
  return count_include_pad ? s.kh * s.kw : max_of(window.points(), 1);
}

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

// The maxima of `lanes` channels over kh x kw points from position `first` on. x: the image at its first
// channel.
template <class T>
NNX_INLINE void max_window(const Pool2dShape& s, int64_t first, int64_t kh, int64_t kw, int64_t lanes,
                           const T* x, T* y, int32_t* index) {
  Vec<T> best = load_some(x + first * s.c, lanes);
  IntVec<T> where = IntVec<T>{} + static_cast<typename Simd<T>::Int>(first);
  for (int64_t i = 0; i < kh; ++i) {
    for (int64_t j = 0; j < kw; ++j) {
      const int64_t position = first + i * s.w + j;
      const Vec<T> v = load_some(x + position * s.c, lanes);
      const IntVec<T> wins = ~(v <= best) & (best == best);
      best = wins ? v : best;
      where = wins ? IntVec<T>{} + static_cast<typename Simd<T>::Int>(position) : where;
    }
  }
  store_some(y, best, lanes);
  if (index != nullptr) store_positions<T>(index, where, lanes);
}

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
  const bool halves = s.kh == 2 && s.kw == 2 && s.stride_h == 2 && s.stride_w == 2 && s.pad_top == 0 &&
                      s.pad_left == 0 && 2 * s.oh <= s.h && 2 * s.ow <= s.w;
  for_output_rows(context, s, [&](int64_t n, int64_t i) {
    const T* image = x + n * s.h * s.w * s.c;
    for (int64_t j = 0; j < s.ow; ++j) {
      const int64_t out = ((n * s.oh + i) * s.ow + j) * s.c;
      int32_t* positions = index != nullptr ? index + out : nullptr;
      const auto to = [&](int64_t c) { return positions != nullptr ? positions + c : nullptr; };
      if (halves) {
        for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
          max_window(s, 2 * (i * s.w + j), 2, 2, lanes, image + c, y + out + c, to(c));
        });
        continue;
      }
      const Window window = window_at(s, i, j);
      const int64_t kh = window.bottom - window.top, kw = window.right - window.left;
      for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
        max_window(s, window.top * s.w + window.left, kh, kw, lanes, image + c, y + out + c, to(c));
      });
    }
  });
}

// Images of dx in parallel: body(image, i) for the output rows i of each, in order, after the input rows it
// reaches are zeroed under Policy::assign. So windows that overlap are summed by one thread, in one order, in
// its cache.
template <class T, class F>
NNX_INLINE void for_images(Context& context, const Pool2dShape& s, Policy policy, T* dx, const F& body) {
  const int64_t row = s.w * s.c;
  for_each(context, s.n, [&](int64_t n) {
    T* image = dx + n * s.h * row;
    int64_t zeroed = policy == Policy::assign ? 0 : s.h;
    const auto zero_to = [&](int64_t end) {
      if (end <= zeroed) return;
      __builtin_memset(image + zeroed * row, 0, static_cast<uint64_t>((end - zeroed) * row) * sizeof(T));
      zeroed = end;
    };
    for (int64_t i = 0; i < s.oh; ++i) {
      zero_to(min_of(i * s.stride_h - s.pad_top + s.kh, s.h));
      body(n, i, image);
    }
    zero_to(s.h);
  });
}

template <class T>
static void max_backward(Context& context, const Pool2dShape& s, const T* dy, const int32_t* index,
                         Policy policy, T* dx) {
  for_images(context, s, policy, dx, [&](int64_t n, int64_t i, T* image) {
    for (int64_t j = 0; j < s.ow; ++j) {
      const int64_t out = ((n * s.oh + i) * s.ow + j) * s.c;
      const Window window = window_at(s, i, j);
      for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
        const Vec<T> slope = load_some(dy + out + c, lanes);
        const IntVec<T> where = load_positions<T>(index + out + c, lanes);
        for (int64_t ih = window.top; ih < window.bottom; ++ih) {
          for (int64_t iw = window.left; iw < window.right; ++iw) {
            const auto position = static_cast<typename Simd<T>::Int>(ih * s.w + iw);
            put(image + position * s.c + c, where == position ? slope : Vec<T>{}, lanes, Policy::accumulate);
          }
        }
      });
    }
  });
}

template <class T>
static void average_forward(Context& context, const Pool2dShape& s, bool count_include_pad, const T* x,
                            T* y) {
  for_output_rows(context, s, [&](int64_t n, int64_t i) {
    const T* image = x + n * s.h * s.w * s.c;
    for (int64_t j = 0; j < s.ow; ++j) {
      const Window window = window_at(s, i, j);
      const T count = static_cast<T>(divisor(s, window, count_include_pad));
      T* target = y + ((n * s.oh + i) * s.ow + j) * s.c;
      for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
        Vec<T> sum{};
        for (int64_t ih = window.top; ih < window.bottom; ++ih) {
          for (int64_t iw = window.left; iw < window.right; ++iw) {
            sum += load_some(image + (ih * s.w + iw) * s.c + c, lanes);
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
  for_images(context, s, policy, dx, [&](int64_t n, int64_t i, T* image) {
    for (int64_t j = 0; j < s.ow; ++j) {
      const Window window = window_at(s, i, j);
      const T count = static_cast<T>(divisor(s, window, count_include_pad));
      const T* source = dy + ((n * s.oh + i) * s.ow + j) * s.c;
      for_vectors<T>(0, s.c, [&](int64_t c, int64_t lanes) {
        const Vec<T> share = load_some(source + c, lanes) / count;
        for (int64_t ih = window.top; ih < window.bottom; ++ih) {
          for (int64_t iw = window.left; iw < window.right; ++iw) {
            put(image + (ih * s.w + iw) * s.c + c, share, lanes, Policy::accumulate);
          }
        }
      });
    }
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
void fill(kernels::Pool2dKernels<T>& table) {
  table.max_forward = max_forward<T>;
  table.max_backward = max_backward<T>;
  table.average_forward = average_forward<T>;
  table.average_backward = average_backward<T>;
  table.global_average_forward = global_average_forward<T>;
  table.global_average_backward = global_average_backward<T>;
}

template void fill(kernels::Pool2dKernels<float>&);
template void fill(kernels::Pool2dKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
