// What is read off a program: the layer where values stop being finite, sums of metrics, measures.
#include <cmath>

#include "program/program.h"

namespace nnx::program {
namespace {

template <class T>
bool all_finite(const void* data, int64_t count) {
  const T* const values = static_cast<const T*>(data);
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) return false;
  }
  return true;
}

}  // namespace

// On the first loss that is not finite, finds the layer whose output is the first to be so.
void Program::watch_loss(Context& context, int64_t rows) {
  if (nonfinite_ || std::isfinite(state_->loss)) return;
  nonfinite_ =
      NonFinite{state_->step, nonfinite_layer([&](const Step& step) { step.run(context, rows); }, rows)};
}

// Runs the list up to the loss once more, since other arrays may lie by now where the outputs were, and
// leaves every array as it was.
std::string Program::nonfinite_layer(const std::function<void(const Step&)>& run, int64_t rows) {
  Device& device = device_of(parameters_->device());
  std::vector<char> output;
  std::string layer = "loss";
  bool found = false;
  for (const Step& step : steps_) {
    if (step.phase == Phase::watch) break;
    if (step.phase == Phase::output || step.phase == Phase::begin) continue;
    if (step.phase == Phase::penalty && options_.accumulate > 1) continue;
    run(step);
    const void* data = step.result;
    if (found || data == nullptr) continue;
    const int64_t count = rows * step.elements;
    if (device.asynchronous()) {
      output.resize(static_cast<size_t>(count) * size_of(parameters_->dtype()));
      device.copy_to_host(output.data(), data, output.size());
      data = output.data();
    }
    found = parameters_->dtype() == DType::float64 ? !all_finite<double>(data, count)
                                                   : !all_finite<float>(data, count);
    if (found) layer = step.layer;
  }
  return layer;
}

std::vector<double> Program::measured() const {
  std::vector<double> numbers(static_cast<size_t>(measured_numbers_));
  if (measured_memory_.defined()) {
    device_of(parameters_->device())
        .copy_to_host(numbers.data(), measured_memory_.raw(), measured_memory_.bytes());
  }
  return numbers;
}

std::vector<double> Program::metric_sums() const {
  std::vector<double> sums(static_cast<size_t>(metric_memory_.elements()));
  device_of(parameters_->device()).copy_to_host(sums.data(), metric_memory_.raw(), metric_memory_.bytes());
  return sums;
}

std::vector<std::vector<double>> Program::read_metrics() const {
  const std::vector<double> sums = metric_sums();
  std::vector<std::vector<double>> metrics;
  auto next = sums.begin();
  for (const int64_t size : metric_sizes_) {
    metrics.emplace_back(next, next + size);
    next += size;
  }
  return metrics;
}

}  // namespace nnx::program
