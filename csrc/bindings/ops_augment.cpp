// Random changes of images
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/augment.h"

namespace nnx::bindings {
namespace {

using Range = std::pair<double, double>;

ops::WarpOptions options_of(const std::string& flip, const std::string& motion, const Range& low,
                            const Range& high, int64_t height, int64_t width, const std::string& fill_mode,
                            double fill_value, const std::string& interpolation) {
  return {flip, motion, low, high, fill_mode, fill_value, interpolation, height, width};
}

Warp keyed(const char* where, const ops::WarpOptions& options, const IntegerArgument& seed, int64_t layer,
           const IntegerArgument& step, int64_t flip_layer) {
  Warp warp = ops::make_warp(where, options);
  const uint64_t number = read_unsigned(where, "seed", seed.object);
  const uint64_t at = read_unsigned(where, "step", step.object);
  warp.move = ops::row_key(where, number, layer, at);
  warp.flip = ops::row_key(where, number, flip_layer, at);
  return warp;
}

ArrayResult warp(const std::string& where, const ArrayArgument& x, const std::string& flip,
                 const std::string& motion, const Range& low, const Range& high, int64_t height,
                 int64_t width, const std::string& fill_mode, double fill_value,
                 const std::string& interpolation, const IntegerArgument& seed, int64_t layer,
                 const IntegerArgument& step, int64_t flip_layer) {
  Call call(where.c_str());
  const Tensor tx = call.array("x", x);
  const ops::WarpOptions options =
      options_of(flip, motion, low, high, height, width, fill_mode, fill_value, interpolation);
  const Warp made = keyed(call.where(), options, seed, layer, step, flip_layer);
  return call.result(without_gil(
      [&] { return ops::warp(call.where(), tx, ops::warp_shape(call.where(), tx.shape(), options), made); }));
}

ArrayResult warp_backward(const std::string& where, const ArrayArgument& dy, const ShapeArgument& x_shape,
                          const std::string& flip, const std::string& motion, const Range& low,
                          const Range& high, int64_t height, int64_t width, const std::string& fill_mode,
                          double fill_value, const std::string& interpolation, const IntegerArgument& seed,
                          int64_t layer, const IntegerArgument& step, int64_t flip_layer) {
  Call call(where.c_str());
  const Tensor tdy = call.array("dy", dy);
  const Shape shape = read_shape(call.where(), "x_shape", x_shape.object);
  const ops::WarpOptions options =
      options_of(flip, motion, low, high, height, width, fill_mode, fill_value, interpolation);
  const Warp made = keyed(call.where(), options, seed, layer, step, flip_layer);
  return call.result(without_gil([&] {
    return ops::warp_backward(call.where(), tdy, ops::warp_shape(call.where(), shape, options, "x_shape"),
                              made);
  }));
}

Contrast contrast_of(const char* where, double low, double high, const Range& value_range,
                     const IntegerArgument& seed, int64_t layer, const IntegerArgument& step) {
  return {ops::row_key(where, read_unsigned(where, "seed", seed.object), layer,
                       read_unsigned(where, "step", step.object)),
          low, high, value_range.first, value_range.second};
}

ArrayResult contrast(const ArrayArgument& x, double low, double high, const Range& value_range,
                     const IntegerArgument& seed, int64_t layer, const IntegerArgument& step) {
  Call call("random_contrast");
  const Tensor tx = call.array("x", x);
  const Contrast made = contrast_of(call.where(), low, high, value_range, seed, layer, step);
  return call.result(without_gil([&] { return ops::contrast(tx, made); }));
}

ArrayResult contrast_backward(const ArrayArgument& dy, const ArrayArgument& x, double low, double high,
                              const Range& value_range, const IntegerArgument& seed, int64_t layer,
                              const IntegerArgument& step) {
  Call call("random_contrast_backward");
  const Tensor tdy = call.array("dy", dy), tx = call.array("x", x);
  const Contrast made = contrast_of(call.where(), low, high, value_range, seed, layer, step);
  return call.result(without_gil([&] { return ops::contrast_backward(tdy, tx, made); }));
}

}  // namespace

void init_augment(py::module_& m) {
  m.def("warp", &warp, py::arg("where"), py::arg("x"), py::arg("flip") = "none", py::arg("motion") = "none",
        py::arg("low") = Range{0, 0}, py::arg("high") = Range{0, 0}, py::arg("height") = 0,
        py::arg("width") = 0, py::arg("fill_mode") = "reflect", py::arg("fill_value") = 0.0,
        py::arg("interpolation") = "bilinear", py::arg("seed") = 0, py::arg("layer") = 0, py::arg("step") = 0,
        py::arg("flip_layer") = 0,
        "x (N, H, W, C) -> (N, OH, OW, C): each sample flipped by the words of flip_layer, then moved by "
        "those of layer. `where`: the name that errors give");
  m.def("warp_backward", &warp_backward, py::arg("where"), py::arg("dy"), py::arg("x_shape"),
        py::arg("flip") = "none", py::arg("motion") = "none", py::arg("low") = Range{0, 0},
        py::arg("high") = Range{0, 0}, py::arg("height") = 0, py::arg("width") = 0,
        py::arg("fill_mode") = "reflect", py::arg("fill_value") = 0.0, py::arg("interpolation") = "bilinear",
        py::arg("seed") = 0, py::arg("layer") = 0, py::arg("step") = 0, py::arg("flip_layer") = 0,
        "dy (N, OH, OW, C) -> dx (N, H, W, C)");
  m.def("random_contrast", &contrast, py::arg("x"), py::arg("low"), py::arg("high"), py::arg("value_range"),
        py::arg("seed"), py::arg("layer") = 0, py::arg("step") = 0,
        "x (N, H, W, C) -> (x - mean) * factor + mean, clipped; the factor is uniform in [low, high)");
  m.def("random_contrast_backward", &contrast_backward, py::arg("dy"), py::arg("x"), py::arg("low"),
        py::arg("high"), py::arg("value_range"), py::arg("seed"), py::arg("layer") = 0, py::arg("step") = 0,
        "dy, x (N, H, W, C) -> dx");
}

}  // namespace nnx::bindings
