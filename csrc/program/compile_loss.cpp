#include <cmath>
#include <limits>

#include "core/error.h"
#include "program/compiler.h"

namespace nnx::program {

// Labels come before the forward pass, which changes a batch norm's statistics: one that is no class ends the
// run with nothing changed.
template <class T>
void Compiler<T>::emit_labels(Head& head) {
  if (head.loss->traced()) return emit_traced_targets(head);
  if (head.loss->targets != Targets::labels) return;
  Program* const program = &program_;
  const int64_t classes = graph_.node(head.loss_node).shape.back();
  if (classes > std::numeric_limits<int32_t>::max())
    bad_value("program", "loss", "fewer than 2^31 classes", classes);
  head.target_buffer = buffer_of(1, sizeof(int32_t));
  const Ref<int32_t> labels = program_.memory_.template ref<int32_t>(head.target_buffer);
  emit(Phase::labels, "targets", {head.target_buffer},
       [=, k = head.index, gather = table_.elementwise.gather_labels](Context& context, int64_t n) {
         const FedArray& y = program->feed_.y(k);
         gather(context, n, classes, y.type, y.data, program->feed_.order, program->first_row(), labels,
                &program->state_->fault);
       });
}

// The forward pass of a traced loss reads them.
template <class T>
void Compiler<T>::emit_traced_targets(Head& head) {
  const int64_t columns = graph_.node(head.loss->target).elements();
  head.target_buffer = buffer_of(columns);
  const int read = value_of(head.loss->target);
  if (read >= 0) value(read).buffer = head.target_buffer;
  const Ref<T> targets = ref(head.target_buffer);
  emit(Phase::labels, "targets", {head.target_buffer},
       [=, program = &program_, k = head.index, gather = table_.elementwise.gather](Context& context,
                                                                                    int64_t n) {
         const FedArray& y = program->feed_.y(k);
         gather(context, n, columns, y.type, y.data, program->feed_.order, program->first_row(), targets);
       });
}

template <class T>
void Compiler<T>::emit_targets(Head& head) {
  const LossSpec& loss = *head.loss;
  Program* const program = &program_;
  const size_t k = head.index;
  const int64_t columns =
      loss.traced() ? graph_.node(loss.target).elements() : value(head.loss_value).elements;
  OutputInfo& about = program_.outputs_[k];
  about.target_elements = loss.targets == Targets::labels ? 1 : columns;
  about.classes = graph_.node(loss.traced() ? head.output_node : head.loss_node).shape.back();
  head.weight_buffer = buffer_of(1);
  const Ref<T> weight = ref(head.weight_buffer);
  emit(Phase::targets, "targets", {head.weight_buffer},
       [=, gather = table_.elementwise.gather](Context& context, int64_t n) {
         const void* const from = program->feed_.weight(k);
         if (from == nullptr) return;
         gather(context, n, 1, dtype_of<T>, from, program->feed_.order, program->first_row(), weight);
       });

  if (loss.traced() || loss.targets == Targets::labels) return;
  head.target_buffer = buffer_of(columns);
  const Ref<T> targets = ref(head.target_buffer);
  emit(Phase::targets, "targets", {head.target_buffer},
       [=, gather = table_.elementwise.gather](Context& context, int64_t n) {
         const FedArray& y = program->feed_.y(k);
         gather(context, n, columns, y.type, y.data, program->feed_.order, program->first_row(), targets);
       });
}

template <class T>
kernels::ElementwiseKernels<double> Compiler<T>::double_kernels() const {
  return device_of(parameters_.device()).template table<double>().elementwise;
}

// A loss alone goes to where the step's loss is; several go to cells of their own, and are added up.
template <class T>
void Compiler<T>::emit_loss() {
  int losses = 0;
  bool alone = true;
  for (const Head& head : heads_) {
    if (head.loss == nullptr) continue;
    ++losses;
    alone = alone && head.loss->weight == 1.0;
  }
  for (const MetricSpec& metric : program_.options_.metrics) alone = alone && metric.kind != MetricKind::loss;
  alone = alone && losses == 1;
  for (Head& head : heads_) {
    if (head.loss == nullptr) continue;
    program_.loss_cells_.push_back(alone ? &program_.state_->loss : nullptr);
    head.total = {&program_.loss_cells_.back()};
    emit_loss_kernel(head);
  }
  if (!alone) emit_sum_of_losses();
  emit_penalties();
  emit(Phase::watch, "loss", {},
       [program = &program_](Context& context, int64_t n) { program->watch_loss(context, n); });
}

template <class T>
void Compiler<T>::emit_sum_of_losses() {
  Policy policy = Policy::assign;
  for (const Head& head : heads_) {
    if (head.loss == nullptr) continue;
    const double factor = head.loss->weight == 0.0 ? 0.0 : 1.0;  // a weight is in it already
    if (factor == 0.0 && policy == Policy::accumulate) continue;
    emit(Phase::loss, "loss", {},
         [=, loss = head.total, state = program_.state_, scale = double_kernels().scale](
             Context& context, int64_t) { scale(context, 1, factor, loss, policy, &state->loss); });
    policy = Policy::accumulate;
  }
}

template <class T>
void Compiler<T>::allocate_losses() {
  if (program_.loss_cells_.empty() || program_.loss_cells_.front() != nullptr) return;
  const auto losses = static_cast<int64_t>(program_.loss_cells_.size());
  program_.loss_memory_ = Tensor::zeros({losses}, DType::float64, parameters_.device());
  double* next = program_.loss_memory_.template data<double>();
  for (void*& cell : program_.loss_cells_) cell = next++;
}

template <class T>
void Compiler<T>::emit_loss_kernel(Head& head) {
  const LossSpec& loss = *head.loss;
  const int64_t elements = value(head.loss_value).elements;
  const int input = value(head.loss_value).buffer;
  // Another output's loss may have left a gradient there, which this one's is added to.
  int gradient = -1, whole = -1;
  if (training_ && loss.weight != 0.0 && value(head.loss_value).wants_gradient) {
    const auto [buffer, policy] = contribute(head.loss_value);
    gradient = buffer;
    if (policy == Policy::accumulate) {
      whole = buffer;
      gradient = buffer_of(elements);
    }
  }
  const Ref<T> y = ref(input), weight = ref(head.weight_buffer), dy = ref(gradient);
  const Ref<double> total = head.total;
  Program* const program = &program_;
  const bool sum = loss.sum;
  const double factor = loss.weight == 0.0 ? 1.0 : loss.weight;
  const size_t k = head.index;

  if (loss.cross_entropy) {
    const Shape& shape = graph_.node(head.loss_node).shape;
    const int64_t classes = shape.back(), rows = elements / classes;
    const bool labels = loss.targets == Targets::labels;
    if (labels && rows != 1) {
      bad_value("program", "loss", "one-hot targets for an output of more than one axis",
                detail::concatenate("labels for an output of shape ", shape));
    }
    const auto label_ref = program_.memory_.template ref<int32_t>(head.target_buffer);
    const Ref<T> one_hot_ref = ref(head.target_buffer);
    emit(Phase::loss, "loss", {input, head.weight_buffer, head.target_buffer, gradient},
         [=, smoothing = loss.label_smoothing, kernel = table_.loss.softmax_cross_entropy](Context& context,
                                                                                           int64_t n) {
           const double scale =
               factor * (sum ? 1.0 : 1.0 / static_cast<double>(program->rows_of_step(n) * rows));
           ClassTargets<T> targets;
           if (labels) {
             targets.labels = label_ref;
           } else {
             targets.one_hot = one_hot_ref;
           }
           kernel(context, n * rows, classes, y, targets, smoothing,
                  program->feed_.weight(k) != nullptr ? static_cast<T*>(weight) : nullptr, scale,
                  {nullptr, total, dy});
         });
  } else {
    PointwiseLoss kind = loss.pointwise;
    if (kind == PointwiseLoss::binary_cross_entropy && (loss.from_logits || head.behind_activation())) {
      kind = PointwiseLoss::sigmoid_binary_cross_entropy;
    }
    const int64_t counted = kind == PointwiseLoss::half_sum_squared_error ? 1 : elements;
    const Ref<T> targets = loss.traced() ? y : ref(head.target_buffer);
    emit(Phase::loss, "loss", {input, head.weight_buffer, head.target_buffer, gradient},
         [=, delta = loss.delta, kernel = table_.loss.pointwise](Context& context, int64_t n) {
           const double scale =
               factor * (sum ? 1.0 : 1.0 / static_cast<double>(program->rows_of_step(n) * counted));
           kernel(context, kind, delta, n, elements, y, targets,
                  program->feed_.weight(k) != nullptr ? static_cast<T*>(weight) : nullptr, scale,
                  {nullptr, total, dy});
         });
  }
  if (whole < 0) return;
  emit(Phase::loss, "loss", {gradient, whole},
       [=, to = ref(whole), add = table_.elementwise.add](Context& context, int64_t n) {
         add(context, n * elements, dy, to, to);
       });
}

template <class T>
void Compiler<T>::emit_metrics() {
  const std::vector<MetricSpec>& metrics = program_.options_.metrics;
  program_.metric_sizes_.resize(metrics.size());
  program_.metric_cells_.resize(metrics.size());
  for (size_t i = 0; i < metrics.size(); ++i) {
    if (metrics[i].output >= heads_.size() || heads_[metrics[i].output].loss == nullptr) {
      bad_value("program", "metrics", "metrics of outputs that have a loss",
                detail::concatenate("one of output ", metrics[i].output));
    }
    emit_metric(i, heads_[metrics[i].output]);
  }
}

template <class T>
void Compiler<T>::emit_metric(size_t index, const Head& head) {
  const LossSpec& loss = *head.loss;
  const Node& compared = graph_.node(loss.traced() ? head.output_node : head.loss_node);
  const int64_t elements = compared.elements(), classes = compared.shape.back(), rows = elements / classes;
  const bool labels = loss.targets == Targets::labels;
  const bool behind_sigmoid = !loss.cross_entropy && !loss.traced() && head.behind_activation();
  const auto label_ref = program_.memory_.template ref<int32_t>(head.target_buffer);
  const Ref<T> targets = ref(head.target_buffer);
  const auto class_targets = [=]() {
    ClassTargets<T> result;
    if (labels) {
      result.labels = label_ref;
    } else {
      result.one_hot = targets;
    }
    return result;
  };

  const MetricSpec& metric = program_.options_.metrics[index];
  const bool reads_output = loss.traced() || metric.kind == MetricKind::regression;
  const int read = reads_output ? head.output_value : head.loss_value;
  const Ref<T> y = value_ref(read);
  const auto append = [&](int64_t count, auto run) {
    program_.metric_sizes_[index] = count;
    emit(Phase::metrics, "metrics", {value(read).buffer, head.target_buffer}, std::move(run));
  };
  const Ref<double> to{&program_.metric_cells_[index]};
  // sigmoid(z) > threshold where z > log(threshold / (1 - threshold)).
  const double threshold =
      behind_sigmoid ? std::log(metric.threshold / (1.0 - metric.threshold)) : metric.threshold;
  switch (metric.kind) {
    case MetricKind::top_k:
      append(1, [=, k = metric.k, kernel = table_.loss.count_top_k](Context& context, int64_t n) {
        kernel(context, n * rows, classes, y, class_targets(), k, to);
      });
      break;
    case MetricKind::confusion:
      append(expect_bytes("confusion", {classes, classes}),
             [=, kernel = table_.loss.confusion](Context& context, int64_t n) {
               kernel(context, n * rows, classes, y, class_targets(), to);
             });
      break;
    case MetricKind::binary:
      append(1, [=, kernel = table_.loss.count_binary](Context& context, int64_t n) {
        kernel(context, n * elements, y, targets, threshold, to);
      });
      break;
    case MetricKind::binary_confusion:
      append(4, [=, kernel = table_.loss.binary_confusion](Context& context, int64_t n) {
        kernel(context, n * elements, y, targets, threshold, to);
      });
      break;
    case MetricKind::loss:
      append(1, [=, program = &program_, from = head.total, factor = loss.weight == 0.0 ? 1.0 : loss.weight,
                 scale = double_kernels().scale](Context& context, int64_t n) {
        const auto step = static_cast<double>(program->rows_of_step(n));
        scale(context, 1, step / factor, from, Policy::accumulate, to);
      });
      break;
    case MetricKind::regression:
      append(elements * 4, [=, kernel = table_.loss.regression_sums](Context& context, int64_t n) {
        kernel(context, n, elements, y, targets, to);
      });
      break;
  }
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
