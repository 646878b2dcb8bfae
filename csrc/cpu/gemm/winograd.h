// Winograd's minimal filtering F(2x2, 3x3) (Winograd 1980; Lavin and Gray 2016) for float32 convolutions with
// 3x3 windows, stride 1: a tile of 2x2 output points from a 4x4 patch takes 16 products per pair of channels
// where the definition takes 36.
//
//   forward, input gradient   y  = Aᵀ [ (G w Gᵀ) . (Bᵀ d B) ] A      summed over input channels
//   weight gradient           dw = Gᵀ [ (A dy Aᵀ) . (Bᵀ d B) ] G     summed over tiles
//
// Each of the 16 points of [ ] is a matrix product of its own, by the micro-kernels. The only factors are 1/2
// and 1/4, so whole numbers stay exact.
#pragma once

#include "cpu/gemm/epilogue.h"
#include "kernels/conv2d.h"

namespace nnx::cpu::NNX_ISA {

NNX_INLINE bool is_winograd(const Conv2dShape& s) {
  return s.kh == 3 && s.kw == 3 && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
         s.dilation_w == 1 && s.groups == 1;
}

// Whether a pass goes this way: by shape alone, and not by the batch's size, so that an image's results do
// not depend on the images beside it.
bool winograd_rows_pay(const Conv2dShape&);
bool winograd_columns_pay(const Conv2dShape&);

// Elements of workspace.
int64_t winograd_rows_workspace(const Conv2dShape&);
int64_t winograd_columns_workspace(const Conv2dShape&);

void winograd_forward(Context&, const Conv2dShape&, const float* x, const float* w, float* y,
                      const Epilogue<float>&);
void winograd_backward_input(Context&, const Conv2dShape&, const float* dy, const float* w, float* dx,
                             const Epilogue<float>&);
void winograd_backward_weights(Context&, const Conv2dShape&, const float* x, const float* dy, Policy,
                               float* dw, float* db);

}  // namespace nnx::cpu::NNX_ISA
