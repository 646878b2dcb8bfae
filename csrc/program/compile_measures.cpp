// What callbacks want to know of a step: gradients and updates by layer, units that are dead or saturated.
// Asked for, all gradients are kept; weights come to the same bits.
#include "program/compiler.h"

namespace nnx::program {
namespace {

// Values of sigmoids and tanhs beyond which a unit counts as saturated.
constexpr double kSaturated = 0.01;

}  // namespace

template <class T>
Sampling Compiler<T>::sampling() const {
  return {&program_.state_->step, static_cast<uint64_t>(program_.options_.measure_every)};
}

template <class T>
Ref<double> Compiler<T>::measure(const std::string& layer, Measure::Kind kind, int64_t count) {
  program_.measures_.push_back({layer, kind, program_.measured_numbers_, count});
  program_.measured_numbers_ += count;
  program_.measured_cells_.push_back(nullptr);
  return {&program_.measured_cells_.back()};
}

// Of a ReLU that a max-pool follows the pool's value tells the same: a unit is above zero somewhere in a
// window or nowhere.
template <class T>
void Compiler<T>::measure_activation(const Op& op) {
  if (program_.options_.measure_every == 0 || !training_) return;
  const int producer = op.kind == NodeKind::max_pool2d ? value(op.inputs[0]).producer : -1;
  const bool pooled = producer >= 0 && value(op.inputs[0]).buffer < 0;
  const Op& layer = pooled ? ops_[static_cast<size_t>(producer)] : op;
  const int buffer = value(op.output).buffer;
  const int64_t elements = op.node->elements(), units = op.node->shape.rank() > 0 ? op.node->shape.back() : 1;
  if (buffer < 0 || elements == 0) return;
  const Ref<T> y = ref(buffer);
  const ActivationKind kind = layer.activation.kind;
  if (kind == ActivationKind::relu) {
    const Ref<double> alive = measure(layer.node->scope, Measure::Kind::alive, units);
    emit(Phase::forward, layer.node->scope, {buffer},
         [=, sampling = sampling(), kernel = table_.activation.mark_alive](Context& context, int64_t n) {
           kernel(context, sampling, n * elements / units, units, y, alive);
         });
  } else if ((kind == ActivationKind::sigmoid || kind == ActivationKind::tanh) && !pooled) {
    const double high = 1.0 - kSaturated, low = kind == ActivationKind::sigmoid ? kSaturated : -high;
    const Ref<double> counts = measure(layer.node->scope, Measure::Kind::outside, 2);
    emit(Phase::forward, layer.node->scope, {buffer},
         [=, sampling = sampling(), kernel = table_.activation.count_outside](Context& context, int64_t n) {
           kernel(context, sampling, n * elements, low, high, y, counts);
         });
  }
}

template <class T>
void Compiler<T>::emit_measured_update() {
  if (program_.options_.measure_every == 0 || !program_.options_.optimizer) return emit_update();
  int64_t layers = 0;
  std::string last;
  Ref<double> totals;
  for (size_t i = 0; i < parameters_.entries().size(); ++i) {
    const ParameterEntry& entry = parameters_.entries()[i];
    if (!entry.trainable) continue;
    const std::string layer = entry.name.substr(0, entry.name.rfind('.'));
    if (layers == 0 || layer != last) {
      const Ref<double> place = measure(layer, Measure::Kind::gradient, 4);
      if (layers++ == 0) totals = place;
      last = layer;
    }
    measured_parts_.push_back({nullptr, nullptr, nullptr, entry.shape.elements(), layers - 1});
  }
  const auto parts = static_cast<int64_t>(measured_parts_.size());
  if (parts == 0) return emit_update();
  program_.measured_cells_.push_back(nullptr);  // of the parts, and of the sums: allocate_measures fills them
  const Ref<MeasuredPart<T>> part{&program_.measured_cells_.back()};
  program_.measured_cells_.push_back(nullptr);
  const Ref<double> sums{&program_.measured_cells_.back()};
  const StepState* const guard = program_.state_;
  emit(Phase::backward, "optimizer", {},
       [=, sampling = sampling(), kernel = table_.optimizer.keep](Context& context, int64_t) {
         kernel(context, sampling, guard, parts, part);
       });
  emit_update();
  emit(Phase::update, "optimizer", {},
       [=, sampling = sampling(), kernel = table_.optimizer.measure](Context& context, int64_t) {
         kernel(context, sampling, guard, layers, parts, part, sums, totals);
       });
}

template <class T>
void Compiler<T>::allocate_measures() {
  if (program_.measures_.empty()) return;
  const DeviceId device = parameters_.device();
  program_.measured_memory_ = Tensor::zeros({program_.measured_numbers_}, DType::float64, device);
  double* const numbers = program_.measured_memory_.template data<double>();
  for (size_t i = 0; i < program_.measures_.size(); ++i) {
    program_.measured_cells_[i] = numbers + program_.measures_[i].place;
  }
  if (measured_parts_.empty()) return;
  int64_t elements = 0;
  size_t next = 0;
  for (const MeasuredPart<T>& part : measured_parts_) elements += part.count;
  // The copies lie in one array behind the parts, which are brought to the device.
  const auto bytes = static_cast<int64_t>(measured_parts_.size() * sizeof(MeasuredPart<T>));
  const int64_t start = (bytes + 63) / 64 * 64;
  program_.measured_parts_ =
      Tensor::empty({start + elements * static_cast<int64_t>(sizeof(T))}, DType::uint8, device);
  char* const memory = static_cast<char*>(program_.measured_parts_.raw());
  T* before = reinterpret_cast<T*>(memory + start);
  for (size_t i = 0; i < parameters_.entries().size(); ++i) {
    if (!parameters_.entries()[i].trainable) continue;
    MeasuredPart<T>& part = measured_parts_[next++];
    const int index = static_cast<int>(i);
    part.p = static_cast<T*>(parameters_.view(index, Slot::value).raw());
    part.g = static_cast<const T*>(parameters_.view(index, Slot::gradient).raw());
    part.before = before;
    before += part.count;
  }
  device_of(device).copy_from_host(memory, measured_parts_.data(), static_cast<size_t>(bytes));
  const auto parts = static_cast<int64_t>(measured_parts_.size());
  program_.measured_sums_ = Tensor::zeros({parts * kMeasuredChunks * 3}, DType::float64, device);
  program_.measured_cells_[program_.measures_.size()] = memory;
  program_.measured_cells_[program_.measures_.size() + 1] = program_.measured_sums_.raw();
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
