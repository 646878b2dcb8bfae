// Windows that slide over images: strides, padding and dilation, shared by conv2d and pool2d.
#pragma once

#include "core/shape.h"

namespace nnx::ops {

struct Pair {
  int64_t h = 1, w = 1;
};

enum class PaddingKind { valid, same, explicit_points };

struct Padding {
  PaddingKind kind = PaddingKind::valid;
  int64_t top = 0, bottom = 0, left = 0, right = 0;  // explicit_points only
};

// "valid" or "same"; ValueError otherwise.
Padding parse_padding(const char* where, const std::string& text);

struct WindowAxis {
  int64_t out;            // positions of the window
  int64_t padding_begin;  // points in front: top or left
  int64_t padding_end;    // behind
};

struct Window {
  Pair kernel, strides, dilation;
  Padding padding;
  bool ceil_mode =
      false;  // one window more where points are left over, if it begins in front of the image's end
};

struct WindowOutput {
  WindowAxis h, w;
};

// ValueError for strides or dilations below 1, and for padding below 0.
void expect_window(const char* where, const Window& window);
// Where the window lands on an image (h, w); `name` is the argument its size came by. ValueError for kernels,
// strides or dilations below 1, negative padding, and windows larger than the padded image. "same": out =
// ceil(in / stride), the odd point at the end.
WindowOutput place_window(const char* where, const char* name, int64_t h, int64_t w, const Window& window);

}  // namespace nnx::ops
