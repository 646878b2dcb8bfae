#include "program/device_run.h"

#include <algorithm>
#include <cstring>
#include <future>

#include "core/error.h"

namespace nnx::program {
namespace {

// Steps in the long graph: what a launch costs the host is spread over them.
constexpr int64_t kStepsPerGraph = 16;
// The host looks at the device about this often; the less often, the fewer pauses between steps.
constexpr double kLookSeconds = 0.03;
// Arrays that do not fit pass through the device in windows of about this many bytes, two of them.
constexpr int64_t kWindowBytes = int64_t{64} << 20;
constexpr size_t kGraphsKept = 16;
constexpr size_t kKindsKept = 1024;

double seconds(std::chrono::steady_clock::duration passed) {
  return std::chrono::duration<double>(passed).count();
}

// A tensor of at least that many bytes; what is there already where that does. Contents are not kept.
void* reserve(Tensor& tensor, int64_t bytes, DeviceId device) {
  if (!tensor.defined() || static_cast<int64_t>(tensor.bytes()) < bytes) {
    tensor = Tensor();  // its memory first
    tensor = Tensor::empty({bytes}, DType::uint8, device);
  }
  return tensor.raw();
}

template <class F>
std::exception_ptr error_of(const F& throwing) {
  try {
    throwing();
  } catch (...) {
    return std::current_exception();
  }
  return {};
}

int64_t bytes_of(int64_t elements, DType dtype) { return elements * static_cast<int64_t>(size_of(dtype)); }

}  // namespace

DeviceRun::DeviceRun(Program& program, const Program::List& list, int64_t batch_size,
                     const Schedule& schedule, const RunHooks& hooks, bool with_loss)
    : program_(program),
      list_(list),
      part_size_(batch_size),
      batch_size_(batch_size * program.options_.accumulate),
      schedule_(schedule),
      hooks_(hooks),
      with_loss_(with_loss),
      device_(device_of(program.parameters_->device())),
      memory_(*program.device_memory_),
      host_feed_(program.feed_) {
  memory_.arrays.resize(host_feed_.arrays.size());
  memory_.results.resize(host_feed_.results.size());
}

int64_t DeviceRun::result_bytes(size_t output) const {
  return bytes_of(program_.outputs_[output].shape.elements(), program_.parameters_->dtype());
}

void DeviceRun::reserve_results(int64_t rows) {
  for (size_t k = 0; k < memory_.results.size(); ++k)
    program_.feed_.results[k] = reserve(memory_.results[k], rows * result_bytes(k), device_.id());
}

RunResult DeviceRun::run() {
  if (schedule_.count > 0) {
    const int64_t bytes = schedule_.count * static_cast<int64_t>(sizeof(double));
    device_.copy_from_host(reserve(memory_.rates, bytes, device_.id()), schedule_.learning_rates,
                           static_cast<size_t>(bytes));
    state_.learning_rate = schedule_.learning_rates[0];
  }
  state_.step = schedule_.first_step;
  state_.watch = with_loss_ ? 1 : 0;
  state_.loss_sum = hooks_.loss_sum;
  last_look_ = last_report_ = Clock::now();
  if (host_feed_.rows > 0) {
    if (upload_all()) {
      run_window({0, host_feed_.rows});
    } else {
      run_in_windows();
    }
  }
  device_.synchronize();
  update_result();
  program_.last_ = result_;
  if (error_) std::rethrow_exception(error_);
  if (hooks_.progress && !result_.stopped && hooks_.interval > 0.0)
    result_.stopped = hooks_.progress(result_);
  return result_;
}

// Brings what the host holds to the device, whole; false where it does not fit.
bool DeviceRun::upload_all() {
  Feed& feed = program_.feed_;
  const DeviceId id = device_.id();
  try {
    reserve_results(feed.rows);
    const auto upload = [&](Tensor& to, const void* from, int64_t bytes) -> const void* {
      if (from == nullptr) return nullptr;
      void* const data = reserve(to, bytes, id);
      device_.copy_from_host(data, from, static_cast<size_t>(bytes));
      return data;
    };
    feed.order = static_cast<const int64_t*>(
        upload(memory_.order, host_feed_.order, bytes_of(feed.rows, DType::int64)));
    if (host_feed_.resident) return true;
    for (size_t i = 0; i < feed.arrays.size(); ++i) {
      const FedArray& from = host_feed_.arrays[i];
      feed.arrays[i].data = upload(memory_.arrays[i][0], from.data, from.bytes(host_feed_.data_rows));
    }
    return true;
  } catch (const OutOfMemory&) {
    if (host_feed_.resident) throw;
    feed = host_feed_;
    for (auto& pair : memory_.arrays) pair[0] = Tensor();
    for (Tensor& result : memory_.results) result = Tensor();
    memory_.order = Tensor();
    memory_.graphs.clear();
    return false;
  }
}

namespace {

// Page-locked host memory for the length of a scope.
class Locked {
 public:
  Locked(Device& device, int64_t bytes)
      : device_(device),
        data_(static_cast<char*>(device.allocate_host(static_cast<size_t>(std::max<int64_t>(bytes, 1))))) {}
  ~Locked() { device_.deallocate_host(data_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  char* data() const { return data_; }

 private:
  Device& device_;
  char* data_;
};

// One array on its way: rows picked on the host into locked memory, then copied beside the kernels.
struct Stream {
  const void* from = nullptr;
  int64_t row_bytes = 0;
  Tensor* to = nullptr;  // two
  std::unique_ptr<Locked> locked[2];

  void reserve_windows(Device& device, int64_t rows) {
    if (from == nullptr) return;
    for (int slot : {0, 1}) {
      reserve(to[slot], rows * row_bytes, device.id());
      locked[slot] = std::make_unique<Locked>(device, rows * row_bytes);
    }
  }

  const void* fill(Device& device, int slot, int64_t begin, int64_t rows, const int64_t* order) {
    if (from == nullptr) return nullptr;
    char* next = locked[slot]->data();
    for (int64_t r = begin; r < begin + rows; ++r, next += row_bytes) {
      std::memcpy(next, static_cast<const char*>(from) + (order != nullptr ? order[r] : r) * row_bytes,
                  static_cast<size_t>(row_bytes));
    }
    device.stage(to[slot].raw(), locked[slot]->data(), static_cast<size_t>(rows * row_bytes));
    return to[slot].raw();
  }
};

}  // namespace

// A thread picks the rows of the next window while the device works on this one.
void DeviceRun::run_in_windows() {
  Feed& feed = program_.feed_;
  const size_t arrays = host_feed_.arrays.size();
  std::vector<Stream> streams(arrays);
  int64_t row_bytes = 0;
  for (size_t i = 0; i < arrays; ++i) {
    const FedArray& from = host_feed_.arrays[i];
    streams[i].from = from.data;
    streams[i].row_bytes = from.bytes(1);
    streams[i].to = memory_.arrays[i].data();
    if (from.data != nullptr) row_bytes += from.bytes(1);
  }
  for (size_t k = 0; k < host_feed_.results.size(); ++k) row_bytes += result_bytes(k);
  int64_t batches = std::max<int64_t>(1, kWindowBytes / std::max<int64_t>(row_bytes * batch_size_, 1));
  batches = std::min(batches, (host_feed_.rows + batch_size_ - 1) / batch_size_);
  // Smaller windows, where even these do not fit.
  for (bool fits = false; !fits;) {
    try {
      for (Stream& stream : streams) stream.reserve_windows(device_, batches * batch_size_);
      reserve_results(batches * batch_size_);
      fits = true;
    } catch (const OutOfMemory&) {
      if (batches == 1) throw;
      batches = (batches + 1) / 2;
      for (auto& pair : memory_.arrays) pair[0] = pair[1] = Tensor();
    }
  }
  const int64_t most = batches * batch_size_;
  feed.order = nullptr;

  std::vector<const void*> filled[2] = {std::vector<const void*>(arrays), std::vector<const void*>(arrays)};
  const auto fill = [&](int slot, int64_t begin) {
    const int64_t rows = std::min(most, host_feed_.rows - begin);
    for (size_t i = 0; i < arrays; ++i)
      filled[slot][i] = streams[i].fill(device_, slot, begin, rows, host_feed_.order);
  };
  int slot = 0;
  fill(slot, 0);
  for (int64_t begin = 0; begin < host_feed_.rows && !ended_; begin += most, slot ^= 1) {
    device_.await_staged();
    for (size_t i = 0; i < arrays; ++i) feed.arrays[i].data = filled[slot][i];
    // The other slot's kernels have ended: run_window looks at the device before it returns.
    std::future<void> next;
    if (begin + most < host_feed_.rows)
      next = std::async(std::launch::async | std::launch::deferred, fill, slot ^ 1, begin + most);
    run_window({begin, std::min(most, host_feed_.rows - begin)});
    if (next.valid()) next.get();
  }
}

DeviceRun::Memory::Known& DeviceRun::known() {
  const Feed& feed = program_.feed_;
  if (memory_.known.size() >= kKindsKept) memory_.known.clear();
  std::vector<DType> types;
  std::vector<bool> there{feed.order != nullptr};
  for (const FedArray& array : feed.arrays) {
    types.push_back(array.type);
    there.push_back(array.data != nullptr);
  }
  return memory_.known[{&list_, batch_size_, std::move(types), std::move(there)}];
}

void DeviceRun::run_window(const Window& window) {
  window_ = window;
  last_look_ = Clock::now();
  if (hooks_.interval > 0.0) steps_to_look_ = known().steps_to_look;
  state_.start = 0;
  write_state();
  while (!ended_ && state_.start < window.rows) {
    const int64_t full = (window.rows - state_.start) / batch_size_;
    if (full > 0) {
      enqueue(std::min(full, steps_to_look_));
    } else {
      enqueue_step(window.rows - state_.start);
    }
    look();
  }
  if (predicts()) {
    for (size_t k = 0; k < host_feed_.results.size(); ++k) {
      const int64_t bytes = result_bytes(k);
      device_.copy_to_host(static_cast<char*>(host_feed_.results[k]) + window.begin * bytes,
                           program_.feed_.results[k],
                           static_cast<size_t>(std::min(state_.start, window.rows) * bytes));
    }
  }
}

void DeviceRun::write_state() {
  device_.copy_from_host(program_.state_memory_.raw(), &state_, sizeof(StepState));
}

void DeviceRun::launch(Context& context, int64_t rows) {
  if (part_size_ != batch_size_) {
    launch_parts(context, rows);
  } else {
    for (const Program::Step* step : list_) step->run(context, rows);
  }
  const auto& end_step = program_.parameters_->dtype() == DType::float64
                             ? device_.table<double>().optimizer.end_step
                             : device_.table<float>().optimizer.end_step;
  const auto* const rates = schedule_.count > 0 ? memory_.rates.data<double>() : nullptr;
  end_step(context, rows, rates, schedule_.count, program_.state_);
}

void DeviceRun::enqueue_step(int64_t rows) {
  program_.output_row_ = state_.start + enqueued_ * batch_size_;
  device_.run(0.0, program_.workspace_.raw(), [&](Context& context) { launch(context, rows); });
  if (rows == batch_size_) ++known().launched;
  ++enqueued_;
}

void DeviceRun::enqueue(int64_t steps) {
  while (steps > 0) {
    // Predictions go to a place that the host tells. The first launch of a kernel brings its code to the
    // device, which is not for a capture; and no graph is worth a single step that does not come again.
    const int64_t launched = predicts() ? 0 : known().launched;
    if (launched == 0 || (launched == 1 && steps == 1)) {
      enqueue_step(batch_size_);
      --steps;
      continue;
    }
    const int64_t together = steps >= kStepsPerGraph ? kStepsPerGraph : 1;
    device_.replay(graph(together));
    enqueued_ += together;
    steps -= together;
  }
}

const std::shared_ptr<void>& DeviceRun::graph(int64_t steps) {
  const Feed& feed = program_.feed_;
  const void* const rates = schedule_.count > 0 ? memory_.rates.raw() : nullptr;
  std::vector<DType> types;
  std::vector<const void*> pointers{feed.order, rates};
  for (const FedArray& array : feed.arrays) {
    types.push_back(array.type);
    pointers.push_back(array.data);
  }
  const Memory::Key key{&list_, batch_size_, steps, std::move(types), std::move(pointers), schedule_.count};
  const auto found = memory_.graphs.find(key);
  if (found != memory_.graphs.end()) return found->second;
  if (memory_.graphs.size() >= kGraphsKept) {
    device_.synchronize();
    memory_.graphs.clear();
  }
  std::shared_ptr<void> captured = device_.capture(program_.workspace_.raw(), [&](Context& context) {
    for (int64_t i = 0; i < steps; ++i) launch(context, batch_size_);
  });
  return memory_.graphs.emplace(key, std::move(captured)).first->second;
}

// Waits for what was enqueued, and sees how far it came.
void DeviceRun::look() {
  const int64_t done_before = state_.done;
  device_.copy_to_host(&state_, program_.state_memory_.raw(), sizeof(StepState));
  const int64_t done = state_.done - done_before, asked = enqueued_;
  const bool whole_look = asked >= steps_to_look_;
  enqueued_ = 0;
  result_.steps = state_.done;
  if (hooks_.steps != nullptr) *hooks_.steps = result_.steps;
  result_.samples = window_.begin + std::min(state_.start, window_.rows);
  if (state_.fault.found != 0) {
    error_ = error_of([&] { program_.refuse_label(state_.fault); });
    ended_ = true;
  } else if (state_.halted != 0) {
    resume_after_halt(asked - done);
  }
  const double passed = seconds(Clock::now() - last_look_);
  last_look_ = Clock::now();
  if (hooks_.interval <= 0.0) {
    steps_to_look_ = 1;
  } else if (passed < kLookSeconds / 2) {
    if (whole_look) steps_to_look_ = std::min<int64_t>(steps_to_look_ * 4, 1 << 20);
  } else if (passed > kLookSeconds * 2) {
    steps_to_look_ = std::max<int64_t>(std::min(steps_to_look_, asked) / 2, 1);
  }
  if (hooks_.interval > 0.0) known().steps_to_look = steps_to_look_;
  if (ended_) return;
  if (hooks_.interval <= 0.0 || seconds(last_look_ - last_report_) >= hooks_.interval) report();
}

void DeviceRun::update_result() {
  result_.loss_sum = state_.loss_sum;
  result_.metrics = program_.read_metrics();
  result_.nonfinite = program_.nonfinite_;
}

// A callback may have changed the rates of the steps to come.
void DeviceRun::follow_rates() {
  if (schedule_.count == 0) return;
  const double rate = schedule_.learning_rates[std::min(state_.done, schedule_.count - 1)];
  if (rate == state_.learning_rate) return;
  device_.copy_from_host(memory_.rates.raw(), schedule_.learning_rates,
                         static_cast<size_t>(schedule_.count) * sizeof(double));
  state_.learning_rate = rate;
  write_state();
}

void DeviceRun::report() {
  const std::exception_ptr error = error_of([&] {
    if (hooks_.progress) {
      update_result();
      if (hooks_.progress(result_)) result_.stopped = ended_ = true;
      if (hooks_.interval <= 0.0) follow_rates();
    }
    if (hooks_.interrupt) hooks_.interrupt();
  });
  if (error) {
    error_ = error;
    ended_ = true;
  }
  last_report_ = last_look_ = Clock::now();
}

}  // namespace nnx::program
