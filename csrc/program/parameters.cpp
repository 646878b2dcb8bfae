#include "program/parameters.h"

#include "core/error.h"

namespace nnx::program {
namespace {

// A cache line of float32: no two parameters share one.
constexpr int64_t kAlignment = 16;

int64_t place(std::vector<ParameterEntry>& entries, bool trainable, int64_t offset) {
  for (ParameterEntry& entry : entries) {
    if (entry.trainable != trainable) continue;
    entry.offset = offset;
    offset += (entry.shape.elements() + kAlignment - 1) / kAlignment * kAlignment;
  }
  return offset;
}

}  // namespace

Parameters::Parameters(std::vector<ParameterEntry> entries, DType dtype, DeviceId device)
    : entries_(std::move(entries)), dtype_(dtype), device_(device) {
  trainable_elements_ = place(entries_, true, 0);
  elements_ = place(entries_, false, trainable_elements_);
  slot(Slot::value);
}

const ParameterEntry& Parameters::entry(int index) const {
  if (index < 0 || index >= static_cast<int>(entries_.size())) {
    bad_value("parameters", "index", detail::concatenate("an index in [0, ", entries_.size(), ")"), index);
  }
  return entries_[static_cast<size_t>(index)];
}

Tensor& Parameters::slot(Slot slot) {
  Tensor& array = slots_[static_cast<int>(slot)];
  if (!array.defined()) {
    array = Tensor::zeros({slot == Slot::value ? elements_ : trainable_elements_}, dtype_, device_);
  }
  return array;
}

Tensor Parameters::view(int index, Slot which) {
  const ParameterEntry& parameter = entry(index);
  if (which != Slot::value && !parameter.trainable) {
    bad_value("parameters", "slot", "'value' for a parameter that is not trained", parameter.name);
  }
  Tensor& array = slot(which);
  char* const data =
      static_cast<char*>(array.raw()) + static_cast<size_t>(parameter.offset) * size_of(dtype_);
  return Tensor::wrap(data, parameter.shape, dtype_, device_, array.owner());
}

}  // namespace nnx::program
