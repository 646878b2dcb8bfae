// A compiled model: a flat list of kernel calls whose buffers lie in one arena. A step of training is one
// pass over the list; an epoch is one call, in one parallel region.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kernels/loss.h"
#include "kernels/optimizer.h"
#include "program/graph.h"
#include "program/memory_plan.h"
#include "program/parameters.h"

namespace nnx::program {

enum class Targets { labels, one_hot, values };

struct LossSpec {
  bool cross_entropy = false;  // softmax cross-entropy; else pointwise
  PointwiseLoss pointwise = PointwiseLoss::mean_squared_error;
  Targets targets = Targets::values;
  bool from_logits = true;  // of the two cross-entropies
  double delta = 1.0;
  double label_smoothing = 0.0;
  bool sum = false;     // reduction "sum" instead of "mean"
  double weight = 1.0;  // in the sum over all outputs' losses
  // Of a loss that the graph computes: the nodes of its values and of its targets.
  int node = -1, target = -1;

  bool traced() const { return node >= 0; }
};

enum class OptimizerKind { sgd, adam, rmsprop, adagrad, lion };

struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0.0;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  bool decoupled = false;
  double rho = 0.9;
  bool centered = false;
  double initial_accumulator_value = 0.1;
  double weight_decay = 0.0;
  std::optional<double> clip_norm, clip_value;
  double ema = 0.0;  // momentum of the weights' averages; 0: none are kept

  std::vector<Slot> slots() const;  // those it keeps beside values and gradients
};

// What a layer says of one of its weights.
struct ParameterSpec {
  Penalty penalty;
  double rate_factor = 1.0;

  bool penalized() const { return penalty.l1 != 0.0 || penalty.l2 != 0.0; }
};

// loss: of one output among several, times rows, without its weight.
enum class MetricKind { top_k, binary, confusion, binary_confusion, regression, loss };

struct MetricSpec {
  MetricKind kind;
  int64_t k = 1;
  double threshold = 0.5;
  size_t output = 0;  // the one it looks at, which has a loss
};

struct ProgramOptions {
  int64_t max_batch = 1;
  bool training = false;
  std::vector<std::optional<LossSpec>> losses;  // by output; none, or fewer than outputs: without
  std::optional<OptimizerSpec> optimizer;
  std::vector<MetricSpec> metrics;
  std::vector<ParameterSpec> parameters;  // by index; empty where no layer says anything
  int64_t accumulate = 1;                 // batches to a step, its parts, whose gradients are added up
  bool averaged = false;                  // computes with the averages of trained weights
  uint64_t seed = 0;
  Precision precision = Precision::strict;
  int64_t measure_every = 0;  // steps; 0: gradients, updates and activations are not measured
  bool apply = false;         // no more than an update, from the gradients that Parameters has
  bool describe = false;      // only asked for its numbers: allocates nothing and cannot run

  const LossSpec* loss_of(size_t output) const {
    return output < losses.size() && losses[output] ? &*losses[output] : nullptr;
  }
  bool has_loss() const {
    for (const std::optional<LossSpec>& loss : losses) {
      if (loss) return true;
    }
    return false;
  }
};

struct FedArray {
  const void* data = nullptr;  // null: there is none
  DType type = DType::float32;
  int64_t elements = 1;  // of a row

  int64_t bytes(int64_t rows) const { return rows * elements * static_cast<int64_t>(size_of(type)); }
};

// The arrays a run reads; their shapes and labels have been checked. They lie on the host, or, where
// `resident`, all but the order on the program's device.
struct Feed {
  const char* where = "";  // the function that was called, for messages
  bool resident = false;
  int64_t rows = 0;       // to go over
  int64_t data_rows = 0;  // in the arrays
  // One for each input, then targets and then weights for each output; weights are of the parameters' dtype.
  std::vector<FedArray> arrays;
  size_t inputs = 0, outputs = 0;
  const int64_t* order = nullptr;  // (rows), or null for 0, 1, 2, ...
  Tensor order_held;               // a copy of the caller's, which is his to change
  std::vector<void*> results;      // predictions by output, of the parameters' dtype; or empty

  const FedArray& x(size_t input) const { return arrays[input]; }
  const FedArray& y(size_t output) const { return arrays[inputs + output]; }
  const void* weight(size_t output) const { return arrays[inputs + outputs + output].data; }
};

struct Schedule {
  const double* learning_rates = nullptr;  // one per step; the last one goes on
  int64_t count = 0;
  uint64_t first_step = 0;
};

struct NonFinite {
  uint64_t step;
  std::string layer;
};

struct RunResult {
  int64_t steps = 0, samples = 0;
  double loss_sum = 0.0;  // of the batches' losses times their sizes, from what the hooks start with
  std::vector<std::vector<double>> metrics;
  bool stopped = false;
  std::optional<NonFinite> nonfinite;
};

struct RunHooks {
  // What the sums of loss and metrics begin with: those of the part of an epoch that was run before.
  double loss_sum = 0.0;
  std::vector<double> metrics;  // of all metrics, one after the other; empty: zeros
  int64_t* steps = nullptr;     // those whose updates the weights have are written here, however the run ends
  // Called about every `interval` seconds (0: after every step) and at the end; true stops. May throw.
  std::function<bool(const RunResult&)> progress;
  double interval = 0.1;
  // Called a few times a second, inside long steps too; throws to interrupt.
  std::function<void()> interrupt;
};

// What is measured of a layer: its place in the memory of measures, and how many numbers it has there.
struct Measure {
  enum class Kind { gradient, alive, outside };
  std::string layer;
  Kind kind;
  int64_t place, count;
};

struct MemoryUse {
  int64_t parameters, gradients, optimizer, activations, workspace;  // bytes
};

struct DeviceMemoryOfRuns;  // program/device_run.h

struct InputInfo {
  Shape shape;  // of a sample
  bool used;    // by what the program computes
};

struct OutputInfo {
  Shape shape;
  // Of a target, per sample; with labels 1, and `classes` bounds them.
  int64_t target_elements = 0, classes = 0;
};

class Program {
 public:
  Program(std::shared_ptr<Graph> graph, const std::vector<int>& outputs,
          std::shared_ptr<Parameters> parameters, const ProgramOptions& options);
  ~Program();

  RunResult train(const Feed& feed, int64_t batch_size, const Schedule& schedule, const RunHooks& hooks);
  // One update, of a program compiled for no more than that.
  RunResult apply(const Schedule& schedule, const RunHooks& hooks);
  RunResult evaluate(const Feed& feed, int64_t batch_size, const RunHooks& hooks);
  RunResult predict(const Feed& feed, int64_t batch_size, const RunHooks& hooks);

  // The sums of the last run, however it ended.
  const RunResult& last() const { return last_; }
  void forget_last() { last_ = {}; }
  size_t metric_sums_size() const { return static_cast<size_t>(metric_memory_.elements()); }
  // What was measured since the last run began: see the kernels for the numbers of each kind.
  const std::vector<Measure>& measures() const { return measures_; }
  std::vector<double> measured() const;
  const ProgramOptions& options() const { return options_; }
  const std::shared_ptr<Parameters>& parameters() const { return parameters_; }
  const std::vector<InputInfo>& inputs() const { return inputs_; }
  const std::vector<OutputInfo>& outputs() const { return outputs_; }
  double flops_forward() const { return flops_forward_; }    // per sample
  double flops_training() const { return flops_training_; }  // per sample
  MemoryUse memory() const;

 private:
  template <class T>
  friend class Compiler;
  friend class DeviceRun;

  // penalty: of the weights, in the loss. begin: where gradients of parts are to be added up.
  enum class Phase {
    begin,
    input,
    labels,
    forward,
    targets,
    loss,
    penalty,
    watch,
    metrics,
    output,
    backward,
    update
  };

  struct Step {
    std::string layer;
    Phase phase;
    std::function<void(Context&, int64_t rows)> run;
    Ref<void> result;      // what the step computes, of the parameters' dtype; may be empty
    int64_t elements = 0;  // of it, per sample
  };

  struct Run;
  using List = std::vector<const Step*>;

  RunResult run(const List& list, const Feed& feed, int64_t batch_size, const Schedule& schedule,
                const RunHooks& hooks, bool with_loss, double flops);
  List select(std::initializer_list<Phase> phases) const;
  void watch_loss(Context& context, int64_t rows);
  // Labels were checked before the run; one that is no class now was written meanwhile.
  [[noreturn]] void refuse_label(const LabelFault& fault) const;
  // The first layer whose output is not finite on the current batch; "loss" where none is.
  std::string nonfinite_layer(const std::function<void(const Step&)>& run, int64_t rows);
  std::vector<double> metric_sums() const;  // of all metrics, one after the other
  std::vector<std::vector<double>> read_metrics() const;
  Live<int64_t> first_row() const { return {0, &state_->start}; }
  // Rows of the step going on, of which `rows` are in the part going on.
  int64_t rows_of_step(int64_t rows) const { return options_.accumulate > 1 ? step_rows_ : rows; }
  void end_part(Context& context, int64_t rows, bool last);

  std::shared_ptr<Graph> graph_;
  std::shared_ptr<Parameters> parameters_;
  ProgramOptions options_;
  std::vector<InputInfo> inputs_;
  std::vector<OutputInfo> outputs_;
  double flops_forward_ = 0.0, flops_training_ = 0.0;

  MemoryPlan memory_;
  std::deque<void*> parameter_cells_;  // what refs to parameters point at
  bool keeps_gradients_ = false;       // of parameters, outside the arena
  Tensor workspace_;
  int64_t workspace_bytes_ = 0;
  std::vector<Step> steps_;
  List train_list_, evaluate_list_, predict_list_;
  List begin_list_, update_list_;  // of a step in parts, before and after them; each part runs train_list_
  int64_t step_rows_ = 0;          // of the step going on, in parts
  // What the forward pass changes of the parameters: the running statistics of batch norms.
  std::vector<std::pair<void*, size_t>> statistics_;
  std::vector<Measure> measures_;
  int64_t measured_numbers_ = 0;
  Tensor measured_memory_, measured_parts_, measured_sums_;
  std::deque<void*> measured_cells_;
  std::vector<int64_t> metric_sizes_;
  Tensor metric_memory_;  // raw sums, one after the other
  std::deque<void*> metric_cells_;
  Tensor loss_memory_;  // the losses of several outputs, one by one
  std::deque<void*> loss_cells_;
  std::unique_ptr<DeviceMemoryOfRuns> device_memory_;  // of devices that work behind the host
  Tensor state_memory_;
  StepState* state_ = nullptr;  // in it
  int64_t output_row_ = 0;      // where the predictions of this step go
  Feed feed_;                   // of the run going on
  RunResult last_;
  std::optional<NonFinite> nonfinite_;
  std::mutex in_use_;
  std::atomic<std::thread::id> user_{};
};

}  // namespace nnx::program
