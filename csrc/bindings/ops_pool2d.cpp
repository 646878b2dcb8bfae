// pooling over windows and over whole images, upsampling
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/pool2d.h"

namespace nnx::bindings {
namespace {

using Strides = std::optional<PairArgument>;

ops::Pool2dOptions read_pool2d(const char* where, const PairArgument& pool_size, const Strides& strides,
                               const PaddingArgument& padding, const PairArgument& dilation, bool ceil_mode) {
  ops::Pool2dOptions options;
  options.pool_size = read_pair(where, "pool_size", pool_size.object);
  if (strides) options.strides = read_pair(where, "strides", strides->object);
  options.padding = read_padding(where, padding.object);
  options.dilation = read_pair(where, "dilation", dilation.object);
  options.ceil_mode = ceil_mode;
  return options;
}

std::tuple<ArrayResult, ArrayResult> max_pool2d(const ArrayArgument& x, const PairArgument& pool_size,
                                                const Strides& strides, const PaddingArgument& padding,
                                                const PairArgument& dilation, bool ceil_mode) {
  Call call("max_pool2d");
  const Tensor tx = call.array("x", x);
  const ops::Pool2dOptions options =
      read_pool2d("max_pool2d", pool_size, strides, padding, dilation, ceil_mode);
  const auto [y, index] = without_gil([&] { return ops::max_pool2d(tx, options); });
  return {call.result(y), call.result(index)};
}

ArrayResult max_pool2d_backward(const ArrayArgument& dy, const ArrayArgument& index,
                                const ShapeArgument& x_shape, const PairArgument& pool_size,
                                const Strides& strides, const PaddingArgument& padding,
                                const PairArgument& dilation, bool ceil_mode) {
  const char* where = "max_pool2d_backward";
  Call call(where);
  const Tensor tdy = call.array("dy", dy);
  const Tensor tindex = call.integers("index", index);
  const Shape shape = read_shape(where, "x_shape", x_shape.object);
  const ops::Pool2dOptions options = read_pool2d(where, pool_size, strides, padding, dilation, ceil_mode);
  return call.result(without_gil([&] { return ops::max_pool2d_backward(tdy, tindex, shape, options); }));
}

ArrayResult avg_pool2d(const ArrayArgument& x, const PairArgument& pool_size, const Strides& strides,
                       const PaddingArgument& padding, bool count_include_pad, const PairArgument& dilation,
                       bool ceil_mode) {
  Call call("avg_pool2d");
  const Tensor tx = call.array("x", x);
  const ops::Pool2dOptions options =
      read_pool2d("avg_pool2d", pool_size, strides, padding, dilation, ceil_mode);
  return call.result(without_gil([&] { return ops::avg_pool2d(tx, options, count_include_pad); }));
}

ArrayResult avg_pool2d_backward(const ArrayArgument& dy, const ShapeArgument& x_shape,
                                const PairArgument& pool_size, const Strides& strides,
                                const PaddingArgument& padding, bool count_include_pad,
                                const PairArgument& dilation, bool ceil_mode) {
  const char* where = "avg_pool2d_backward";
  Call call(where);
  const Tensor tdy = call.array("dy", dy);
  const Shape shape = read_shape(where, "x_shape", x_shape.object);
  const ops::Pool2dOptions options = read_pool2d(where, pool_size, strides, padding, dilation, ceil_mode);
  return call.result(
      without_gil([&] { return ops::avg_pool2d_backward(tdy, shape, options, count_include_pad); }));
}

ArrayResult global_avg_pool2d(const ArrayArgument& x) {
  Call call("global_avg_pool2d");
  const Tensor tx = call.array("x", x);
  return call.result(without_gil([&] { return ops::global_avg_pool2d(tx); }));
}

ArrayResult global_avg_pool2d_backward(const ArrayArgument& dy, const ShapeArgument& x_shape) {
  Call call("global_avg_pool2d_backward");
  const Tensor tdy = call.array("dy", dy);
  const Shape shape = read_shape(call.where(), "x_shape", x_shape.object);
  return call.result(without_gil([&] { return ops::global_avg_pool2d_backward(tdy, shape); }));
}

ArrayResult global_max_pool2d(const ArrayArgument& x) {
  Call call("global_max_pool2d");
  const Tensor tx = call.array("x", x);
  return call.result(without_gil([&] { return ops::global_max_pool2d(tx); }));
}

ArrayResult global_max_pool2d_backward(const ArrayArgument& dy, const ArrayArgument& x) {
  Call call("global_max_pool2d_backward");
  const Tensor tdy = call.array("dy", dy);
  const Tensor tx = call.array("x", x);
  return call.result(without_gil([&] { return ops::global_max_pool2d_backward(tdy, tx); }));
}

ArrayResult upsample2d(const ArrayArgument& x, const PairArgument& size, const std::string& interpolation) {
  Call call("upsample2d");
  const Tensor tx = call.array("x", x);
  const ops::Pair by = read_pair(call.where(), "size", size.object);
  const bool bilinear = ops::parse_bilinear(call.where(), interpolation);
  return call.result(without_gil([&] { return ops::upsample2d(tx, by, bilinear); }));
}

ArrayResult upsample2d_backward(const ArrayArgument& dy, const PairArgument& size,
                                const std::string& interpolation) {
  Call call("upsample2d_backward");
  const Tensor tdy = call.array("dy", dy);
  const ops::Pair by = read_pair(call.where(), "size", size.object);
  const bool bilinear = ops::parse_bilinear(call.where(), interpolation);
  return call.result(without_gil([&] { return ops::upsample2d_backward(tdy, by, bilinear); }));
}

py::typing::Tuple<int, py::ellipsis> pool2d_output_shape(const ShapeArgument& x_shape,
                                                         const PairArgument& pool_size,
                                                         const Strides& strides,
                                                         const PaddingArgument& padding,
                                                         const PairArgument& dilation, bool ceil_mode) {
  const char* where = "pool2d_output_shape";
  return to_tuple(ops::output_shape(
      ops::pool2d_shape(where, read_shape(where, "x_shape", x_shape.object),
                        read_pool2d(where, pool_size, strides, padding, dilation, ceil_mode))));
}

}  // namespace

void init_pool2d(py::module_& m) {
  m.def("max_pool2d", &max_pool2d, py::arg("x"), py::arg("pool_size") = 2, py::arg("strides") = py::none(),
        py::arg("padding") = "valid", py::arg("dilation") = 1, py::arg("ceil_mode") = false,
        "x (N, H, W, C) -> y (N, OH, OW, C) and index (N, OH, OW, C) int32: ih * W + iw of each maximum");
  m.def("max_pool2d_backward", &max_pool2d_backward, py::arg("dy"), py::arg("index"), py::arg("x_shape"),
        py::arg("pool_size") = 2, py::arg("strides") = py::none(), py::arg("padding") = "valid",
        py::arg("dilation") = 1, py::arg("ceil_mode") = false,
        "dy, index (N, OH, OW, C), x_shape (N, H, W, C) -> dx (N, H, W, C)");
  m.def("avg_pool2d", &avg_pool2d, py::arg("x"), py::arg("pool_size") = 2, py::arg("strides") = py::none(),
        py::arg("padding") = "valid", py::arg("count_include_pad") = false, py::arg("dilation") = 1,
        py::arg("ceil_mode") = false, "x (N, H, W, C) -> y (N, OH, OW, C)");
  m.def("avg_pool2d_backward", &avg_pool2d_backward, py::arg("dy"), py::arg("x_shape"),
        py::arg("pool_size") = 2, py::arg("strides") = py::none(), py::arg("padding") = "valid",
        py::arg("count_include_pad") = false, py::arg("dilation") = 1, py::arg("ceil_mode") = false,
        "dy (N, OH, OW, C), x_shape (N, H, W, C) -> dx (N, H, W, C)");
  m.def("global_avg_pool2d", &global_avg_pool2d, py::arg("x"), "x (N, H, W, C) -> means over H and W (N, C)");
  m.def("global_avg_pool2d_backward", &global_avg_pool2d_backward, py::arg("dy"), py::arg("x_shape"),
        "dy (N, C), x_shape (N, H, W, C) -> dx (N, H, W, C)");
  m.def("global_max_pool2d", &global_max_pool2d, py::arg("x"),
        "x (N, H, W, C) -> maxima over H and W (N, C)");
  m.def("global_max_pool2d_backward", &global_max_pool2d_backward, py::arg("dy"), py::arg("x"),
        "dy (N, C), x (N, H, W, C) -> dx (N, H, W, C)");
  m.def("upsample2d", &upsample2d, py::arg("x"), py::arg("size") = 2, py::arg("interpolation") = "nearest",
        "x (N, H, W, C) -> y (N, H * size, W * size, C)");
  m.def("upsample2d_backward", &upsample2d_backward, py::arg("dy"), py::arg("size") = 2,
        py::arg("interpolation") = "nearest", "dy (N, H * size, W * size, C) -> dx (N, H, W, C)");
  m.def("pool2d_output_shape", &pool2d_output_shape, py::arg("x_shape"), py::arg("pool_size") = 2,
        py::arg("strides") = py::none(), py::arg("padding") = "valid", py::arg("dilation") = 1,
        py::arg("ceil_mode") = false, "x_shape (N, H, W, C) -> (N, OH, OW, C)");
}

}  // namespace nnx::bindings
