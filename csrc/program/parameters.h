// A model's weights and what training keeps beside them, in one flat array per slot.
#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"

namespace nnx::program {

// state0, state1: the optimizer's (velocity, or Adam's two moments).
enum class Slot { value, gradient, state0, state1 };
inline constexpr int kSlots = 4;

struct ParameterEntry {
  std::string name;
  Shape shape;
  bool trainable;
  int64_t offset = 0;  // elements from the start of a slot
};

class Parameters {
 public:
  Parameters(std::vector<ParameterEntry> entries, DType dtype, DeviceId device);

  const std::vector<ParameterEntry>& entries() const { return entries_; }
  const ParameterEntry& entry(int index) const;  // ValueError for an index that is none
  DType dtype() const { return dtype_; }
  DeviceId device() const { return device_; }
  // Trainable parameters come first: one update runs over [0, trainable_elements).
  int64_t trainable_elements() const { return trainable_elements_; }
  int64_t elements() const { return elements_; }

  // A slot's array, zeros when first asked for. Only trainable elements have one, but for values.
  Tensor& slot(Slot slot);
  bool has(Slot slot) const { return slots_[static_cast<int>(slot)].defined(); }
  // One parameter's part of it, sharing memory.
  Tensor view(int index, Slot slot);

 private:
  std::vector<ParameterEntry> entries_;
  DType dtype_;
  DeviceId device_;
  int64_t trainable_elements_ = 0, elements_ = 0;
  Tensor slots_[kSlots];
};

}  // namespace nnx::program
