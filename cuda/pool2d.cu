#include "global_pool.cuh"
#include "table.h"
#include "upsample.cuh"

namespace nnx::cuda {

// The points of one axis of the image under an output point, a dilation apart.
template <class I>
struct Range {
  I begin, end;
};

// The points of a window beginning at `begin` that lie in front of `end`.
__device__ __forceinline__ int64_t points_before(int64_t begin, int64_t end, int64_t size, int64_t dilation) {
  const int64_t reach = end - begin;
  return min(size, dilation == 1 ? reach : split(reach + dilation - 1, dilation).quotient);
}

template <class I>
__device__ __forceinline__ Range<I> window_at(int64_t i, int64_t stride, int64_t pad, int64_t size,
                                              int64_t dilation, int64_t extent) {
  const int64_t begin = i * stride - pad;
  int64_t first = max(begin, int64_t{0});
  if (begin < 0 && dilation != 1) first = begin + split(dilation - 1 - begin, dilation).quotient * dilation;
  return {static_cast<I>(first), static_cast<I>(min(begin + (size - 1) * dilation + 1, extent))};
}

// The output points whose windows reach over point i of the image; dilated ones may step over it.
__device__ __forceinline__ Range<int64_t> outputs_over(int64_t i, int64_t stride, int64_t pad, int64_t size,
                                                       int64_t dilation, int64_t extent) {
  const int64_t at = i + pad, first = at - (size - 1) * dilation;
  return {first > 0 ? split(first + stride - 1, stride).quotient : 0,
          min(split(at, stride).quotient + 1, extent)};
}

template <class I>
struct Window {
  Range<I> rows, cols;
};

template <class I>
__device__ __forceinline__ Window<I> window_of(const Pool2dShape& s, int64_t i, int64_t j) {
  return {window_at<I>(i, s.stride_h, s.pad_top, s.kh, s.dilation_h, s.h),
          window_at<I>(j, s.stride_w, s.pad_left, s.kw, s.dilation_w, s.w)};
}

// What an average is divided by: the points inside the image, or those inside the padded one.
__device__ __forceinline__ int64_t divisor(const Pool2dShape& s, int64_t i, int64_t j,
                                           bool count_include_pad) {
  if (count_include_pad) {
    return points_before(i * s.stride_h - s.pad_top, s.h + s.pad_bottom, s.kh, s.dilation_h) *
           points_before(j * s.stride_w - s.pad_left, s.w + s.pad_right, s.kw, s.dilation_w);
  }
  const auto window = window_of<int64_t>(s, i, j);
  const int64_t rows = window.rows.end - window.rows.begin, cols = window.cols.end - window.cols.begin;
  if (s.dilation_h == 1 && s.dilation_w == 1) return rows * cols;
  return split(rows + s.dilation_h - 1, s.dilation_h).quotient *
         split(cols + s.dilation_w - 1, s.dilation_w).quotient;
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    max_forward_kernel(Pool2dShape s, const T* x, T* y, int32_t* index) {
  begin_kernel();
  for_points<W>(s.n, s.oh, s.ow, s.c, [&](const Place& place) {
    const auto window = window_of<uint32_t>(s, place.row, place.col);  // positions are of 31 bits
    const T* image = x + place.n * s.h * s.w * s.c + place.c;
    const uint32_t down = static_cast<uint32_t>(s.dilation_h), across = static_cast<uint32_t>(s.dilation_w);
    const uint32_t width = static_cast<uint32_t>(s.w);
    const auto position_of = [&](uint32_t row, uint32_t col) {
      return static_cast<int32_t>(row * width + col);
    };
    const int32_t first = position_of(window.rows.begin, window.cols.begin);
    Pack<T, W> best = load_pack<W>(image + first * s.c);
    Pack<int32_t, W> where;
    for (int k = 0; k < W; ++k) where.at[k] = first;
    for (uint32_t row = window.rows.begin; row < window.rows.end; row += down) {
      for (uint32_t col = window.cols.begin; col < window.cols.end; col += across) {
        const int32_t position = position_of(row, col);
        const Pack<T, W> values = load_pack<W>(image + position * s.c);
#pragma unroll
        for (int k = 0; k < W; ++k) {
          // A NaN wins, and then nothing does.
          const bool wins = !(values.at[k] <= best.at[k]) && best.at[k] == best.at[k];
          best.at[k] = wins ? values.at[k] : best.at[k];
          where.at[k] = wins ? position : where.at[k];
        }
      }
    }
    const int64_t to = place.at(s.ow, s.c);
    store_pack(y + to, best);
    if (index != nullptr) store_pack(index + to, where);
  });
}

template <class T>
struct Average {
  const T* dy;
  bool count_include_pad;
  template <int W>
  __device__ void add(const Pool2dShape& s, int64_t i, int64_t j, int64_t at, const Place& place,
                      Pack<T, W>& sums) const {
    if (s.dilation_h != 1 && split(place.row + s.pad_top - i * s.stride_h, s.dilation_h).remainder != 0)
      return;
    if (s.dilation_w != 1 && split(place.col + s.pad_left - j * s.stride_w, s.dilation_w).remainder != 0)
      return;
    const T count = static_cast<T>(divisor(s, i, j, count_include_pad));
    const Pack<T, W> slopes = load_pack<W>(dy + at);
#pragma unroll
    for (int k = 0; k < W; ++k) sums.at[k] += slopes.at[k] / count;
  }
};

template <class T>
struct Maximum {
  const T* dy;
  const int32_t* index;
  template <int W>
  __device__ void add(const Pool2dShape& s, int64_t, int64_t, int64_t at, const Place& place,
                      Pack<T, W>& sums) const {
    const int64_t position = place.row * s.w + place.col;
    const Pack<T, W> slopes = load_pack<W>(dy + at);
    const Pack<int32_t, W> where = load_pack<W>(index + at);
#pragma unroll
    for (int k = 0; k < W; ++k) {
      if (where.at[k] == position) sums.at[k] += slopes.at[k];
    }
  }
};

// Every point of dx gathers from the windows that have it, in their order: one write, whether they overlap or
// not.
template <int W, class T, class Share>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(Pool2dShape s, Share share, Policy policy, T* dx) {
  begin_kernel();
  for_points<W>(s.n, s.h, s.w, s.c, [&](const Place& place) {
    const Range rows = outputs_over(place.row, s.stride_h, s.pad_top, s.kh, s.dilation_h, s.oh);
    const Range cols = outputs_over(place.col, s.stride_w, s.pad_left, s.kw, s.dilation_w, s.ow);
    Pack<T, W> sums{};
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      for (int64_t col = cols.begin; col < cols.end; ++col) {
        const int64_t at = ((place.n * s.oh + row) * s.ow + col) * s.c + place.c;
        share.template add<W>(s, row, col, at, place, sums);
      }
    }
    put_pack(dx + place.at(s.w, s.c), sums, policy);
  });
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    average_forward_kernel(Pool2dShape s, bool count_include_pad, const T* x, T* y) {
  begin_kernel();
  for_points<W>(s.n, s.oh, s.ow, s.c, [&](const Place& place) {
    const auto window = window_of<int64_t>(s, place.row, place.col);
    const T* image = x + place.n * s.h * s.w * s.c + place.c;
    Pack<T, W> sums{};
    for (int64_t row = window.rows.begin; row < window.rows.end; row += s.dilation_h) {
      for (int64_t col = window.cols.begin; col < window.cols.end; col += s.dilation_w) {
        const Pack<T, W> values = load_pack<W>(image + (row * s.w + col) * s.c);
#pragma unroll
        for (int k = 0; k < W; ++k) sums.at[k] += values.at[k];
      }
    }
    const T points = static_cast<T>(divisor(s, place.row, place.col, count_include_pad));
#pragma unroll
    for (int k = 0; k < W; ++k) sums.at[k] /= points;
    store_pack(y + place.at(s.ow, s.c), sums);
  });
}

template <class T>
static void max_forward(Context& context, const Pool2dShape& s, const T* x, T* y, int32_t* index) {
  const int width = s.c % 4 == 0 && aligned(x, y) && aligned(index) ? 4 : 1;
  launch_over(context, "max_pool2d", width == 4 ? max_forward_kernel<4, T> : max_forward_kernel<1, T>,
              s.n * s.oh, s.ow * (s.c / width), s, x, y, index);
}

template <class T, class Share>
static void backward(Context& context, const char* name, const Pool2dShape& s, bool whole, const Share& share,
                     Policy policy, T* dx) {
  const int width = s.c % 4 == 0 && whole && aligned(dx) ? 4 : 1;
  launch_over(context, name, width == 4 ? backward_kernel<4, T, Share> : backward_kernel<1, T, Share>,
              s.n * s.h, s.w * (s.c / width), s, share, policy, dx);
}

template <class T>
static void max_backward(Context& context, const Pool2dShape& s, const T* dy, const int32_t* index,
                         Policy policy, T* dx) {
  backward(context, "max_pool2d_backward", s, aligned(dy) && aligned(index), Maximum<T>{dy, index}, policy,
           dx);
}

template <class T>
static void average_forward(Context& context, const Pool2dShape& s, bool count_include_pad, const T* x,
                            T* y) {
  const int width = s.c % 4 == 0 && aligned(x, y) ? 4 : 1;
  launch_over(context, "avg_pool2d", width == 4 ? average_forward_kernel<4, T> : average_forward_kernel<1, T>,
              s.n * s.oh, s.ow * (s.c / width), s, count_include_pad, x, y);
}

template <class T>
static void average_backward(Context& context, const Pool2dShape& s, bool count_include_pad, const T* dy,
                             Policy policy, T* dx) {
  backward(context, "avg_pool2d_backward", s, aligned(dy), Average<T>{dy, count_include_pad}, policy, dx);
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

}  // namespace nnx::cuda
