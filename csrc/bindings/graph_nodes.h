// The nodes of Graph that files of their own add.
#pragma once

#include "bindings/arguments.h"
#include "program/graph.h"

namespace nnx::bindings {

using GraphClass = py::class_<program::Graph, std::shared_ptr<program::Graph>>;

void add_layer_nodes(
    GraphClass& graph);  // conv2d_transpose, global_max_pool2d, upsample2d, the norms of groups

}  // namespace nnx::bindings
