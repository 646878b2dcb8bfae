// A run on a device that works behind the host. The arrays lie on the device, or pass through it in windows;
// a step is captured once and replayed many at a time; what changes from step to step is in the device's
// StepState; the host looks at that a few dozen times a second.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <tuple>

#include "program/program.h"

namespace nnx::program {

// What a program keeps on its device from run to run.
struct DeviceMemoryOfRuns {
  // Everything a captured step depends on: the list, its rows, the steps in the graph, and pointers.
  using Key =
      std::tuple<const void*, int64_t, int64_t, std::vector<DType>, std::vector<const void*>, int64_t>;

  // What decides which kernels a step launches: the list, its rows, the arrays' dtypes, and which of them and
  // the order are there.
  using Kind = std::tuple<const void*, int64_t, std::vector<DType>, std::vector<bool>>;
  struct Known {
    int64_t launched = 0;       // steps, one by one: the kernels' code is on the device then
    int64_t steps_to_look = 1;  // what the last run came to
  };

  std::vector<std::array<Tensor, 2>> arrays;  // as the feed has them
  std::vector<Tensor> results;
  Tensor order, rates;
  std::map<Key, std::shared_ptr<void>> graphs;
  std::map<Kind, Known> known;
};

class DeviceRun {
 public:
  DeviceRun(Program& program, const Program::List& list, int64_t batch_size, const Schedule& schedule,
            const RunHooks& hooks, bool with_loss);
  RunResult run();

 private:
  using Clock = std::chrono::steady_clock;
  using Memory = DeviceMemoryOfRuns;

  // Rows of the run that lie on the device together.
  struct Window {
    int64_t begin = 0, rows = 0;
  };

  bool upload_all();
  void run_in_windows();
  void run_window(const Window& window);
  void enqueue(int64_t steps);
  void enqueue_step(int64_t rows);
  void launch(Context& context, int64_t rows);
  void launch_parts(Context& context, int64_t rows);
  // body(rows) with the state at the beginning of each part of a step of that many rows.
  template <class F>
  void at_parts(int64_t rows, const F& body);
  const std::shared_ptr<void>& graph(int64_t steps);
  void look();
  void resume_after_halt(int64_t times);
  void write_state();
  Memory::Known& known();
  void follow_rates();
  void report();
  void update_result();
  bool predicts() const { return !host_feed_.results.empty(); }
  int64_t result_bytes(size_t output) const;  // of a row
  void reserve_results(int64_t rows);

  Program& program_;
  const Program::List& list_;
  const int64_t part_size_, batch_size_;  // rows of a part of a step, and of a step
  const Schedule& schedule_;
  const RunHooks& hooks_;
  const bool with_loss_;
  Device& device_;
  Memory& memory_;
  const Feed host_feed_;

  StepState state_;  // as last seen or written
  Window window_;
  RunResult result_;
  int64_t enqueued_ = 0;       // steps since the host looked
  int64_t steps_to_look_ = 1;  // steps to enqueue before it looks again
  bool ended_ = false;
  std::exception_ptr error_;
  Clock::time_point last_look_ = Clock::now(), last_report_ = last_look_;
};

}  // namespace nnx::program
