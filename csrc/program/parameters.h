// A model's weights and what training keeps beside them. Gradients and the optimizer's state are the model's
// own, one flat array per slot; values may be shared with other models' parameters.
#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"

namespace nnx::program {

// state0 to state2: the optimizer's (a velocity, Adam's two moments, ...); average: of the values, over
// steps.
enum class Slot { value, gradient, state0, state1, state2, average };
inline constexpr int kSlots = 6;

const char* name_of(Slot slot);

struct ParameterEntry {
  std::string name;
  Shape shape;
  bool trainable;
  // Values that exist already and are to be used where dtype and device are the same; else undefined.
  Tensor value;
  int64_t offset = 0;  // elements from the start of the gradient's and the states' arrays
};

// Trainable parameters that follow each other in every slot: one update runs over them all.
struct ParameterRun {
  void* values;
  int64_t offset, elements;
  double kind;
};

class Parameters {
 public:
  Parameters(std::vector<ParameterEntry> entries, DType dtype, DeviceId device);

  const std::vector<ParameterEntry>& entries() const { return entries_; }
  const ParameterEntry& entry(int index) const;  // ValueError for an index that is none
  DType dtype() const { return dtype_; }
  DeviceId device() const { return device_; }
  int64_t trainable_elements() const { return trainable_elements_; }
  int64_t elements() const { return elements_; }
  // Those of all trainable parameters; a single one where no values are shared and all are of one kind.
  // `kinds`: by index, or empty, which is 1 for all.
  std::vector<ParameterRun> trainable_runs(const std::vector<double>& kinds) const;

  // The array of a slot other than values: (trainable_elements). When first asked for it is full of
  // `initial`; averages begin with the values, a slot that `begin_as` knew with what it began with there.
  Tensor& slot(Slot slot, double initial = 0.0);
  void begin_as(const Parameters& other);
  bool has(Slot slot) const { return slots_[static_cast<int>(slot)].defined(); }
  // One parameter's part of a slot, sharing memory.
  Tensor view(int index, Slot slot);

 private:
  std::vector<ParameterEntry> entries_;
  DType dtype_;
  DeviceId device_;
  int64_t trainable_elements_ = 0, elements_ = 0;
  Tensor slots_[kSlots];  // that of values: those that are not shared
  double initial_[kSlots] = {};
};

}  // namespace nnx::program
