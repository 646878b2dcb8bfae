// Winograd's minimal filtering F(2x2, 3x3) and F(2x2, 5x5) (Winograd 1980; Lavin and Gray 2016) for float32
// convolutions with stride 1: a tile of 2x2 output points from a 4x4 patch takes 16 products per pair of
// channels where the definition takes 36, from a 6x6 patch 46 where it takes 100.
//
//   forward, input gradient   y  = Aᵀ [ (G w Gᵀ) . (Bᵀ d B) ] A      summed over input channels
//   weight gradient           dw = Gᵀ [ (A dy Aᵀ) . (Bᵀ d B) ] G     summed over tiles
//
// Each of the points of [ ] is a matrix product of its own, by the micro-kernels. The only factors are powers
// of two down to 1/4 and 1/16, so whole numbers stay exact.
#pragma once

#include "cpu/gemm/epilogue.h"
#include "kernels/conv2d.h"

namespace nnx::cpu::NNX_ISA {

// Where it pays, by shape alone. Measured with AVX-512 and AVX2, one thread: below 48 tiles, of 5x5 windows
// 96, the transforms of the filters outweigh the products saved, with fewer than 8 channels those of the
// images.
inline constexpr int64_t kMinTiles3 = 48, kMinTiles5 = 96, kMinChannels = 8;

// A sum over more channels is better cut into blocks, for precision (kBlockDepth).
inline constexpr int64_t kMaxChannels = 512;

NNX_INLINE bool winograd_pays(const Conv2dShape& s) {
  const bool window = s.kh == s.kw && (s.kh == 3 || s.kh == 5);
  return window && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 && s.dilation_w == 1 &&
         s.groups == 1 && min_of(s.c, s.o) >= kMinChannels && max_of(s.c, s.o) <= kMaxChannels &&
         s.n * ceil_div(s.oh, 2) * ceil_div(s.ow, 2) >= (s.kh == 3 ? kMinTiles3 : kMinTiles5);
}

// Elements of workspace, of the first two passes and of the last.
int64_t winograd_rows_workspace(const Conv2dShape&);
int64_t winograd_columns_workspace(const Conv2dShape&);

// A tile of the output is a window of 2 x 2 pools, so these can be taken on the way out.
NNX_INLINE bool winograd_pools(const Conv2dShape& s, const Pool2dShape& pool) {
  return winograd_pays(s) && pool.kh == 2 && pool.kw == 2 && pool.stride_h == 2 && pool.stride_w == 2;
}

// y (n, oh, ow, o); with a pool that lies inside it, y and index (n, pool->oh, pool->ow, o), index may be
// null.
void winograd_forward(Context&, const Conv2dShape&, const Pool2dShape* pool, const float* x, const float* w,
                      float* y, int32_t* index, const Epilogue<float>&);
void winograd_backward_input(Context&, const Conv2dShape&, const float* dy, const float* w, float* dx,
                             const Epilogue<float>&);
void winograd_backward_weights(Context&, const Conv2dShape&, const float* x, const float* dy, Policy,
                               float* dw, float* db);

}  // namespace nnx::cpu::NNX_ISA
