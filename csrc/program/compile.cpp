#include "core/error.h"
#include "ops/checks.h"
#include "ops/dense.h"
#include "program/compiler.h"

namespace nnx::program {

template <class T>
Compiler<T>::Compiler(Program& program, const std::vector<int>& outputs)
    : program_(program),
      graph_(*program.graph_),
      parameters_(*program.parameters_),
      table_(device_of(parameters_.device()).template table<T>(program.options_.precision)),
      training_(program.options_.training),
      values_of_nodes_(graph_.nodes().size(), -1),
      readers_of_nodes_(graph_.nodes().size(), 0),
      parameter_seen_(parameters_.entries().size(), false) {
  for (size_t k = 0; k < outputs.size(); ++k) {
    Head head{};
    head.index = k;
    head.output_node = outputs[k];
    head.loss = program_.options_.loss_of(k);
    heads_.push_back(std::move(head));
  }
}

template <class T>
void Compiler<T>::compile() {
  if (program_.options_.apply) {
    emit_update();
    finish();
    return;
  }
  lower();
  if (training_) mark_gradients();
  count_flops();
  emit_begin();
  emit_inputs();
  for (Head& head : heads_) {
    if (head.loss == nullptr) continue;
    const Shape& shape = graph_.node(head.loss->traced() ? head.output_node : head.loss_node).shape;
    if (shape.rank() < 1) bad_value("program", "loss", "an output with an axis of its own", shape);
    emit_labels(head);
  }
  for (Op& op : ops_) {
    emit_forward(op);
    measure_activation(op);
  }
  if (program_.options_.has_loss()) {
    for (Head& head : heads_) {
      if (head.loss != nullptr) emit_targets(head);
    }
    emit_loss();
    emit_metrics();
  }
  if (!training_) {
    for (const Head& head : heads_) emit_predictions(head);
  } else {
    count_uses();
    for (size_t i = ops_.size(); i-- > 0;) {
      emit_backward(ops_[i]);
      emit_finished_updates(ops_[i]);
    }
    emit_measured_update();
  }
  finish();
}

// The loss of probabilities is computed from the logits behind them, where the graph shows them.
template <class T>
void Compiler<T>::find_loss_node(Head& head) const {
  const LossSpec* const loss = head.loss;
  if (loss == nullptr && training_) return;  // no weight learns from it
  head.loss_node = loss != nullptr && loss->traced() ? loss->node : head.output_node;
  if (loss == nullptr || loss->traced() || loss->from_logits) return;
  int id = head.output_node;
  while (graph_.node(id).kind == NodeKind::reshape) id = graph_.node(id).inputs[0];
  const Node& last = graph_.node(id);
  if (loss->cross_entropy) {
    if (last.kind == NodeKind::softmax) {
      head.loss_node = last.inputs[0];
    } else {
      head.takes_log = true;
    }
    return;
  }
  if (last.activation.kind != ActivationKind::sigmoid) return;
  if (last.kind == NodeKind::activation) head.loss_node = last.inputs[0];
  if (last.kind == NodeKind::dense || last.kind == NodeKind::conv2d) head.loss_node = head.split_node = id;
}

template <class T>
bool Compiler<T>::needs_output(const Head& head) const {
  if (!training_) return true;
  for (const MetricSpec& metric : program_.options_.metrics) {
    const bool reads = metric.kind == MetricKind::regression || (head.loss != nullptr && head.loss->traced());
    if (reads && metric.output == head.index) return true;
  }
  return head.loss_node == head.output_node && head.split_node < 0;
}

// Whether a loss wants to see behind the fused activation of this layer.
template <class T>
bool Compiler<T>::is_split(int id) const {
  return std::any_of(heads_.begin(), heads_.end(), [=](const Head& head) { return head.split_node == id; });
}

// Whether somebody else reads such a layer's output as it is.
template <class T>
bool Compiler<T>::is_read_behind(int id) const {
  int losses = 0;
  for (const Head& head : heads_) {
    if (head.output_node == id && needs_output(head)) return true;
    losses += head.split_node == id ? 1 : 0;
  }
  return readers_of_nodes_[static_cast<size_t>(id)] > losses;
}

template <class T>
bool Compiler<T>::is_output(int id) const {
  return std::any_of(heads_.begin(), heads_.end(), [=](const Head& head) { return head.output_value == id; });
}

template <class T>
std::vector<bool> Compiler<T>::needed_nodes() const {
  std::vector<bool> needed(graph_.nodes().size(), false);
  for (const Head& head : heads_) {
    if (head.loss_node < 0) continue;
    if (needs_output(head)) needed[static_cast<size_t>(head.output_node)] = true;
    needed[static_cast<size_t>(head.loss_node)] = true;
  }
  for (size_t id = needed.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (int input : graph_.nodes()[id].inputs) {
      if (input >= 0) needed[static_cast<size_t>(input)] = true;
    }
  }
  return needed;
}

template <class T>
void Compiler<T>::lower() {
  for (Head& head : heads_) {
    if (graph_.node(head.output_node).kind == NodeKind::parameter) {
      bad_value("program", "output", "a value that depends on the input", "a parameter");
    }
    find_loss_node(head);
  }
  const std::vector<bool> needed = needed_nodes();
  for (size_t id = 0; id < needed.size(); ++id) {
    if (!needed[id]) continue;
    for (int input : graph_.nodes()[id].inputs) {
      if (input >= 0) ++readers_of_nodes_[static_cast<size_t>(input)];
    }
  }
  for (const Head& head : heads_) {
    if (head.loss_node < 0) continue;
    ++readers_of_nodes_[static_cast<size_t>(head.loss_node)];
    if (needs_output(head) && head.output_node != head.loss_node)
      ++readers_of_nodes_[static_cast<size_t>(head.output_node)];
  }
  find_groups(needed);
  for (size_t id = 0; id < needed.size(); ++id) {
    const Node& node = graph_.nodes()[id];
    if (node.kind == NodeKind::input) {
      input_values_.push_back(-1);
      program_.inputs_.push_back({node.shape, needed[id]});
    }
    if (needed[id]) lower_node(static_cast<int>(id));
  }
  for (Head& head : heads_) {
    if (head.loss_node < 0) continue;
    if (head.loss_value < 0) head.loss_value = value_of(head.loss_node);
    if (head.takes_log) {
      head.log_node.kind = NodeKind::log;
      head.log_node.shape = graph_.node(head.loss_node).shape;
      head.log_node.inputs = {head.loss_node};
      head.log_node.scope = "loss";
      head.loss_value = append_op(head.log_node, NodeKind::log, {}, {head.loss_value});
    }
    head.output_value = needs_output(head) ? value_of(head.output_node) : head.loss_value;
    ++value(head.loss_value).readers;
  }
}

// An activation layer goes into the epilogue of the dense or conv2d layer before it, where nobody else reads
// that and the backward pass can do without its input.
template <class T>
bool Compiler<T>::fuses(int id) const {
  const Node& node = graph_.node(id);
  const int before = node.inputs[0];
  const Node& producer = graph_.node(before);
  if (producer.kind != NodeKind::dense && producer.kind != NodeKind::conv2d) return false;
  if (producer.activation.kind != ActivationKind::identity) return false;
  if (readers_of_nodes_[static_cast<size_t>(before)] != 1) return false;
  return !(training_ && gradient_reads_input(node.activation.kind));
}

template <class T>
int Compiler<T>::append_op(const Node& node, NodeKind kind, Activation activation, std::vector<int> inputs) {
  for (int input : inputs) ++value(input).readers;
  values_.push_back({node.elements(), static_cast<int>(ops_.size())});
  const int output = static_cast<int>(values_.size()) - 1;
  ops_.push_back({&node, kind, activation, std::move(inputs), output});
  return output;
}

template <class T>
void Compiler<T>::lower_node(int id) {
  const Node& node = graph_.node(id);
  int& result = values_of_nodes_[static_cast<size_t>(id)];
  std::vector<int> inputs;
  const int group = groups_of_nodes_[static_cast<size_t>(id)];
  if (group >= 0) {
    const ArithmeticGroup& of = groups_[static_cast<size_t>(group)];
    if (of.root != id) return;
    for (int input : of.inputs) {
      if (graph_.node(input).kind != NodeKind::parameter) inputs.push_back(value_of(input));
    }
    result = append_op(node, NodeKind::arithmetic, {}, inputs);
    ops_.back().group = group;
    return;
  }
  for (int input : node.inputs) {
    if (input >= 0 && graph_.node(input).kind != NodeKind::parameter) inputs.push_back(value_of(input));
  }
  const bool keeps_input = training_ && gradient_reads_input(node.activation.kind);
  switch (node.kind) {
    case NodeKind::parameter:
    case NodeKind::constant:
      return;
    case NodeKind::target:
      values_.push_back({node.elements()});
      result = static_cast<int>(values_.size()) - 1;
      return;
    case NodeKind::input:
      values_.push_back({node.elements()});
      result = input_values_.back() = static_cast<int>(values_.size()) - 1;
      return;
    case NodeKind::reshape:
      result = inputs[0];
      return;
    case NodeKind::warp:
      result = lower_warp(node, inputs[0]);
      return;
    case NodeKind::channel_dropout:
    case NodeKind::noise:
    case NodeKind::contrast:
    case NodeKind::dropout:
      result = training_ ? append_op(node, node.kind, {}, inputs) : inputs[0];
      return;
    case NodeKind::activation:
      if (fuses(id)) {
        ops_[static_cast<size_t>(value(inputs[0]).producer)].activation = node.activation;
        result = inputs[0];
      } else {
        result = append_op(node, node.kind, node.activation, inputs);
      }
      return;
    case NodeKind::dense:
    case NodeKind::conv2d:
      if (!is_split(id) && !keeps_input) {
        result = append_op(node, node.kind, node.activation, inputs);
        return;
      }
      result = append_op(node, node.kind, {}, inputs);
      for (Head& head : heads_) {
        if (head.split_node == id) head.loss_value = result;
      }
      if (!is_split(id) || is_read_behind(id)) {
        result = append_op(node, NodeKind::activation, node.activation, {result});
      }
      return;
    default:
      result = append_op(node, node.kind, {}, inputs);
  }
}

template <class T>
Ref<T> Compiler<T>::weight_ref(int parameter) {
  const bool averaged = program_.options_.averaged && parameters_.entry(parameter).trainable;
  return slot_ref(parameter, averaged ? Slot::average : Slot::value);
}

template <class T>
Ref<T> Compiler<T>::parameter_ref(const Node& node, size_t input) {
  const int id = node.inputs[input];
  return id < 0 ? Ref<T>{} : weight_ref(graph_.node(id).parameter);
}

template <class T>
bool Compiler<T>::trains(const Node& node, size_t input) const {
  return trains_node(node.inputs[input]);
}

template <class T>
bool Compiler<T>::trains_node(int id) const {
  if (id < 0 || graph_.node(id).kind != NodeKind::parameter) return false;
  return parameters_.entry(graph_.node(id).parameter).trainable;
}

template <class T>
void Compiler<T>::emit_inputs() {
  bool none = true;
  for (size_t i = 0; i < input_values_.size(); ++i) {
    if (input_values_[i] < 0) continue;
    none = false;
    Value& input = value(input_values_[i]);
    input.buffer = buffer_of(input.elements);
    const int64_t columns = input.elements;
    const Ref<T> to = value_ref(input_values_[i]);
    auto* const gather = table_.elementwise.gather;
    emit(
        Phase::input, "input", {input.buffer},
        [program = &program_, gather, columns, to, i](Context& context, int64_t n) {
          const FedArray& x = program->feed_.x(i);
          gather(context, n, columns, x.type, x.data, program->feed_.order, program->first_row(), to);
        },
        input.buffer, columns);
  }
  if (none) bad_value("program", "output", "a value that depends on the input", "one that does not");
}

template <class T>
void Compiler<T>::emit_predictions(const Head& head) {
  const int64_t columns = value(head.output_value).elements;
  const Ref<T> from = value_ref(head.output_value);
  auto* const copy = table_.elementwise.copy_strided;
  emit(Phase::output, "output", {value(head.output_value).buffer},
       [this_ = &program_, copy, columns, from, index = head.index](Context& context, int64_t n) {
         T* const to = static_cast<T*>(this_->feed_.results[index]) + this_->output_row_ * columns;
         copy(context, {n, columns, columns, columns}, from, Policy::assign, to);
       });
}

template <class T>
void Compiler<T>::count_flops() {
  for (const Op& op : ops_) {
    const Node& node = *op.node;
    double forward = static_cast<double>(node.elements());
    if (op.kind == NodeKind::dense) {
      forward *= 2.0 * static_cast<double>(input_shape(op).back());
    } else if (op.kind == NodeKind::conv2d) {
      forward *= 2.0 * static_cast<double>(graph_.node(node.inputs[1]).shape.elements(0, 3));
    } else if (op.kind == NodeKind::conv2d_transpose) {
      forward = static_cast<double>(input_shape(op).elements()) * 2.0 *
                static_cast<double>(graph_.node(node.inputs[1]).shape.elements(0, 3));
    }
    if (op.group >= 0) forward *= static_cast<double>(group_of(op).members.size());
    program_.flops_forward_ += forward;
    const bool engine =
        op.kind == NodeKind::dense || op.kind == NodeKind::conv2d || op.kind == NodeKind::conv2d_transpose;
    const bool both = engine && value(op.inputs[0]).wants_gradient;
    program_.flops_training_ += forward * (both ? 3.0 : 2.0);
  }
}

template <class T>
void Compiler<T>::finish() {
  program_.memory_.lay_out();
  if (program_.options_.describe) return;
  program_.memory_.allocate(parameters_.device());
  int64_t sums = 0;
  for (const int64_t size : program_.metric_sizes_) sums += size;
  program_.metric_memory_ = Tensor::zeros({sums}, DType::float64, parameters_.device());
  double* next = program_.metric_memory_.template data<double>();
  for (size_t i = 0; i < program_.metric_sizes_.size(); ++i) {
    program_.metric_cells_[i] = next;
    next += program_.metric_sizes_[i];
  }
  allocate_losses();
  allocate_measures();
  if (program_.workspace_bytes_ > 0) {
    program_.workspace_ = Tensor::empty({program_.workspace_bytes_}, DType::uint8, parameters_.device());
  }
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
