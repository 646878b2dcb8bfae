// Each area of nnx._core adds its own functions.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

namespace nnx::program {
class Graph;
}

namespace nnx::bindings {

void init_tensor(pybind11::module_& m);
void init_layers(pybind11::module_& m);  // dense, conv2d
void init_pool2d(pybind11::module_& m);
void init_activation(pybind11::module_& m);  // and softmax
void init_norm(pybind11::module_& m);
void init_augment(pybind11::module_& m);
void init_random(pybind11::module_& m);  // dropout and random numbers
void init_loss(pybind11::module_& m);
void init_metrics(pybind11::module_& m);
void init_optimizer(pybind11::module_& m);
void init_elementwise(pybind11::module_& m);
void init_info(pybind11::module_& m);
void init_graph(pybind11::module_& m);
void init_parameters(pybind11::module_& m);
void init_arithmetic(pybind11::module_& m);  // and its nodes of Graph
void add_augment(pybind11::class_<program::Graph, std::shared_ptr<program::Graph>>& graph);
void init_program(pybind11::module_& m);

}  // namespace nnx::bindings
