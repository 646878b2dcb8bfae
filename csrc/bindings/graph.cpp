// Graph: what a traced model is made of

#include "program/graph.h"

#include "bindings/arrays.h"
#include "bindings/graph_nodes.h"
#include "bindings/init.h"
#include "core/error.h"
#include "ops/activation.h"

namespace nnx::bindings {
namespace {

using program::Graph;
using program::Node;

using Dims = py::typing::Tuple<int, py::ellipsis>;

Activation read_activation(const char* where, const std::string& name, double alpha) {
  return ops::parse_activation(where, name, alpha);
}

int conv2d(Graph& graph, int x, int w, int b, const PairArgument& strides, const PaddingArgument& padding,
           const PairArgument& dilation, int64_t groups, const std::string& activation, double alpha) {
  const ops::Conv2dOptions options{read_pair("conv2d", "strides", strides.object),
                                   read_padding("conv2d", padding.object),
                                   read_pair("conv2d", "dilation", dilation.object), groups};
  return graph.conv2d(x, w, b, options, read_activation("conv2d", activation, alpha));
}

ops::Pool2dOptions read_pool2d(const char* where, const PairArgument& pool_size,
                               const std::optional<PairArgument>& strides, const PaddingArgument& padding,
                               const PairArgument& dilation, bool ceil_mode) {
  ops::Pool2dOptions options;
  options.pool_size = read_pair(where, "pool_size", pool_size.object);
  if (strides && !strides->object.is_none()) options.strides = read_pair(where, "strides", strides->object);
  options.padding = read_padding(where, padding.object);
  options.dilation = read_pair(where, "dilation", dilation.object);
  options.ceil_mode = ceil_mode;
  return options;
}

Specification describe(const Graph& graph, int id) {
  const Node& node = graph.node(id);
  py::list values, parameters;
  for (int input : node.inputs) {
    if (input < 0) continue;
    if (graph.node(input).kind == program::NodeKind::parameter) {
      parameters.append(graph.node(input).parameter);
    } else {
      values.append(input);
    }
  }
  py::dict result;
  result["id"] = id;
  result["kind"] = program::name_of(node.kind);
  result["scope"] = node.scope;
  result["shape"] = to_tuple(node.shape);
  result["inputs"] = values;
  result["parameters"] = parameters;
  result["flops"] = whole(graph.flops(id));
  return {result};
}

void add_graph(py::module_& m) {
  GraphClass graph_class(m, "Graph",
                         "A traced forward pass: nodes by number, shapes without the batch axis.");
  add_augment(graph_class);
  graph_class.def(py::init<>())
      .def("scope", &Graph::scope, py::arg("name"), "Nodes added from now on belong to this layer.")
      .def(
          "input",
          [](Graph& graph, const ShapeArgument& shape) {
            return graph.input(read_shape("input", "shape", shape.object));
          },
          py::arg("shape"), "The model's input.")
      .def(
          "parameter",
          [](Graph& graph, int index, const ShapeArgument& shape) {
            return graph.parameter(index, read_shape("parameter", "shape", shape.object));
          },
          py::arg("index"), py::arg("shape"), "The parameter of that index in Parameters.")
      .def(
          "dense",
          [](Graph& graph, int x, int w, int b, const std::string& activation, double alpha) {
            return graph.dense(x, w, b, read_activation("dense", activation, alpha));
          },
          py::arg("x"), py::arg("w"), py::arg("b"), py::arg("activation") = "identity",
          py::arg("alpha") = 0.0, "x (..., I), w (I, O), b (O) or -1 -> (..., O)")
      .def("conv2d", &conv2d, py::arg("x"), py::arg("w"), py::arg("b"), py::arg("strides") = 1,
           py::arg("padding") = "valid", py::arg("dilation") = 1, py::arg("groups") = 1,
           py::arg("activation") = "identity", py::arg("alpha") = 0.0,
           "x (H, W, C), w (KH, KW, C / groups, O), b (O) or -1 -> (OH, OW, O)")
      .def(
          "max_pool2d",
          [](Graph& graph, int x, const PairArgument& size, const std::optional<PairArgument>& strides,
             const PaddingArgument& padding, const PairArgument& dilation, bool ceil_mode) {
            return graph.max_pool2d(x,
                                    read_pool2d("max_pool2d", size, strides, padding, dilation, ceil_mode));
          },
          py::arg("x"), py::arg("pool_size") = 2, py::arg("strides") = py::none(),
          py::arg("padding") = "valid", py::arg("dilation") = 1, py::arg("ceil_mode") = false,
          "x (H, W, C) -> (OH, OW, C)")
      .def(
          "avg_pool2d",
          [](Graph& graph, int x, const PairArgument& size, const std::optional<PairArgument>& strides,
             const PaddingArgument& padding, bool count_include_pad, const PairArgument& dilation,
             bool ceil_mode) {
            return graph.avg_pool2d(x, read_pool2d("avg_pool2d", size, strides, padding, dilation, ceil_mode),
                                    count_include_pad);
          },
          py::arg("x"), py::arg("pool_size") = 2, py::arg("strides") = py::none(),
          py::arg("padding") = "valid", py::arg("count_include_pad") = false, py::arg("dilation") = 1,
          py::arg("ceil_mode") = false, "x (H, W, C) -> (OH, OW, C)")
      .def("global_avg_pool2d", &Graph::global_avg_pool2d, py::arg("x"), "x (H, W, C) -> (C)")
      .def(
          "activation",
          [](Graph& graph, int x, const std::string& kind, double alpha) {
            return graph.activation(x, read_activation("activation", kind, alpha));
          },
          py::arg("x"), py::arg("kind"), py::arg("alpha") = 0.0, "Element by element.")
      .def("softmax", &Graph::softmax, py::arg("x"), "Along the last axis.")
      .def("log_softmax", &Graph::log_softmax, py::arg("x"), "Along the last axis.")
      .def("dropout", &Graph::dropout, py::arg("x"), py::arg("rate"), py::arg("layer"),
           "Passes x on where the program does not train.")
      .def("batch_norm", &Graph::batch_norm, py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("mean"),
           py::arg("variance"), py::arg("momentum"), py::arg("epsilon"), "Over every axis but the last.")
      .def("local_response_norm", &Graph::local_response_norm, py::arg("x"), py::arg("size"),
           py::arg("alpha"), py::arg("beta"), py::arg("k"), "Over neighbouring channels.")
      .def("add", &Graph::add, py::arg("a"), py::arg("b"), "a + b, of one shape")
      .def("multiply", &Graph::multiply, py::arg("a"), py::arg("b"), "a * b, of one shape")
      .def("scale", &Graph::scale, py::arg("x"), py::arg("factor"), "factor * x")
      .def("concat", &Graph::concat, py::arg("xs"), py::arg("axis") = -1, "Axis 0 would be the batch's.")
      .def(
          "reshape",
          [](Graph& graph, int x, const ShapeArgument& shape) {
            return graph.reshape(x, read_shape("reshape", "shape", shape.object));
          },
          py::arg("x"), py::arg("shape"), "One extent may be -1.")
      .def("normalize", &Graph::normalize, py::arg("x"), py::arg("mean"), py::arg("deviation"),
           "(x - mean) / deviation by channel")
      .def(
          "shape", [](const Graph& graph, int node) { return Dims(to_tuple(graph.node(node).shape)); },
          py::arg("node"), "A node's shape, without the batch axis.")
      .def(
          "nodes",
          [](const Graph& graph) {
            std::vector<Specification> nodes;
            for (size_t id = 0; id < graph.nodes().size(); ++id)
              nodes.push_back(describe(graph, static_cast<int>(id)));
            return nodes;
          },
          "id, kind, scope, shape, inputs, parameters and forward flops per sample of every node.");
  add_layer_nodes(graph_class);
}

}  // namespace

void init_graph(py::module_& m) {
  add_graph(m);
  refuse_unmade<Graph>();
}

}  // namespace nnx::bindings
