#include "bindings/graph_nodes.h"

namespace nnx::bindings {

using program::Graph;

void add_layer_nodes(GraphClass& graph) {
  graph
      .def(
          "conv2d_transpose",
          [](Graph& self, int x, int w, int b, const PairArgument& strides, const PaddingArgument& padding,
             const std::optional<PairArgument>& output_padding, const PairArgument& dilation) {
            const char* where = "conv2d_transpose";
            ops::Conv2dTransposeOptions options{read_pair(where, "strides", strides.object),
                                                read_padding(where, padding.object), std::nullopt,
                                                read_pair(where, "dilation", dilation.object)};
            if (output_padding) {
              options.output_padding = read_pair(where, "output_padding", output_padding->object);
            }
            return self.conv2d_transpose(x, w, b, options);
          },
          py::arg("x"), py::arg("w"), py::arg("b"), py::arg("strides") = 1, py::arg("padding") = "valid",
          py::arg("output_padding") = py::none(), py::arg("dilation") = 1,
          "x (H, W, C), w (KH, KW, O, C), b (O) or -1 -> (OH, OW, O)")
      .def("global_max_pool2d", &Graph::global_max_pool2d, py::arg("x"), "x (H, W, C) -> (C)")
      .def(
          "upsample2d",
          [](Graph& self, int x, const PairArgument& size, const std::string& interpolation) {
            return self.upsample2d(x, read_pair("upsample2d", "size", size.object),
                                   ops::parse_bilinear("upsample2d", interpolation));
          },
          py::arg("x"), py::arg("size") = 2, py::arg("interpolation") = "nearest",
          "x (H, W, C) -> (H * size, W * size, C)")
      .def("group_norm", &Graph::group_norm, py::arg("x"), py::arg("gamma"), py::arg("beta"),
           py::arg("groups"), py::arg("epsilon"), "x (..., C), gamma, beta (C) or -1")
      .def("layer_norm", &Graph::layer_norm, py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("axes"),
           py::arg("epsilon"), "Over the last `axes` axes; gamma, beta of those, or -1.");
}

}  // namespace nnx::bindings
