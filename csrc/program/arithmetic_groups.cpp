#include "program/arithmetic_groups.h"

#include <algorithm>

namespace nnx::program {
namespace {

// The expression of a group's root.
class Writer {
 public:
  Writer(const Graph& graph, ArithmeticGroup& group) : graph_(graph), group_(group) {}

  void write() {
    group_.expression = {};
    group_.inputs.clear();
    group_.expression.results = {term_of(group_.root)};
  }

 private:
  int term_of(int id) {
    const Node& node = graph_.node(id);
    if (node.kind == NodeKind::constant) return group_.expression.constant(node.factor);
    if (!std::binary_search(group_.members.begin(), group_.members.end(), id)) return input_of(id);
    const int a = term_of(node.inputs[0]);
    if (node.kind == NodeKind::scale) {
      return group_.expression.apply(Operation::multiply, a, group_.expression.constant(node.factor));
    }
    const int b = node.inputs.size() > 1 ? term_of(node.inputs[1]) : -1;
    return group_.expression.apply(operation_of(node), a, b);
  }

  static Operation operation_of(const Node& node) {
    if (node.kind == NodeKind::add) return Operation::add;
    if (node.kind == NodeKind::multiply) return Operation::multiply;
    return node.operation;
  }

  int input_of(int id) {
    const auto found = std::find(group_.inputs.begin(), group_.inputs.end(), id);
    const auto index = static_cast<int>(found - group_.inputs.begin());
    if (found == group_.inputs.end()) group_.inputs.push_back(id);
    return group_.expression.input(index);
  }

  const Graph& graph_;
  ArithmeticGroup& group_;
};

bool fits(const ArithmeticGroup& group, bool differentiated) {
  if (!ops::encode(group.expression)) return false;
  return !differentiated ||
         ops::encode(ops::gradient(group.expression, std::vector<bool>(group.inputs.size(), true)));
}

}  // namespace

bool is_arithmetic(NodeKind kind) {
  return kind == NodeKind::arithmetic || kind == NodeKind::add || kind == NodeKind::multiply ||
         kind == NodeKind::scale;
}

std::vector<ArithmeticGroup> arithmetic_groups(const Graph& graph, const std::vector<bool>& needed,
                                               const std::vector<int>& readers, bool differentiated) {
  const std::vector<Node>& nodes = graph.nodes();
  std::vector<int> group_of(nodes.size(), -1);
  std::vector<std::vector<int>> groups_reading(nodes.size());  // one entry for each reading
  std::vector<ArithmeticGroup> groups;
  for (size_t id = nodes.size(); id-- > 0;) {
    const Node& node = nodes[id];
    if (!needed[id]) continue;
    if (is_arithmetic(node.kind)) {
      const std::vector<int>& reading = groups_reading[id];
      const bool one = !reading.empty() && static_cast<int>(reading.size()) == readers[id] &&
                       reading[0] >= 0 &&
                       std::all_of(reading.begin(), reading.end(), [&](int g) { return g == reading[0]; });
      if (one) {
        ArithmeticGroup& group = groups[static_cast<size_t>(reading[0])];
        if (nodes[static_cast<size_t>(group.root)].shape == node.shape) {
          ArithmeticGroup larger = group;
          larger.members.insert(larger.members.begin(), static_cast<int>(id));
          Writer(graph, larger).write();
          if (fits(larger, differentiated)) {
            group = std::move(larger);
            group_of[id] = reading[0];
          }
        }
      }
      if (group_of[id] < 0) {
        group_of[id] = static_cast<int>(groups.size());
        ArithmeticGroup group;
        group.root = static_cast<int>(id);
        group.members = {group.root};
        Writer(graph, group).write();
        groups.push_back(std::move(group));
      }
    }
    for (int input : node.inputs) {
      if (input >= 0) groups_reading[static_cast<size_t>(input)].push_back(group_of[id]);
    }
  }
  // One that the kernels for it alone compute is left to them.
  groups.erase(std::remove_if(groups.begin(), groups.end(),
                              [&](const ArithmeticGroup& group) {
                                return group.members.size() == 1 &&
                                       nodes[static_cast<size_t>(group.root)].kind != NodeKind::arithmetic;
                              }),
               groups.end());
  std::reverse(groups.begin(), groups.end());
  return groups;
}

}  // namespace nnx::program
