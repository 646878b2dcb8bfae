// Steps in parts on a device that works behind the host, and what to do about one whose loss is not finite.
#include <algorithm>

#include "program/device_run.h"

namespace nnx::program {

void DeviceRun::launch_parts(Context& context, int64_t rows) {
  program_.step_rows_ = rows;
  for (const Program::Step* step : program_.begin_list_) step->run(context, rows);
  for (int64_t row = 0; row < rows; row += part_size_) {
    const int64_t part = std::min(part_size_, rows - row);
    for (const Program::Step* step : list_) step->run(context, part);
    program_.end_part(context, part, row + part == rows);
  }
  for (const Program::Step* step : program_.update_list_) step->run(context, rows);
}

template <class F>
void DeviceRun::at_parts(int64_t rows, const F& body) {
  if (part_size_ == batch_size_) return body(rows);
  program_.step_rows_ = rows;
  const int64_t first = state_.start;
  for (int64_t row = 0; row < rows; row += part_size_) {
    state_.start = first + row;
    state_.row = row;
    write_state();
    body(std::min(part_size_, rows - row));
  }
  state_.start = first;
  state_.row = 0;
  write_state();
}

// The loss of the batch at state.start is not finite. No parameter has changed since the step before; `times`
// steps have gone over the batch in vain. Names the layer, takes their counts out of the metrics, and goes on
// unwatched.
void DeviceRun::resume_after_halt(int64_t times) {
  const int64_t rows = std::min(batch_size_, window_.rows - state_.start);
  const auto run_step = [&](const Program::Step& step, int64_t part) {
    device_.run(0.0, program_.workspace_.raw(), [&](Context& context) { step.run(context, part); });
  };
  std::vector<double> before = program_.metric_sums();
  at_parts(rows, [&](int64_t part) {
    for (const Program::Step* step : list_) {
      if (step->phase <= Program::Phase::loss || step->phase == Program::Phase::metrics)
        run_step(*step, part);
    }
  });
  const std::vector<double> after = program_.metric_sums();
  for (size_t i = 0; i < before.size(); ++i) before[i] -= static_cast<double>(times) * (after[i] - before[i]);
  device_.copy_from_host(program_.metric_memory_.raw(), before.data(), program_.metric_memory_.bytes());

  std::string layer = "loss";
  at_parts(rows, [&](int64_t part) {
    if (layer != "loss") return;
    layer = program_.nonfinite_layer([&](const Program::Step& step) { run_step(step, part); }, part);
  });
  program_.nonfinite_ = NonFinite{state_.step, layer};
  state_.watch = state_.halted = 0;
  write_state();
}

}  // namespace nnx::program
