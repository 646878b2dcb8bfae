// From graph to program, in three walks: lower (fold reshapes and activations away), emit the forward pass
// and the loss, emit the backward pass and the update. Buffers get their places last.
#pragma once

#include <algorithm>
#include <utility>

#include "core/size.h"
#include "program/program.h"

namespace nnx::program {

template <class T>
class Compiler {
 public:
  Compiler(Program& program, const std::vector<int>& outputs);
  void compile();

 private:
  using Step = Program::Step;
  using Phase = Program::Phase;

  // An array the program computes; nodes that only rename one (reshape) share it.
  struct Value {
    int64_t elements;   // per sample
    int producer = -1;  // op; -1: the input
    int readers = 0;    // ops and the loss
    int buffer = -1;
    bool wants_gradient = false;
    int gradient = -1;               // buffer, once something has contributed
    bool gradient_is_inner = false;  // it is already that before the producer's activation
  };

  struct Op {
    const Node* node;
    NodeKind kind;
    Activation activation;    // fused behind dense and conv2d; the activation itself of NodeKind::activation
    std::vector<int> inputs;  // values
    int output;               // value
    // What the backward pass finds here: max_pool2d's index; batch_norm's mean and inverse.
    int saved = -1, saved_second = -1;
  };

  // One of the outputs, with its loss.
  struct Head {
    size_t index;
    int output_node;
    const LossSpec* loss;
    int loss_node = -1;      // the node whose value the loss reads; -1: nothing asks for this output
    int split_node = -1;     // a layer whose fused activation the loss wants to see behind
    bool takes_log = false;  // of probabilities that no softmax of the graph made
    Node log_node{};
    int loss_value = -1, output_value = -1;
    int target_buffer = -1, weight_buffer = -1;
    Ref<double> total{};  // where the loss goes

    bool behind_activation() const { return loss_node != output_node || split_node >= 0; }
  };

  // compile.cpp
  void lower();
  void find_loss_node(Head& head) const;
  std::vector<bool> needed_nodes() const;
  void lower_node(int id);
  int append_op(const Node& node, NodeKind kind, Activation activation, std::vector<int> inputs);
  bool fuses(int id) const;
  bool needs_output(const Head& head) const;
  bool is_split(int id) const;
  bool is_read_behind(int id) const;
  bool is_output(int value) const;
  int value_of(int id) const { return values_of_nodes_[static_cast<size_t>(id)]; }
  // The per-sample shape of an op's input as the op sees it.
  const Shape& input_shape(const Op& op, size_t input = 0) const {
    return graph_.node(op.node->inputs[input]).shape;
  }
  // At the largest batch.
  Conv2dShape conv2d_shape_of(const Op& op) const;
  Pool2dShape pool2d_shape_of(const Op& op) const;
  Ref<int32_t> index_ref(const Op& pool) const {
    return pool.saved < 0 ? Ref<int32_t>{} : program_.memory_.template ref<int32_t>(pool.saved);
  }
  void emit_inputs();
  void emit_predictions(const Head& head);
  void count_flops();
  void finish();

  // compile_forward.cpp
  void emit_forward(Op& op);
  void emit_dense(const Op& op);
  void emit_conv2d(const Op& op);
  void emit_conv2d_pooled(const Op& op, const Op& pool);
  // The max-pool that the device computes together with this layer; -1: none.
  int pool_behind(const Op& op) const;
  void emit_pool2d(Op& op);
  bool is_frozen_norm(const Node& node) const;
  void emit_batch_norm(Op& op);
  void emit_elementwise(const Op& op);

  // compile_loss.cpp
  void emit_labels(Head& head);
  void emit_targets(Head& head);
  void emit_loss();
  void emit_loss_kernel(Head& head);
  void emit_sum_of_losses();
  void allocate_losses();
  void emit_metrics();
  void emit_metric(size_t index, const Head& head);
  kernels::ElementwiseKernels<double> double_kernels() const;

  DropoutKey dropout_key(const Node& node) const {
    StepState* const state = program_.state_;
    return {program_.options_.seed,
            node.layer,
            {0, &state->step},
            node.rate,
            // The mask of a part is that of its rows of the whole step.
            program_.options_.accumulate > 1 ? &state->row : nullptr,
            node.elements()};
  }

  // Where a parameter's gradient goes. buffer: -1 outside the arena.
  struct ParameterGradient {
    Ref<T> ref;
    int buffer = -1;
    Policy policy = Policy::assign;
  };

  // compile_backward.cpp
  void mark_gradients();
  void emit_backward(const Op& op);
  void emit_dense_backward(const Op& op);
  bool keeps_pooled_gradient(const Op& op) const;
  void emit_conv2d_backward(const Op& op);
  void emit_pool2d_backward(const Op& op);
  void emit_norm_backward(const Op& op);
  void emit_frozen_norm_backward(const Op& op);
  void emit_elementwise_backward(const Op& op);
  // The gradient buffer of a value and whether this contribution starts or adds to it.
  std::pair<int, Policy> contribute(int value);
  // The same, but a first contribution may take over `from`, which nobody reads afterwards.
  std::pair<int, Policy> contribute_in_place(int value, int from);
  // The layer whose fused activation was applied to this value and nothing but a max-pool has come after; -1:
  // none. Its derivative can then be taken from the value itself.
  int inner_layer(int value) const;
  // Tells a kernel that computes value's whole gradient to multiply by that derivative on its way out.
  Activation claim_inner(int value, Policy policy);
  void apply_inner(const Op& layer, const std::string& scope, int saved_value, int gradient);
  void emit_weights_backward(const Op& op, int64_t rows, int64_t outputs,
                             std::function<void(Context&, int64_t n, Policy, T* dw, T* db)> kernel);

  // compile_measures.cpp
  Sampling sampling() const;
  Ref<double> measure(const std::string& layer, Measure::Kind kind, int64_t count);
  void measure_activation(const Op& op);
  void emit_measured_update();
  void allocate_measures();

  // compile_update.cpp
  void count_uses();
  // Gradient descent as it is, with none of what compile_kept_update.cpp adds to it.
  bool plain_descent() const;
  // The parameters an op computes gradients of.
  std::vector<int> trained_by(const Op& op) const;
  Ref<T> slot_ref(int parameter, Slot slot);
  // The gradient of one of a node's parameters, and whether this contribution starts or adds to it.
  ParameterGradient contribute_parameter(const Node& node, size_t input);
  SgdRule sgd_rule() const;
  Ref<T> velocity_ref(int parameter);  // empty without momentum
  // A layer's weights may be updated by the kernel that computes their gradient, its last reader.
  bool updates_with_gradient(const Op& op) const;
  // The buffers: of the input's gradient and what it is finished with, -1 without.
  void emit_update_with_gradient(
      const Op& op, int dx_buffer, int saved_buffer,
      std::function<void(Context&, int64_t n, const SgdRule&, SgdTarget<T> w, SgdTarget<T> b)> kernel);
  void emit_finished_updates(const Op& op);
  // Of a parameter that no gradient reaches: others may have left something there.
  void emit_zero_gradient(int parameter);
  void emit_parameter_update(int parameter);
  void emit_update();

  // compile_kept_update.cpp
  template <class F>
  void for_penalties(const F& body);
  void emit_penalties();
  void emit_penalty_gradients();
  void emit_begin();
  // A slot's whole array.
  Ref<T> whole_slot(Slot slot, double initial = 0.0);
  void emit_clipping(Ref<T> gradient);
  template <class F>
  void for_trainable_runs(const F& body);
  template <class Rule, class F>
  void emit_rule(Rule rule, const F& kernel);
  void emit_kept_update();
  void emit_averages();

  // Appends a step. `uses`: the buffers it reads or writes.
  template <class F>
  void emit(Phase phase, const std::string& layer, std::initializer_list<int> uses, F run, int result = -1,
            int64_t elements = 0) {
    const int index = static_cast<int>(program_.steps_.size());
    for (int buffer : uses) {
      if (buffer >= 0) program_.memory_.touch(buffer, index);
    }
    Step step;
    step.layer = layer;
    step.phase = phase;
    step.run = std::move(run);
    if (result >= 0) step.result = program_.memory_.ref<void>(result);
    step.elements = elements;
    program_.steps_.push_back(std::move(step));
  }

  int buffer_of(int64_t elements, size_t element_size = sizeof(T)) {
    return program_.memory_.add(expect_batch(elements, element_size));
  }
  // The bytes of an array of that many elements per sample. What is only described may be larger than what
  // can be, as long as kernels can reckon with it.
  int64_t expect_batch(int64_t elements, size_t element_size = sizeof(T)) const {
    constexpr int64_t kMostDescribed = kMostBytes << 8;
    return expect_bytes("program",
                        {elements, program_.options_.max_batch, static_cast<int64_t>(element_size)},
                        program_.options_.describe ? kMostDescribed : kMostBytes);
  }
  Ref<T> ref(int buffer) const { return buffer < 0 ? Ref<T>{} : program_.memory_.ref<T>(buffer); }
  Ref<T> value_ref(int value) const { return ref(values_[static_cast<size_t>(value)].buffer); }
  Value& value(int id) { return values_[static_cast<size_t>(id)]; }
  // A parameter as the forward pass reads it.
  Ref<T> weight_ref(int parameter);
  // A parameter of a node, by its place among the node's inputs; empty for an absent bias.
  Ref<T> parameter_ref(const Node& node, size_t input);
  bool trains(const Node& node, size_t input) const;
  void want_workspace(int64_t bytes) {
    program_.workspace_bytes_ = std::max(program_.workspace_bytes_, bytes);
  }

  Program& program_;
  const Graph& graph_;
  Parameters& parameters_;
  const kernels::Table<T>& table_;
  bool training_;

  std::vector<int> values_of_nodes_;   // -1: not computed
  std::vector<int> readers_of_nodes_;  // in the graph
  std::vector<Value> values_;
  std::vector<Op> ops_;
  std::vector<int> input_values_;  // by input; -1: not used
  std::vector<Head> heads_;
  std::vector<bool> parameter_seen_;  // has had a first gradient contribution
  bool updates_at_once_ = false;      // each parameter as soon as its gradient is complete
  bool updates_late_ = false;         // but none before all gradients are
  std::vector<int> uses_left_;        // of a parameter, by ops whose backward pass is still to come
  std::vector<int> gradients_;        // of parameters: buffers; -1: none
  std::vector<bool> updated_;         // parameters
  std::vector<MeasuredPart<T>> measured_parts_;
};

}  // namespace nnx::program
