// Which elementwise nodes of a graph are computed together, in one pass over memory.
#pragma once

#include <vector>

#include "ops/expression.h"
#include "program/graph.h"

namespace nnx::program {

// Nodes that one kernel computes: the expression of the last of them, by what it reads from outside.
struct ArithmeticGroup {
  int root = -1;
  std::vector<int> members;  // in the order of the graph, the root last
  std::vector<int> inputs;   // the expression's inputs: nodes, values or parameters, each once
  ops::Expression expression;
};

bool is_arithmetic(NodeKind kind);

// The groups of the nodes that are needed, in the graph's order. A node is computed with those that read it
// where all of these are of one group and of its shape, and the kernels' limits allow it (`differentiated`:
// those of its gradient, too). `readers`: how many there are of each node, the loss and the output among
// them.
std::vector<ArithmeticGroup> arithmetic_groups(const Graph& graph, const std::vector<bool>& needed,
                                               const std::vector<int>& readers, bool differentiated);

}  // namespace nnx::program
