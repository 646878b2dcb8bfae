#include <numeric>

#include "conv2d_passes.cuh"
#include "kernels/conv2d.h"

namespace nnx::cuda {
namespace {

constexpr TileKind kFewFilters = TileKind::narrow, kLongSums = TileKind::slim;

// Images whose channels cannot be copied four at a time, and are not worth it one by one.
bool has_few_channels(const Conv2dShape& s) { return s.c / s.groups < 8 && s.c / s.groups % 4 != 0; }

// Calls work(part of the batch, first image) such that pixels are counted in 31 bits.
template <class F>
void for_batches(const Conv2dShape& s, const F& work) {
  const int64_t pixels = std::max(s.h * s.w, s.oh * s.ow);
  const int64_t most = std::max<int64_t>((int64_t{1} << 30) / pixels, 1);
  int64_t image = 0;
  do {
    Conv2dShape part = s;
    part.n = std::min(s.n - image, most);
    work(part, image);
    image += part.n;
  } while (image < s.n);
}

// Elements that lie together: channels and filters of a group, so that those of all groups do too. k runs
// along the channels forward, along the filters for the input's gradient, and for the weights' along pixels,
// which TF32 cannot have turned.
Together forward_together(const Conv2dShape& s) {
  const int64_t c = s.c / s.groups, o = s.o / s.groups;
  return {c % 8 == 0 && o % 8 == 0, c % 4 == 0};
}
Together input_together(const Conv2dShape& s) {
  const int64_t o = s.o / s.groups;
  return {o % 8 == 0, o % 4 == 0};
}
Together weights_together(const Conv2dShape& s) { return {forward_together(s).eights, false, false}; }

int64_t x_elements(const Conv2dShape& s) { return s.n * s.h * s.w * s.c; }
int64_t y_elements(const Conv2dShape& s) { return s.n * s.oh * s.ow * s.o; }
int64_t w_elements(const Conv2dShape& s) { return s.kh * s.kw * (s.c / s.groups) * s.o; }

template <class T, Precision precision>
int64_t workspace(const Conv2dShape& s) {
  const int64_t c = s.c / s.groups, o = s.o / s.groups, taps = s.kh * s.kw;
  const Extents forward{s.n * s.oh * s.ow, o, taps * c, s.groups}, input = input_extents(s);
  const Extents weights{taps * c, o, s.n * s.oh * s.ow, s.groups};
  const int64_t xs = x_elements(s), ys = y_elements(s), ws = w_elements(s);
  return std::max({workspace_of<T, precision, kFewFilters>(forward, forward_together(s), xs, ws),
                   workspace_of<T, precision, kFewFilters>(input, input_together(s), ys, ws),
                   workspace_of<T, precision, kLongSums>(weights, weights_together(s), xs, ys)});
}

template <class T, Precision precision>
void forward(Context& context, const Conv2dShape& shape, const T* x, const T* w, const T* b,
             Activation activation, T* y) {
  for_batches(shape, [&](const Conv2dShape& s, int64_t image) {
    const T* const x_part = x + image * s.h * s.w * s.c;
    T* const y_part = y + image * s.oh * s.ow * s.o;
    if (has_few_channels(s)) {
      return multiply_all<T, precision, kFewFilters>(
          context, ForwardPass<T, WindowRole::pixels_by_few_taps>::of(s, x_part, w, b, activation, y_part));
    }
    multiply_operands<T, precision, kFewFilters>(
        context, forward_together(s), Operand<T>{x_part, x_elements(s)},
        Operand<T>{w, w_elements(s), w_elements(s) / s.o}, [&](auto* x_at, auto* w_at) {
          using Pass = ForwardPass<T, WindowRole::pixels_by_taps, ElementOf<decltype(x_at)>>;
          return Pass::of(s, x_at, w_at, b, activation, y_part);
        });
  });
}

template <class T, Precision precision>
void backward_input(Context& context, const Conv2dShape& shape, const T* dy, const T* w,
                    ActivationGradient<T> gradient, Policy policy, T* dx) {
  for_batches(shape, [&](const Conv2dShape& s, int64_t image) {
    const int64_t offset = image * s.h * s.w * s.c;
    ActivationGradient<T> part = gradient;
    if (part.saved != nullptr) part.saved += offset;
    multiply_operands<T, precision, kFewFilters>(
        context, input_together(s), Operand<T>{dy + image * s.oh * s.ow * s.o, y_elements(s)},
        Operand<T>{w, w_elements(s)}, [&](auto* dy_at, auto* w_at) {
          using Pass = InputGradientPass<T, ElementOf<decltype(dy_at)>>;
          return Pass::of(s, dy_at, w_at, part, policy, dx + offset);
        });
  });
}

template <class T, Precision precision>
void backward_weights(Context& context, const Conv2dShape& shape, const T* x, const T* dy, Policy policy,
                      T* dw, T* db) {
  for_batches(shape, [&](const Conv2dShape& s, int64_t image) {
    const Policy part_policy = image > 0 ? Policy::accumulate : policy;
    const T* const dy_part = dy + image * s.oh * s.ow * s.o;
    multiply_operands<T, precision, kLongSums, false>(
        context, weights_together(s), Operand<T>{x + image * s.h * s.w * s.c, x_elements(s)},
        Operand<T>{dy_part, y_elements(s)},
        [&](auto* x_at, auto* dy_at) {
          using Pass = WeightGradientPass<T, ElementOf<decltype(x_at)>>;
          return Pass::of(s, x_at, dy_at, part_policy, dw, db);
        },
        {dy_part, s.n * s.oh * s.ow, s.o, db, part_policy});
  });
}

template <class T, Precision precision>
void fill_with(kernels::Conv2dKernels<T>& table) {
  table = {};
  table.workspace = workspace<T, precision>;
  table.forward = forward<T, precision>;
  table.backward_input = backward_input<T, precision>;
  table.backward_weights = backward_weights<T, precision>;
}

}  // namespace

template <>
void fill(kernels::Conv2dKernels<float>& table, Precision precision) {
  with_precision(precision, [&](auto constant) { fill_with<float, decltype(constant)::value>(table); });
}

template <>
void fill(kernels::Conv2dKernels<double>& table, Precision) {
  fill_with<double, Precision::strict>(table);
}

}  // namespace nnx::cuda
