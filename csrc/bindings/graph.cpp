// Graph and Parameters: what a traced model is made of

#include "program/graph.h"

#include "bindings/arrays.h"
#include "bindings/init.h"
#include "core/error.h"
#include "ops/activation.h"
#include "program/parameters.h"

namespace nnx::bindings {
namespace {

using program::Graph;
using program::Node;
using program::ParameterEntry;
using program::Parameters;
using program::Slot;

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
                               const std::optional<PairArgument>& strides, const PaddingArgument& padding) {
  ops::Pool2dOptions options;
  options.pool_size = read_pair(where, "pool_size", pool_size.object);
  if (strides && !strides->object.is_none()) options.strides = read_pair(where, "strides", strides->object);
  options.padding = read_padding(where, padding.object);
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

Slot read_slot(const std::string& name) {
  for (int slot = 0; slot < program::kSlots; ++slot) {
    if (name == program::name_of(static_cast<Slot>(slot))) return static_cast<Slot>(slot);
  }
  bad_value("parameters", "slot", "'value', 'gradient', 'state0', 'state1', 'state2' or 'average'",
            "'" + name + "'");
}

// Where each parameter's values are already, if anywhere.
using Homes = std::vector<std::optional<std::pair<std::shared_ptr<Parameters>, int>>>;

std::shared_ptr<Parameters> make_parameters(const std::vector<std::string>& names,
                                            const std::vector<ShapeArgument>& shapes,
                                            const std::vector<bool>& trainable, const DTypeArgument& dtype,
                                            const std::string& device, const Homes& homes) {
  if (shapes.size() != names.size() || trainable.size() != names.size()) {
    bad_value("parameters", "shapes", "one shape and one flag for each name",
              detail::concatenate(names.size(), " names, ", shapes.size(), " shapes, ", trainable.size(),
                                  " flags"));
  }
  std::vector<ParameterEntry> entries;
  for (size_t i = 0; i < names.size(); ++i) {
    entries.push_back(
        {names[i], read_shape("parameters", names[i].c_str(), shapes[i].object), trainable[i],
         i < homes.size() && homes[i] ? homes[i]->first->entry(homes[i]->second).value : Tensor()});
  }
  const DType type = read_dtype("parameters", dtype.object);
  if (type != DType::float32 && type != DType::float64) {
    bad_type("parameters", "dtype", "float32 or float64", name_of(type));
  }
  return std::make_shared<Parameters>(std::move(entries), type, parse_device(device));
}

NumpyResult get_parameter(Parameters& parameters, int index, const std::string& slot) {
  return {to_numpy(parameters.view(index, read_slot(slot)).clone())};
}

void set_parameter(Parameters& parameters, int index, const NumpyArgument& array, const std::string& slot) {
  Tensor to = parameters.view(index, read_slot(slot));
  const char* const name = parameters.entry(index).name.c_str();
  const py::array cast = py::array::ensure(
      as_array("parameters", name, array.object).attr("astype")(numpy_dtype(to.dtype())), py::array::c_style);
  const Tensor from = from_numpy("parameters", name, cast, false);
  if (from.shape() != to.shape()) bad_value("parameters", name, to.shape(), from.shape());
  device_of(to.device()).copy_from_host(to.raw(), from.raw(), to.bytes());
}

void add_graph(py::module_& m) {
  py::class_<Graph, std::shared_ptr<Graph>> graph_class(
      m, "Graph", "A traced forward pass: nodes by number, shapes without the batch axis.");
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
             const PaddingArgument& padding) {
            return graph.max_pool2d(x, read_pool2d("max_pool2d", size, strides, padding));
          },
          py::arg("x"), py::arg("pool_size") = 2, py::arg("strides") = py::none(),
          py::arg("padding") = "valid", "x (H, W, C) -> (OH, OW, C)")
      .def(
          "avg_pool2d",
          [](Graph& graph, int x, const PairArgument& size, const std::optional<PairArgument>& strides,
             const PaddingArgument& padding, bool count_include_pad) {
            return graph.avg_pool2d(x, read_pool2d("avg_pool2d", size, strides, padding), count_include_pad);
          },
          py::arg("x"), py::arg("pool_size") = 2, py::arg("strides") = py::none(),
          py::arg("padding") = "valid", py::arg("count_include_pad") = false, "x (H, W, C) -> (OH, OW, C)")
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
}

void add_parameters(py::module_& m) {
  py::class_<Parameters, std::shared_ptr<Parameters>>(
      m, "Parameters", "A model's weights, gradients and optimizer state, one flat array a slot.")
      .def(py::init(&make_parameters), py::arg("names"), py::arg("shapes"), py::arg("trainable"),
           py::arg("dtype") = "float32", py::arg("device") = "cpu", py::arg("homes") = Homes{},
           "homes: parameters whose values are used, not copied, where dtype and device are the same.")
      .def(
          "same",
          [](const Parameters& self, int index, const Parameters& other, int other_index) {
            return self.entry(index).value.raw() == other.entry(other_index).value.raw();
          },
          py::arg("index"), py::arg("other"), py::arg("other_index"),
          "Whether a parameter's values lie where those of another are.")
      .def("get", &get_parameter, py::arg("index"), py::arg("slot") = "value",
           "A copy. Slots: value, gradient, state0, state1, state2, average.")
      .def("set", &set_parameter, py::arg("index"), py::arg("array"), py::arg("slot") = "value",
           "Copies an array of the parameter's shape in.")
      .def("begin_as", &Parameters::begin_as, py::arg("other"),
           "Slots that are made from now on begin with what those of `other` began with.")
      .def_property_readonly("names",
                             [](const Parameters& parameters) {
                               std::vector<std::string> names;
                               for (const ParameterEntry& entry : parameters.entries())
                                 names.push_back(entry.name);
                               return names;
                             })
      .def_property_readonly(
          "trainable",
          [](const Parameters& parameters) {
            std::vector<bool> flags;
            for (const ParameterEntry& entry : parameters.entries()) flags.push_back(entry.trainable);
            return flags;
          },
          "Whether training changes each.")
      .def_property_readonly(
          "states",
          [](const Parameters& parameters) {
            std::vector<std::string> names;
            for (const Slot slot : {Slot::state0, Slot::state1, Slot::state2, Slot::average}) {
              if (parameters.has(slot)) names.emplace_back(program::name_of(slot));
            }
            return names;
          },
          "The slots of the optimizer that are in use.")
      .def_property_readonly("dtype", [](const Parameters& p) { return numpy_dtype(p.dtype()); })
      .def_property_readonly("device", [](const Parameters& p) { return p.device().str(); })
      .def("__len__", [](const Parameters& p) { return p.entries().size(); });
}

}  // namespace

void init_graph(py::module_& m) {
  add_graph(m);
  add_parameters(m);
  refuse_unmade<Graph>();
  refuse_unmade<Parameters>();
}

}  // namespace nnx::bindings
