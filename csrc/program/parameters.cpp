#include "program/parameters.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "core/size.h"

namespace nnx::program {
namespace {

// A cache line of float32: no two parameters share one.
constexpr int64_t kAlignment = 16;

int64_t padded(int64_t elements) { return (elements + kAlignment - 1) / kAlignment * kAlignment; }

char* moved(void* data, int64_t elements, DType dtype) {
  return static_cast<char*>(data) + static_cast<size_t>(elements) * size_of(dtype);
}

template <class T>
void fill_with(const Tensor& array, double value) {
  const std::vector<T> values(static_cast<size_t>(array.elements()), static_cast<T>(value));
  device_of(array.device()).copy_from_host(array.raw(), values.data(), array.bytes());
}

}  // namespace

const char* name_of(Slot slot) {
  static const char* const names[kSlots] = {"value", "gradient", "state0", "state1", "state2", "average"};
  return names[static_cast<int>(slot)];
}

Parameters::Parameters(std::vector<ParameterEntry> entries, DType dtype, DeviceId device)
    : entries_(std::move(entries)), dtype_(dtype), device_(device) {
  std::vector<std::pair<ParameterEntry*, int64_t>> own;  // with their places among the values not shared
  int64_t own_elements = 0;
  for (const bool trainable : {true, false}) {
    for (ParameterEntry& entry : entries_) {
      if (entry.trainable != trainable) continue;
      expect_bytes(entry.name.c_str(), {entry.shape.elements(), static_cast<int64_t>(size_of(dtype))});
      const int64_t elements = padded(entry.shape.elements());
      entry.offset = elements_;
      elements_ += elements;
      const bool shared = entry.value.defined() && entry.value.dtype() == dtype &&
                          entry.value.device() == device && entry.value.shape() == entry.shape;
      if (shared) continue;
      own.emplace_back(&entry, own_elements);
      own_elements += elements;
    }
    if (trainable) trainable_elements_ = elements_;
  }
  Tensor& values = slots_[static_cast<int>(Slot::value)];
  values = Tensor::zeros({own_elements}, dtype_, device_);
  for (const auto& [entry, place] : own) {
    entry->value =
        Tensor::wrap(moved(values.raw(), place, dtype_), entry->shape, dtype_, device_, values.owner());
  }
}

const ParameterEntry& Parameters::entry(int index) const {
  if (index < 0 || index >= static_cast<int>(entries_.size())) {
    bad_value("parameters", "index", detail::concatenate("an index in [0, ", entries_.size(), ")"), index);
  }
  return entries_[static_cast<size_t>(index)];
}

std::vector<ParameterRun> Parameters::trainable_runs(const std::vector<double>& kinds) const {
  std::vector<ParameterRun> runs;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const ParameterEntry& entry = entries_[i];
    if (!entry.trainable) continue;
    const int64_t elements = padded(entry.shape.elements());
    const double kind = kinds.empty() ? 1.0 : kinds[i];
    const bool follows = !runs.empty() && runs.back().kind == kind &&
                         moved(runs.back().values, runs.back().elements, dtype_) == entry.value.raw() &&
                         runs.back().offset + runs.back().elements == entry.offset;
    if (follows) {
      runs.back().elements += elements;
    } else {
      runs.push_back({entry.value.raw(), entry.offset, elements, kind});
    }
  }
  return runs;
}

Tensor& Parameters::slot(Slot slot, double initial) {
  Tensor& array = slots_[static_cast<int>(slot)];
  double& begins = initial_[static_cast<int>(slot)];
  if (initial != 0.0) begins = initial;
  if (array.defined()) return array;
  array = Tensor::zeros({trainable_elements_}, dtype_, device_);
  if (begins != 0.0 && dtype_ == DType::float64) fill_with<double>(array, begins);
  if (begins != 0.0 && dtype_ == DType::float32) fill_with<float>(array, begins);
  if (slot == Slot::average) {
    for (const ParameterEntry& entry : entries_) {
      if (entry.trainable)
        device_of(device_).copy(moved(array.raw(), entry.offset, dtype_), entry.value.raw(),
                                entry.value.bytes());
    }
  }
  return array;
}

void Parameters::begin_as(const Parameters& other) {
  std::copy(std::begin(other.initial_), std::end(other.initial_), std::begin(initial_));
}

Tensor Parameters::view(int index, Slot which) {
  const ParameterEntry& parameter = entry(index);
  if (which == Slot::value) return parameter.value;
  if (!parameter.trainable) {
    bad_value("parameters", "slot", "'value' for a parameter that is not trained", parameter.name);
  }
  Tensor& array = slot(which);
  return Tensor::wrap(moved(array.raw(), parameter.offset, dtype_), parameter.shape, dtype_, device_,
                      array.owner());
}

}  // namespace nnx::program
