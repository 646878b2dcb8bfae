#include <cmath>
#include <limits>

#include "core/error.h"
#include "program/compiler.h"

namespace nnx::program {

// Labels come before the forward pass, which changes a batch norm's statistics: one that is no class ends the
// run with nothing changed.
template <class T>
void Compiler<T>::emit_labels() {
  if (program_.options_.loss->targets != Targets::labels) return;
  Program* const program = &program_;
  const int64_t classes = graph_.node(loss_node_).shape.back();
  if (classes > std::numeric_limits<int32_t>::max())
    bad_value("program", "loss", "fewer than 2^31 classes", classes);
  target_buffer_ = buffer_of(1, sizeof(int32_t));
  const Ref<int32_t> labels = program_.memory_.template ref<int32_t>(target_buffer_);
  emit(Phase::labels, "targets", {target_buffer_},
       [=, gather = table_.elementwise.gather_labels](Context& context, int64_t n) {
         const Feed& feed = program->feed_;
         gather(context, n, classes, feed.y_type, feed.y, feed.order, program->first_row(), labels,
                &program->state_->fault);
       });
}

template <class T>
void Compiler<T>::emit_targets() {
  const LossSpec& loss = *program_.options_.loss;
  Program* const program = &program_;
  program_.target_elements_ = loss.targets == Targets::labels ? 1 : value(loss_value_).elements;
  program_.classes_ = graph_.node(loss_node_).shape.back();
  weight_buffer_ = buffer_of(1);
  const Ref<T> weight = ref(weight_buffer_);
  emit(Phase::targets, "targets", {weight_buffer_},
       [=, gather = table_.elementwise.gather](Context& context, int64_t n) {
         const void* const from = program->feed_.weight;
         if (from == nullptr) return;
         gather(context, n, 1, dtype_of<T>, from, program->feed_.order, program->first_row(), weight);
       });

  if (loss.targets == Targets::labels) return;
  const int64_t columns = value(loss_value_).elements;
  target_buffer_ = buffer_of(columns);
  const Ref<T> targets = ref(target_buffer_);
  emit(Phase::targets, "targets", {target_buffer_},
       [=, gather = table_.elementwise.gather](Context& context, int64_t n) {
         const Feed& feed = program->feed_;
         gather(context, n, columns, feed.y_type, feed.y, feed.order, program->first_row(), targets);
       });
}

template <class T>
void Compiler<T>::emit_loss() {
  emit_loss_kernel();
  emit_penalties();
  emit(Phase::watch, "loss", {},
       [program = &program_](Context& context, int64_t n) { program->watch_loss(context, n); });
}

template <class T>
void Compiler<T>::emit_loss_kernel() {
  const LossSpec& loss = *program_.options_.loss;
  const int64_t elements = value(loss_value_).elements;
  const int input = value(loss_value_).buffer;
  int gradient = -1;
  if (training_ && value(loss_value_).wants_gradient) gradient = contribute(loss_value_).first;
  const Ref<T> y = ref(input), weight = ref(weight_buffer_), dy = ref(gradient);
  Program* const program = &program_;
  const bool sum = loss.sum;

  if (loss.cross_entropy) {
    const int64_t classes = graph_.node(loss_node_).shape.back(), rows = elements / classes;
    const bool labels = loss.targets == Targets::labels;
    if (labels && rows != 1) {
      bad_value("program", "loss", "one-hot targets for an output of more than one axis",
                detail::concatenate("labels for an output of shape ", graph_.node(loss_node_).shape));
    }
    const auto label_ref = program_.memory_.template ref<int32_t>(target_buffer_);
    const Ref<T> one_hot_ref = ref(target_buffer_);
    emit(Phase::loss, "loss", {input, weight_buffer_, target_buffer_, gradient},
         [=, smoothing = loss.label_smoothing, kernel = table_.loss.softmax_cross_entropy](Context& context,
                                                                                           int64_t n) {
           const double scale = sum ? 1.0 : 1.0 / static_cast<double>(program->rows_of_step(n) * rows);
           ClassTargets<T> targets;
           if (labels) {
             targets.labels = label_ref;
           } else {
             targets.one_hot = one_hot_ref;
           }
           kernel(context, n * rows, classes, y, targets, smoothing,
                  program->feed_.weight != nullptr ? static_cast<T*>(weight) : nullptr, scale,
                  {nullptr, &program->state_->loss, dy});
         });
    return;
  }

  PointwiseLoss kind = loss.pointwise;
  const bool behind_sigmoid = loss_node_ != output_node_ || split_node_ >= 0;
  if (kind == PointwiseLoss::binary_cross_entropy && (loss.from_logits || behind_sigmoid)) {
    kind = PointwiseLoss::sigmoid_binary_cross_entropy;
  }
  const int64_t counted = kind == PointwiseLoss::half_sum_squared_error ? 1 : elements;
  const Ref<T> targets = ref(target_buffer_);
  emit(Phase::loss, "loss", {input, weight_buffer_, target_buffer_, gradient},
       [=, delta = loss.delta, kernel = table_.loss.pointwise](Context& context, int64_t n) {
         const double scale = sum ? 1.0 : 1.0 / static_cast<double>(program->rows_of_step(n) * counted);
         kernel(context, kind, delta, n, elements, y, targets,
                program->feed_.weight != nullptr ? static_cast<T*>(weight) : nullptr, scale,
                {nullptr, &program->state_->loss, dy});
       });
}

template <class T>
void Compiler<T>::emit_metrics() {
  const LossSpec& loss = *program_.options_.loss;
  const size_t metrics = program_.options_.metrics.size();
  program_.metric_sizes_.resize(metrics);
  program_.metric_cells_.resize(metrics);
  const int64_t elements = value(loss_value_).elements;
  const int64_t classes = graph_.node(loss_node_).shape.back(), rows = elements / classes;
  const bool labels = loss.targets == Targets::labels;
  const bool behind_sigmoid = !loss.cross_entropy && (loss_node_ != output_node_ || split_node_ >= 0);
  const auto label_ref = program_.memory_.template ref<int32_t>(target_buffer_);
  const Ref<T> targets = ref(target_buffer_);
  const auto class_targets = [=]() {
    ClassTargets<T> result;
    if (labels) {
      result.labels = label_ref;
    } else {
      result.one_hot = targets;
    }
    return result;
  };

  for (size_t i = 0; i < metrics; ++i) {
    const MetricSpec& metric = program_.options_.metrics[i];
    const int read = metric.kind == MetricKind::regression ? output_value_ : loss_value_;
    const Ref<T> y = value_ref(read);
    const auto append = [&](int64_t count, auto run) {
      program_.metric_sizes_[i] = count;
      emit(Phase::metrics, "metrics", {value(read).buffer, target_buffer_}, std::move(run));
    };
    const Ref<double> to{&program_.metric_cells_[i]};
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
      case MetricKind::regression:
        append(elements * 4, [=, kernel = table_.loss.regression_sums](Context& context, int64_t n) {
          kernel(context, n, elements, y, targets, to);
        });
        break;
    }
  }
}

template class Compiler<float>;
template class Compiler<double>;

}  // namespace nnx::program
