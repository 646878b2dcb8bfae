// Images as the source of weight gradients.
#pragma once

#include "cpu/gemm/patches.h"

namespace nnx::cpu::NNX_ISA {

// Weight gradient: the reduction runs over output pixels; a line is a row of them or, in wide images, a piece
// of one. Taps are (kh, kw), or with few channels the whole patch, copied.
template <class T>
struct PatchSource {
  const Conv2dShape& s;
  const T* x;  // moved to the group's first channel
  bool gather;
  int64_t parts, per_block;

  static constexpr int64_t kLine = kBlockDepth<T> / 2;

  PatchSource(const Conv2dShape& shape, const T* image)
      : s(shape),
        x(image),
        gather(gathers(shape, kBlockDepth<T>)),
        parts(ceil_div(shape.ow, kLine)),
        per_block(max_of(1, min_of(kMaxLines, kLine / shape.ow))) {}

  int64_t lines() const { return s.n * s.oh * parts; }
  int64_t line_start(int64_t line) const { return line / parts * s.ow + line % parts * kLine; }
  int64_t line_length(int64_t line) const { return min_of(kLine, s.ow - line % parts * kLine); }
  int64_t lines_per_block() const { return per_block; }
  int64_t block_pixels() const { return per_block * min_of(kLine, s.ow); }
  int64_t tap_length() const { return gather ? s.kh * s.kw * s.c : s.c / s.groups; }
  int64_t a_stride() const { return gather ? tap_length() : s.stride_w * s.c; }
  int64_t storage_elements() const { return gather ? block_pixels() * tap_length() : 0; }

  void prepare(int64_t line0, int64_t line1, T* storage) const {
    if (!gather) return;
    for (int64_t line = line0; line < line1; ++line) {
      Position at = Position::of(line_start(line), s.oh, s.ow);
      for (int64_t p = 0; p < line_length(line); ++p, at.next(), storage += tap_length()) {
        gather_patch(s, x, at, storage);
      }
    }
  }

  const T* segment(int64_t tap, int64_t line, int64_t line0, const T* storage, int64_t* first,
                   int64_t* length) const {
    if (gather) {
      *first = 0;
      *length = line_length(line);
      return storage + (line_start(line) - line_start(line0)) * tap_length();
    }
    const int64_t row = line / parts, ow0 = line % parts * kLine;
    const int64_t ih = row % s.oh * s.stride_h - s.pad_top + tap / s.kw * s.dilation_h;
    const int64_t w0 = tap % s.kw * s.dilation_w - s.pad_left;  // input column of output column 0
    const int64_t inside = w0 < 0 ? ceil_div(-w0, s.stride_w) : 0;
    const int64_t outside = w0 < s.w ? (s.w - 1 - w0) / s.stride_w + 1 : 0;
    const int64_t begin = max_of(ow0, inside), end = min_of(ow0 + line_length(line), outside);
    *first = begin - ow0;
    *length = ih < 0 || ih >= s.h ? 0 : end - begin;
    return x + ((row / s.oh * s.h + ih) * s.w + w0 + begin * s.stride_w) * s.c;
  }
};

}  // namespace nnx::cpu::NNX_ISA
