// The nodes of Graph that draw what they do to samples, but for dropout
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "program/graph.h"

namespace nnx::bindings {
namespace {

using program::Graph;

using Range = std::pair<double, double>;
using OptionalSeed = std::optional<IntegerArgument>;

std::optional<uint64_t> read_seed(const char* where, const OptionalSeed& seed) {
  if (!seed || seed->object.is_none()) return {};
  return read_unsigned(where, "seed", seed->object);
}

int warp(Graph& graph, const std::string& where, int x, const std::string& flip, const std::string& motion,
         const Range& low, const Range& high, int64_t height, int64_t width, const std::string& fill_mode,
         double fill_value, const std::string& interpolation, uint32_t layer, const OptionalSeed& seed) {
  const ops::WarpOptions options{flip,       motion,        low,    high, fill_mode,
                                 fill_value, interpolation, height, width};
  return graph.warp(where.c_str(), x, options, layer, read_seed(where.c_str(), seed));
}

}  // namespace

void add_augment(py::class_<Graph, std::shared_ptr<Graph>>& graph) {
  graph
      .def(
          "channel_dropout",
          [](Graph& graph, int x, double rate, uint32_t layer, const OptionalSeed& seed) {
            return graph.channel_dropout(x, rate, layer, read_seed("spatial_dropout2d", seed));
          },
          py::arg("x"), py::arg("rate"), py::arg("layer"), py::arg("seed") = py::none(),
          "x (H, W, C), whole channels; passes x on where the program does not train.")
      .def(
          "noise",
          [](Graph& graph, int x, double stddev, uint32_t layer, const OptionalSeed& seed) {
            return graph.noise(x, stddev, layer, read_seed("gaussian_noise", seed));
          },
          py::arg("x"), py::arg("stddev"), py::arg("layer"), py::arg("seed") = py::none(),
          "x plus normal numbers; passes x on where the program does not train.")
      .def("warp", &warp, py::arg("where"), py::arg("x"), py::arg("flip") = "none",
           py::arg("motion") = "none", py::arg("low") = Range{0, 0}, py::arg("high") = Range{0, 0},
           py::arg("height") = 0, py::arg("width") = 0, py::arg("fill_mode") = "reflect",
           py::arg("fill_value") = 0.0, py::arg("interpolation") = "bilinear", py::arg("layer") = 0,
           py::arg("seed") = py::none(),
           "x (H, W, C) -> (OH, OW, C). Where the program does not train, crops take the centre, and all "
           "else passes x on.")
      .def(
          "contrast",
          [](Graph& graph, int x, double low, double high, const Range& value_range, uint32_t layer,
             const OptionalSeed& seed) {
            return graph.contrast(x, {{}, low, high, value_range.first, value_range.second}, layer,
                                  read_seed("random_contrast", seed));
          },
          py::arg("x"), py::arg("low"), py::arg("high"), py::arg("value_range"), py::arg("layer"),
          py::arg("seed") = py::none(),
          "x (H, W, C), stretched about its means; passes x on where the program does not train.");
}

}  // namespace nnx::bindings
