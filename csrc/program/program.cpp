#include "program/program.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/error.h"
#include "program/compiler.h"
#include "program/device_run.h"

namespace nnx::program {
namespace {

using Clock = std::chrono::steady_clock;

// Steps of more work than this, or longer than that, are watched for interrupts between their kernels: there
// it costs nothing to read the clock.
constexpr double kWatchedFlops = 1e8;
constexpr double kWatchedSeconds = 0.05;

// Steps whose work counts where the number of threads is chosen: within a step each loop still has to pay.
constexpr double kMostStepsCounted = 4.0;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Names the thread that runs a program, for as long as it does.
class Use {
 public:
  explicit Use(std::atomic<std::thread::id>& user) : user_(user) { user_ = std::this_thread::get_id(); }
  ~Use() { user_ = std::thread::id(); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  std::atomic<std::thread::id>& user_;
};

}  // namespace

Program::Program(std::shared_ptr<Graph> graph, const std::vector<int>& outputs,
                 std::shared_ptr<Parameters> parameters, const ProgramOptions& options)
    : graph_(std::move(graph)), parameters_(std::move(parameters)), options_(options) {
  if (outputs.empty()) bad_value("program", "output", "at least one node", "none");
  for (const int output : outputs) outputs_.push_back({graph_->node(output).shape});
  if (device_of(parameters_->device()).asynchronous())
    device_memory_ = std::make_unique<DeviceMemoryOfRuns>();
  state_memory_ =
      Tensor::zeros({static_cast<int64_t>(sizeof(StepState))}, DType::uint8, parameters_->device());
  state_ = state_memory_.data<StepState>();
  if (parameters_->dtype() == DType::float64) {
    Compiler<double>(*this, outputs).compile();
  } else {
    Compiler<float>(*this, outputs).compile();
  }
  // A device that works behind the host watches the loss itself, see StepState.
  const Phase watch = device_of(parameters_->device()).asynchronous() ? Phase::loss : Phase::watch;
  if (options_.accumulate == 1) {
    train_list_ = select({Phase::input, Phase::labels, Phase::forward, Phase::targets, Phase::loss,
                          Phase::penalty, watch, Phase::metrics, Phase::backward, Phase::update});
  } else {
    begin_list_ = select({Phase::begin});
    train_list_ = select({Phase::input, Phase::labels, Phase::forward, Phase::targets, Phase::loss, watch,
                          Phase::metrics, Phase::backward});
    update_list_ = select({Phase::penalty, Phase::update});
  }
  evaluate_list_ = select({Phase::input, Phase::labels, Phase::forward, Phase::targets, Phase::loss,
                           Phase::penalty, watch, Phase::metrics});
  predict_list_ = select({Phase::input, Phase::forward, Phase::output});
}

Program::~Program() = default;

Program::List Program::select(std::initializer_list<Phase> phases) const {
  List list;
  for (const Step& step : steps_) {
    if (std::find(phases.begin(), phases.end(), step.phase) != phases.end()) list.push_back(&step);
  }
  return list;
}

MemoryUse Program::memory() const {
  const auto element = static_cast<int64_t>(size_of(parameters_->dtype()));
  const int64_t trainable = parameters_->trainable_elements() * element;
  const auto states =
      options_.optimizer ? static_cast<int64_t>(options_.optimizer->slots().size()) : int64_t{0};
  return {parameters_->elements() * element, keeps_gradients_ ? trainable : 0, states * trainable,
          memory_.bytes(), workspace_bytes_};
}

// The state of one run.
struct Program::Run {
  Run(Program& the_program, const List& the_list, const Schedule& the_schedule, const RunHooks& the_hooks,
      int64_t the_batch_size, bool has_loss, bool is_watched)
      : program(the_program),
        list(the_list),
        schedule(the_schedule),
        hooks(the_hooks),
        part_size(the_batch_size),
        batch_size(the_batch_size * the_program.options_.accumulate),
        with_loss(has_loss),
        watched(is_watched) {}

  Program& program;
  const List& list;
  const Schedule& schedule;
  const RunHooks& hooks;
  int64_t part_size, batch_size;  // rows of a part of a step, and of a step
  bool with_loss;
  bool watched;

  RunResult result;
  int64_t rows_now = 0;
  bool ended = false;
  std::exception_ptr error;
  Clock::time_point last_report = Clock::now(), last_check = last_report, last_watch = last_report;
  int64_t steps_to_check = 1, check_every = 1;
  std::vector<char> statistics;  // and the metrics' sums, as they were before the step

  void begin_step() {
    if (ended) return;
    StepState& state = *program.state_;
    state.start = program.output_row_ = result.samples;
    rows_now = std::min(batch_size, program.feed_.rows - result.samples);
    if (rows_now == 0) {
      ended = true;
      return;
    }
    state.row = 0;
    state.loss_of_parts = 0.0;
    if (watched || part_size != batch_size) copy_statistics(true);
    state.step = schedule.first_step + static_cast<uint64_t>(result.steps);
    if (schedule.count > 0) {
      state.learning_rate = schedule.learning_rates[std::min(result.steps, schedule.count - 1)];
    }
  }

  void copy_statistics(bool save) {
    size_t bytes = program.metric_memory_.bytes();
    for (const auto& [data, size] : program.statistics_) bytes += size;
    statistics.resize(bytes);
    char* kept = statistics.data();
    const auto copy = [&](void* data, size_t size) {
      if (size > 0) std::memcpy(save ? kept : data, save ? data : kept, size);
      kept += size;
    };
    for (const auto& [data, size] : program.statistics_) copy(data, size);
    copy(program.metric_memory_.raw(), program.metric_memory_.bytes());
  }

  void end_step() {
    if (with_loss) result.loss_sum += program.state_->loss * static_cast<double>(rows_now);
    ++result.steps;
    result.samples += rows_now;
    if (hooks.interval <= 0.0) {
      watched = watched || (hooks.interrupt && seconds_since(last_report) > kWatchedSeconds);
      report();
    } else if (--steps_to_check <= 0) {
      check_clock();
    }
  }

  // Reading the clock costs more than the step of a very small network: read it about once a millisecond.
  void check_clock() {
    const double passed = seconds_since(last_check);
    last_check = Clock::now();
    watched = watched || (hooks.interrupt && passed > kWatchedSeconds);
    if (passed < 5e-4) {
      check_every *= 2;
    } else if (passed > 2e-3 && check_every > 1) {
      check_every /= 2;
    }
    steps_to_check = check_every;
    if (seconds_since(last_report) >= hooks.interval) report();
  }

  void update_result() {
    result.metrics = program.read_metrics();
    result.nonfinite = program.nonfinite_;
  }

  // Ends the run with the error of a function, if it throws one.
  template <class F>
  void stop(const F& throwing) {
    try {
      throwing();
    } catch (...) {
      error = std::current_exception();
      ended = true;
    }
  }

  void report() {
    stop([&] {
      // Progress first: whoever is interrupted knows of every step that was done.
      if (hooks.progress) {
        update_result();
        if (hooks.progress(result)) {
          result.stopped = true;
          ended = true;
        }
      }
      if (hooks.interrupt) hooks.interrupt();
    });
    last_report = last_watch = Clock::now();
  }

  // Between the kernels of a long step, until a parameter has been written: a step is done or not done.
  void watch() {
    if (!hooks.interrupt || seconds_since(last_watch) < 0.1) return;
    last_watch = Clock::now();
    stop(hooks.interrupt);
  }

  // False where the step is left undone.
  bool run_steps(Context& context, const List& steps, int64_t rows) {
    bool writes = false;
    for (const Step* step : steps) {
      writes = writes || step->phase == Phase::update;
      if (watched && !writes) {
        watch();
        if (ended) {
          copy_statistics(false);
          return false;
        }
      }
      step->run(context, rows);
      if (step->phase == Phase::labels && program.state_->fault.found != 0) {
        stop([&] { program.refuse_label(program.state_->fault); });
        if (program.state_->row > 0) copy_statistics(false);
        return false;
      }
    }
    return true;
  }

  bool run_parts(Context& context) {
    program.step_rows_ = rows_now;
    if (!run_steps(context, program.begin_list_, rows_now)) return false;
    for (int64_t row = 0; row < rows_now; row += part_size) {
      const int64_t rows = std::min(part_size, rows_now - row);
      if (!run_steps(context, list, rows)) return false;
      program.end_part(context, rows, row + rows == rows_now);
    }
    return run_steps(context, program.update_list_, rows_now);
  }

  void operator()(Context& context) {
    for (begin_step(); !ended; begin_step()) {
      if (!(part_size == batch_size ? run_steps(context, list, rows_now) : run_parts(context))) return;
      end_step();
    }
  }
};

RunResult Program::run(const List& list, const Feed& feed, int64_t batch_size, const Schedule& schedule,
                       const RunHooks& hooks, bool with_loss, double flops) {
  // Other threads wait their turn; a callback of this very run would wait for ever.
  if (user_.load() == std::this_thread::get_id()) {
    throw ValueError("program: a callback may not run the program that called it");
  }
  if (options_.describe) bad_value("program", "describe", "False for a program that runs", "True");
  const std::lock_guard<std::mutex> lock(in_use_);
  const Use use(user_);
  if (batch_size < 1 || batch_size > options_.max_batch) {
    bad_value("program", "batch_size", detail::concatenate("a size in [1, ", options_.max_batch, "]"),
              batch_size);
  }
  feed_ = feed;
  nonfinite_.reset();
  if (hooks.steps != nullptr) *hooks.steps = 0;
  last_ = {};
  Device& device = device_of(parameters_->device());
  if (measured_memory_.defined()) device.zero(measured_memory_.raw(), measured_memory_.bytes());
  if (hooks.metrics.empty()) {
    device.zero(metric_memory_.raw(), metric_memory_.bytes());
  } else {
    device.copy_from_host(metric_memory_.raw(), hooks.metrics.data(), metric_memory_.bytes());
  }
  if (device.asynchronous()) {
    return DeviceRun(*this, list, batch_size, schedule, hooks, with_loss).run();
  }
  const double work = flops * static_cast<double>(std::min(batch_size * options_.accumulate, feed.rows));
  // Threads are woken once, for all the steps: many pay for that sooner than one.
  const double steps = static_cast<double>(feed.rows) / static_cast<double>(batch_size);
  const double work_to_share = work * std::clamp(steps, 1.0, kMostStepsCounted);
  Run run(*this, list, schedule, hooks, batch_size, with_loss, work > kWatchedFlops && hooks.interrupt);
  state_->fault = {};
  run.result.loss_sum = hooks.loss_sum;
  device.run(work_to_share, workspace_.raw(), std::ref(run));
  if (hooks.steps != nullptr) *hooks.steps = run.result.steps;
  run.update_result();
  last_ = run.result;
  if (run.error) std::rethrow_exception(run.error);
  if (hooks.progress && !run.result.stopped && hooks.interval > 0.0) {
    run.result.stopped = hooks.progress(run.result);
  }
  return run.result;
}

RunResult Program::train(const Feed& feed, int64_t batch_size, const Schedule& schedule,
                         const RunHooks& hooks) {
  return run(train_list_, feed, batch_size, schedule, hooks, true, flops_training_);
}

RunResult Program::apply(const Schedule& schedule, const RunHooks& hooks) {
  Feed feed;
  feed.where = "apply";
  feed.rows = 1;  // a step of nothing
  const double flops = 4.0 * static_cast<double>(parameters_->trainable_elements());
  return run(train_list_, feed, 1, schedule, hooks, false, flops);
}

RunResult Program::evaluate(const Feed& feed, int64_t batch_size, const RunHooks& hooks) {
  return run(evaluate_list_, feed, batch_size, {}, hooks, options_.has_loss(), flops_forward_);
}

RunResult Program::predict(const Feed& feed, int64_t batch_size, const RunHooks& hooks) {
  return run(predict_list_, feed, batch_size, {}, hooks, false, flops_forward_);
}

void Program::end_part(Context& context, int64_t rows, bool last) {
  const Device& device = device_of(parameters_->device());
  const auto& end_part = parameters_->dtype() == DType::float64 ? device.table<double>().optimizer.end_part
                                                                : device.table<float>().optimizer.end_part;
  end_part(context, rows, last, state_);
}

void Program::refuse_label(const LabelFault& fault) const {
  int64_t classes = 0;
  for (size_t k = 0; k < outputs_.size(); ++k) {
    const LossSpec* const loss = options_.loss_of(k);
    if (loss == nullptr || loss->targets != Targets::labels) continue;
    classes = outputs_[k].classes;
    if (fault.label < 0 || fault.label >= classes) break;  // of several, the first that it is none of
  }
  bad_value(feed_.where, "y", detail::concatenate("labels in [0, ", classes, ")"),
            detail::concatenate(fault.label, ", written there while the labels were in use"));
}

}  // namespace nnx::program
