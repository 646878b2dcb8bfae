// dense, conv2d and conv2d_transpose
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/activation.h"
#include "ops/conv2d.h"

namespace nnx::bindings {
namespace {

using Extra = std::optional<PairArgument>;
using Gradients = std::tuple<std::optional<ArrayResult>, ArrayResult, ArrayResult>;

Activation read_activation(const char* where, const std::optional<std::string>& name) {
  return name ? ops::parse_activation(where, *name) : Activation{};
}

Gradients results(const Call& call, const ops::LayerGradients& gradients) {
  return {call.optional_result(gradients.dx), call.result(gradients.dw), call.result(gradients.db)};
}

ops::Conv2dOptions read_conv2d(const char* where, const PairArgument& strides, const PaddingArgument& padding,
                               const PairArgument& dilation, int64_t groups) {
  return {read_pair(where, "strides", strides.object), read_padding(where, padding.object),
          read_pair(where, "dilation", dilation.object), groups};
}

ArrayResult dense(const ArrayArgument& x, const ArrayArgument& w, const std::optional<ArrayArgument>& b,
                  const std::optional<std::string>& activation) {
  Call call("dense");
  const Tensor tx = call.array("x", x);
  const Tensor tw = call.array("w", w);
  const Tensor tb = call.array("b", b);
  const Activation act = read_activation("dense", activation);
  return call.result(without_gil([&] { return ops::dense(tx, tw, tb, act); }));
}

Gradients dense_backward(const ArrayArgument& dy, const ArrayArgument& x, const ArrayArgument& w,
                         bool need_dx) {
  Call call("dense_backward");
  const Tensor tdy = call.array("dy", dy);
  const Tensor tx = call.array("x", x);
  const Tensor tw = call.array("w", w);
  return results(call, without_gil([&] { return ops::dense_backward(tdy, tx, tw, need_dx); }));
}

ArrayResult conv2d(const ArrayArgument& x, const ArrayArgument& w, const std::optional<ArrayArgument>& b,
                   const PairArgument& strides, const PaddingArgument& padding, const PairArgument& dilation,
                   int64_t groups, const std::optional<std::string>& activation) {
  Call call("conv2d");
  const Tensor tx = call.array("x", x);
  const Tensor tw = call.array("w", w);
  const Tensor tb = call.array("b", b);
  const ops::Conv2dOptions options = read_conv2d("conv2d", strides, padding, dilation, groups);
  const Activation act = read_activation("conv2d", activation);
  return call.result(without_gil([&] { return ops::conv2d(tx, tw, tb, options, act); }));
}

Gradients conv2d_backward(const ArrayArgument& dy, const ArrayArgument& x, const ArrayArgument& w,
                          const PairArgument& strides, const PaddingArgument& padding,
                          const PairArgument& dilation, int64_t groups, bool need_dx) {
  Call call("conv2d_backward");
  const Tensor tdy = call.array("dy", dy);
  const Tensor tx = call.array("x", x);
  const Tensor tw = call.array("w", w);
  const ops::Conv2dOptions options = read_conv2d("conv2d_backward", strides, padding, dilation, groups);
  return results(call, without_gil([&] { return ops::conv2d_backward(tdy, tx, tw, options, need_dx); }));
}

py::typing::Tuple<int, py::ellipsis> conv2d_output_shape(const ShapeArgument& x, const ShapeArgument& w,
                                                         const PairArgument& strides,
                                                         const PaddingArgument& padding,
                                                         const PairArgument& dilation, int64_t groups) {
  const char* where = "conv2d_output_shape";
  return to_tuple(ops::output_shape(
      ops::conv2d_shape(where, read_shape(where, "x_shape", x.object), read_shape(where, "w_shape", w.object),
                        read_conv2d(where, strides, padding, dilation, groups))));
}

ops::Conv2dTransposeOptions read_transposed(const char* where, const PairArgument& strides,
                                            const PaddingArgument& padding, const Extra& output_padding,
                                            const PairArgument& dilation) {
  ops::Conv2dTransposeOptions options{read_pair(where, "strides", strides.object),
                                      read_padding(where, padding.object), std::nullopt,
                                      read_pair(where, "dilation", dilation.object)};
  if (output_padding) options.output_padding = read_pair(where, "output_padding", output_padding->object);
  return options;
}

ArrayResult conv2d_transpose(const ArrayArgument& x, const ArrayArgument& w,
                             const std::optional<ArrayArgument>& b, const PairArgument& strides,
                             const PaddingArgument& padding, const Extra& output_padding,
                             const PairArgument& dilation, const std::optional<std::string>& activation) {
  const char* where = "conv2d_transpose";
  Call call(where);
  const Tensor tx = call.array("x", x), tw = call.array("w", w), tb = call.array("b", b);
  const auto options = read_transposed(where, strides, padding, output_padding, dilation);
  const Activation act = read_activation(where, activation);
  return call.result(without_gil([&] { return ops::conv2d_transpose(tx, tw, tb, options, act); }));
}

Gradients conv2d_transpose_backward(const ArrayArgument& dy, const ArrayArgument& x, const ArrayArgument& w,
                                    const PairArgument& strides, const PaddingArgument& padding,
                                    const Extra& output_padding, const PairArgument& dilation, bool need_dx) {
  const char* where = "conv2d_transpose_backward";
  Call call(where);
  const Tensor tdy = call.array("dy", dy), tx = call.array("x", x), tw = call.array("w", w);
  const auto options = read_transposed(where, strides, padding, output_padding, dilation);
  return results(call,
                 without_gil([&] { return ops::conv2d_transpose_backward(tdy, tx, tw, options, need_dx); }));
}

}  // namespace

void init_layers(py::module_& m) {
  m.def("dense", &dense, py::arg("x"), py::arg("w"), py::arg("b") = py::none(),
        py::arg("activation") = py::none(), "x (N, I), w (I, O), b (O) -> activation(x w + b) (N, O)");
  m.def("dense_backward", &dense_backward, py::arg("dy"), py::arg("x"), py::arg("w"),
        py::arg("need_dx") = true, "dy (N, O), x (N, I), w (I, O) -> dx (N, I) or None, dw (I, O), db (O)");
  m.def("conv2d", &conv2d, py::arg("x"), py::arg("w"), py::arg("b") = py::none(), py::arg("strides") = 1,
        py::arg("padding") = "valid", py::arg("dilation") = 1, py::arg("groups") = 1,
        py::arg("activation") = py::none(),
        "x (N, H, W, C), w (KH, KW, C / groups, O), b (O) -> activation(x * w + b) (N, OH, OW, O)");
  m.def("conv2d_backward", &conv2d_backward, py::arg("dy"), py::arg("x"), py::arg("w"),
        py::arg("strides") = 1, py::arg("padding") = "valid", py::arg("dilation") = 1, py::arg("groups") = 1,
        py::arg("need_dx") = true,
        "dy (N, OH, OW, O), x (N, H, W, C), w (KH, KW, C / groups, O) -> dx or None, dw, db (O)");
  m.def("conv2d_transpose", &conv2d_transpose, py::arg("x"), py::arg("w"), py::arg("b") = py::none(),
        py::arg("strides") = 1, py::arg("padding") = "valid", py::arg("output_padding") = py::none(),
        py::arg("dilation") = 1, py::arg("activation") = py::none(),
        "x (N, H, W, C), w (KH, KW, O, C), b (O) -> y (N, OH, OW, O)");
  m.def("conv2d_transpose_backward", &conv2d_transpose_backward, py::arg("dy"), py::arg("x"), py::arg("w"),
        py::arg("strides") = 1, py::arg("padding") = "valid", py::arg("output_padding") = py::none(),
        py::arg("dilation") = 1, py::arg("need_dx") = true,
        "dy (N, OH, OW, O), x (N, H, W, C), w (KH, KW, O, C) -> dx or None, dw, db (O)");
  m.def("conv2d_output_shape", &conv2d_output_shape, py::arg("x_shape"), py::arg("w_shape"),
        py::arg("strides") = 1, py::arg("padding") = "valid", py::arg("dilation") = 1, py::arg("groups") = 1,
        "x_shape (N, H, W, C), w_shape (KH, KW, C / groups, O) -> (N, OH, OW, O)");
}

}  // namespace nnx::bindings
