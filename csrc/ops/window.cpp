#include "ops/window.h"

#include <algorithm>

#include "ops/checks.h"

namespace nnx::ops {
namespace {

// Strides, dilations and paddings beyond this are mistakes; below it no sum of theirs overflows.
constexpr int64_t kMost = int64_t{1} << 31;

void expect_step(const char* where, const char* name, Pair pair) {
  for (const int64_t value : {pair.h, pair.w}) {
    if (value < 1 || value >= kMost) {
      bad_value(where, name, "integers of at least 1 and below 2^31",
                detail::concatenate("(", pair.h, ", ", pair.w, ")"));
    }
  }
}

WindowAxis place_axis(const char* where, const char* name, const char* axis, int64_t extent, int64_t kernel,
                      int64_t stride, int64_t dilation, PaddingKind kind, int64_t begin, int64_t end,
                      bool ceil_mode) {
  if (kind == PaddingKind::same) {
    const int64_t out = (extent - 1) / stride + 1;
    int64_t reach;  // the extent the windows cover
    if (__builtin_mul_overflow(kernel - 1, dilation, &reach) ||
        __builtin_add_overflow(reach, (out - 1) * stride + 1, &reach)) {
      bad_value(where, name, "a window of fewer than 2^63 points", kernel);
    }
    const int64_t points = std::max<int64_t>(reach - extent, 0);
    return {out, points / 2, points - points / 2};
  }
  int64_t span, padded;
  const bool overflow = __builtin_mul_overflow(kernel - 1, dilation, &span) ||
                        __builtin_add_overflow(extent, begin + end, &padded);
  // With ceil_mode the first window may reach beyond the padding, too.
  if (overflow || span >= padded + (ceil_mode ? stride - 1 : 0)) {
    bad_value(
        where, name,
        detail::concatenate("a window within the padded ", axis, " ", begin, " + ", extent, " + ", end),
        dilation == 1 ? std::to_string(kernel) : detail::concatenate(kernel, " with dilation ", dilation));
  }
  const int64_t room = padded - 1 - span;
  if (!ceil_mode) return {room / stride + 1, begin, end};
  const int64_t out = (room + stride - 1) / stride + 1;
  return {(out - 1) * stride >= extent + begin ? out - 1 : out, begin, end};
}

}  // namespace

Padding parse_padding(const char* where, const std::string& text) {
  if (text == "valid") return {PaddingKind::valid};
  if (text == "same") return {PaddingKind::same};
  bad_value(where, "padding", "'valid', 'same', an integer, (ph, pw) or ((top, bottom), (left, right))",
            "'" + text + "'");
}

void expect_window(const char* where, const Window& window) {
  const Padding& padding = window.padding;
  expect_step(where, "strides", window.strides);
  expect_step(where, "dilation", window.dilation);
  for (const int64_t points : {padding.top, padding.bottom, padding.left, padding.right}) {
    if (points < 0 || points >= kMost) {
      bad_value(where, "padding", "integers of at least 0 and below 2^31", points);
    }
  }
}

WindowOutput place_window(const char* where, const char* name, int64_t h, int64_t w, const Window& window) {
  const Padding& padding = window.padding;
  expect_window(where, window);
  return {place_axis(where, name, "height", h, window.kernel.h, window.strides.h, window.dilation.h,
                     padding.kind, padding.top, padding.bottom, window.ceil_mode),
          place_axis(where, name, "width", w, window.kernel.w, window.strides.w, window.dilation.w,
                     padding.kind, padding.left, padding.right, window.ceil_mode)};
}

}  // namespace nnx::ops
