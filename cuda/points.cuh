// Images (n, height, width, channels), a block to a line of one.
#pragma once

#include "vector.cuh"

namespace nnx::cuda {

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

}  // namespace nnx::cuda
