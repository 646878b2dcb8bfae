#include "columns.cuh"
#include "table.h"

namespace nnx::cuda {

// [begin, end) of one axis.
template <class I>
struct Range {
  I begin, end;
  __device__ int64_t size() const { return max(int64_t{end} - begin, int64_t{0}); }
};

// The points of the image under output point i.
template <class I>
__device__ __forceinline__ Range<I> window_at(int64_t i, int64_t stride, int64_t pad, int64_t size,
                                              int64_t extent) {
  const int64_t begin = i * stride - pad;
  return {static_cast<I>(max(begin, int64_t{0})), static_cast<I>(min(begin + size, extent))};
}

// The output points whose windows have point i of the image.
__device__ __forceinline__ Range<int64_t> outputs_over(int64_t i, int64_t stride, int64_t pad, int64_t size,
                                                       int64_t extent) {
  const int64_t at = i + pad, first = at - size + 1;
  return {first > 0 ? split(first + stride - 1, stride).quotient : 0,
          min(split(at, stride).quotient + 1, extent)};
}

// Where a thread is: channels from c on, of point (row, col) of image n; line: n * height + row
struct Place {
  int64_t line, n, row, col, c;
  __device__ int64_t at(int64_t width, int64_t channels) const { return (line * width + col) * channels + c; }
};

// body(place) for W channels at a time of all points of (images, height, width, channels). A block takes
// whole lines, so that its threads divide once for their place in one.
template <int W, class F>
__device__ __forceinline__ void for_points(int64_t images, int64_t height, int64_t width, int64_t channels,
                                           const F& body) {
  for (int64_t line = blockIdx.x; line < images * height; line += gridDim.x) {
    const Split image = split(line, height);
    for (int64_t i = threadIdx.x; i < width * (channels / W); i += blockDim.x) {
      const Split col = split(i, channels / W);
      body(Place{line, image.quotient, image.remainder, col.quotient, col.remainder * W});
    }
  }
}

template <class I>
struct Window {
  Range<I> rows, cols;
};

template <class I>
__device__ __forceinline__ Window<I> window_of(const Pool2dShape& s, int64_t i, int64_t j) {
  return {window_at<I>(i, s.stride_h, s.pad_top, s.kh, s.h),
          window_at<I>(j, s.stride_w, s.pad_left, s.kw, s.w)};
}

__device__ __forceinline__ int64_t divisor(const Pool2dShape& s, const Window<int64_t>& window,
                                           bool count_include_pad) {
  return count_include_pad ? s.kh * s.kw : max(window.rows.size() * window.cols.size(), int64_t{1});
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    max_forward_kernel(Pool2dShape s, const T* x, T* y, int32_t* index) {
  begin_kernel();
  for_points<W>(s.n, s.oh, s.ow, s.c, [&](const Place& place) {
    const auto window = window_of<int32_t>(s, place.row, place.col);  // positions are of 32 bits
    const T* image = x + place.n * s.h * s.w * s.c + place.c;
    const int32_t width = static_cast<int32_t>(s.w), first = window.rows.begin * width + window.cols.begin;
    Pack<T, W> best = load_pack<W>(image + first * s.c);
    Pack<int32_t, W> where;
    for (int k = 0; k < W; ++k) where.at[k] = first;
    for (int32_t row = window.rows.begin; row < window.rows.end; ++row) {
      for (int32_t col = window.cols.begin; col < window.cols.end; ++col) {
        const int32_t position = row * width + col;
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
  __device__ void add(const Pool2dShape& s, int64_t i, int64_t j, int64_t at, int64_t,
                      Pack<T, W>& sums) const {
    const T count = static_cast<T>(divisor(s, window_of<int64_t>(s, i, j), count_include_pad));
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
  __device__ void add(const Pool2dShape&, int64_t, int64_t, int64_t at, int64_t position,
                      Pack<T, W>& sums) const {
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
    const Range rows = outputs_over(place.row, s.stride_h, s.pad_top, s.kh, s.oh);
    const Range cols = outputs_over(place.col, s.stride_w, s.pad_left, s.kw, s.ow);
    const int64_t position = place.row * s.w + place.col;
    Pack<T, W> sums{};
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      for (int64_t col = cols.begin; col < cols.end; ++col) {
        const int64_t at = ((place.n * s.oh + row) * s.ow + col) * s.c + place.c;
        share.template add<W>(s, row, col, at, position, sums);
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
    for (int64_t row = window.rows.begin; row < window.rows.end; ++row) {
      for (int64_t col = window.cols.begin; col < window.cols.end; ++col) {
        const Pack<T, W> values = load_pack<W>(image + (row * s.w + col) * s.c);
#pragma unroll
        for (int k = 0; k < W; ++k) sums.at[k] += values.at[k];
      }
    }
    const T points = static_cast<T>(divisor(s, window, count_include_pad));
#pragma unroll
    for (int k = 0; k < W; ++k) sums.at[k] /= points;
    store_pack(y + place.at(s.ow, s.c), sums);
  });
}

// Launches a kernel that goes through all points (images, height, width, channels): a block to a line, of as
// many threads as a line keeps busy.
template <class... P, class... A>
static void launch_over(Context& context, const char* name, void (*kernel)(P...), int64_t lines, int64_t line,
                        A&&... arguments) {
  if (line == 0) return;
  const int64_t threads = std::min<int64_t>(ceil_div<int64_t>(line, 32) * 32, kThreads);
  launch(context, name, kernel, dim3(blocks_for(lines, 1, 1 << 20)), dim3(static_cast<unsigned>(threads)), 0,
         static_cast<A&&>(arguments)...);
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

// Block (tile of channels, image).
template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    global_forward_kernel(int64_t n, int64_t pixels, int64_t channels, int across, const T* x, T* y) {
  begin_kernel();
  auto& storage = shared_storage<ColumnSums<1, W>>();
  const int down = kThreads / across, thread = static_cast<int>(threadIdx.x);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * across * W, col = first + thread % across * W;
  for (int64_t image = blockIdx.y; image < n; image += gridDim.y) {
    double parts[W] = {}, sums[1] = {};
    if (col < channels) {
#pragma unroll 4
      for (int64_t pixel = thread / across; pixel < pixels; pixel += down) {
        const Pack<T, W> values = load_pack<W>(x + (image * pixels + pixel) * channels + col);
#pragma unroll
        for (int k = 0; k < W; ++k) parts[k] += static_cast<double>(values.at[k]);
      }
    }
    sum_downwards(parts, across, storage, sums);
    if (thread < across * W && first + thread < channels) {
      y[image * channels + first + thread] = static_cast<T>(sums[0] / static_cast<double>(pixels));
    }
  }
}

template <class T>
static void global_average_forward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* x, T* y) {
  const bool packs = c % 4 == 0 && aligned(x);
  const int64_t width = packs ? c / 4 : c;
  const int across = threads_across(width);
  const dim3 grid(static_cast<unsigned>(ceil_div<int64_t>(width, across)), blocks_for(n, 1, 65535));
  launch(context, "global_avg_pool2d", packs ? global_forward_kernel<4, T> : global_forward_kernel<1, T>,
         grid, dim3(kThreads), packs ? sizeof(ColumnSums<1, 4>) : sizeof(ColumnSums<1, 1>), n, pixels, c,
         across, x, y);
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    global_backward_kernel(int64_t n, int64_t pixels, int64_t channels, const T* dy, Policy policy, T* dx) {
  begin_kernel();
  const T count = static_cast<T>(pixels);
  for_points<W>(n, pixels, 1, channels, [&](const Place& place) {
    Pack<T, W> share = load_pack<W>(dy + place.n * channels + place.c);
#pragma unroll
    for (int k = 0; k < W; ++k) share.at[k] /= count;
    put_pack(dx + place.at(1, channels), share, policy);
  });
}

template <class T>
static void global_average_backward(Context& context, int64_t n, int64_t pixels, int64_t c, const T* dy,
                                    Policy policy, T* dx) {
  const int width = c % 4 == 0 && aligned(dy, dx) ? 4 : 1;
  launch_over(context, "global_avg_pool2d_backward",
              width == 4 ? global_backward_kernel<4, T> : global_backward_kernel<1, T>, n * pixels, c / width,
              n, pixels, c, dy, policy, dx);
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

}  // namespace nnx::cuda
