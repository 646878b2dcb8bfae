#include "bindings/specifications.h"

#include <map>

#include "core/error.h"
#include "ops/checks.h"
#include "ops/loss.h"

namespace nnx::bindings {

using program::LossSpec;
using program::MetricKind;
using program::MetricSpec;
using program::OptimizerKind;
using program::OptimizerSpec;
using program::Parameters;
using program::ParameterSpec;
using program::Targets;

LossSpec read_loss(const Specification& specification) {
  LossSpec loss;
  const auto kind = entry<std::string>(specification, "kind", "");
  loss.cross_entropy = kind == "softmax_cross_entropy";
  if (kind == "traced") {
    loss.pointwise = PointwiseLoss::value;
    loss.node = entry(specification, "node", -1);
    loss.target = entry(specification, "target", -1);
    if (loss.node < 0 || loss.target < 0)
      bad_value("program", "node", "nodes of a loss and its targets", loss.node);
  } else if (!loss.cross_entropy) {
    loss.pointwise = ops::parse_pointwise_loss("program", kind);
  }
  const auto targets = entry<std::string>(specification, "targets", "values");
  if (targets != "labels" && targets != "one_hot" && targets != "values") {
    bad_value("program", "targets", "'labels', 'one_hot' or 'values'", "'" + targets + "'");
  }
  loss.targets = targets == "labels"    ? Targets::labels
                 : targets == "one_hot" ? Targets::one_hot
                                        : Targets::values;
  if (loss.targets == Targets::labels && !loss.cross_entropy) {
    bad_value("program", "targets", "'values' for this loss", "'labels'");
  }
  loss.from_logits = entry(specification, "from_logits", true);
  loss.delta = entry(specification, "delta", 1.0);
  ops::check_delta("program", loss.delta);
  loss.label_smoothing = entry(specification, "label_smoothing", 0.0);
  ops::check_label_smoothing("program", loss.label_smoothing);
  const auto reduction = entry<std::string>(specification, "reduction", "mean");
  if (reduction != "mean" && reduction != "sum") {
    bad_value("program", "reduction", "'mean' or 'sum'", "'" + reduction + "'");
  }
  loss.sum = reduction == "sum";
  loss.weight = entry(specification, "weight", 1.0);
  ops::expect_finite("program", "weight", loss.weight);
  return loss;
}

OptimizerSpec read_optimizer(const Specification& specification) {
  OptimizerSpec optimizer;
  const auto kind = entry<std::string>(specification, "kind", "");
  static const std::map<std::string, OptimizerKind> kinds{
      {"sgd", OptimizerKind::sgd},         {"adam", OptimizerKind::adam},
      {"adamw", OptimizerKind::adam},      {"rmsprop", OptimizerKind::rmsprop},
      {"adagrad", OptimizerKind::adagrad}, {"lion", OptimizerKind::lion}};
  if (kinds.find(kind) == kinds.end()) {
    bad_value("program", "optimizer", "'sgd', 'adam', 'adamw', 'rmsprop', 'adagrad' or 'lion'",
              "'" + kind + "'");
  }
  optimizer.kind = kinds.at(kind);
  optimizer.decoupled = kind == "adamw";
  optimizer.momentum = entry(specification, "momentum", 0.0);
  optimizer.nesterov = entry(specification, "nesterov", false);
  optimizer.beta1 = entry(specification, "beta1", optimizer.beta1);
  optimizer.beta2 = entry(specification, "beta2", optimizer.beta2);
  optimizer.epsilon = entry(specification, "epsilon", optimizer.epsilon);
  optimizer.rho = entry(specification, "rho", optimizer.rho);
  optimizer.centered = entry(specification, "centered", false);
  optimizer.initial_accumulator_value =
      entry(specification, "initial_accumulator_value", optimizer.initial_accumulator_value);
  optimizer.weight_decay = entry(specification, "weight_decay", 0.0);
  const double clip_norm = entry(specification, "clip_norm", -1.0);
  if (clip_norm > 0.0) optimizer.clip_norm = clip_norm;
  const double clip_value = entry(specification, "clip_value", -1.0);
  if (clip_value > 0.0) optimizer.clip_value = clip_value;
  optimizer.ema = entry(specification, "ema", 0.0);
  return optimizer;
}

std::vector<ParameterSpec> read_parameters(const std::vector<std::tuple<double, double, double>>& given,
                                           const Parameters& parameters) {
  if (!given.empty() && given.size() != parameters.entries().size()) {
    bad_value("program", "parameters", detail::concatenate(parameters.entries().size(), " or none"),
              given.size());
  }
  std::vector<ParameterSpec> specs;
  for (const auto& [l1, l2, factor] : given) specs.push_back({{l1, l2}, factor});
  return specs;
}

MetricSpec read_metric(const Specification& specification) {
  const auto kind = entry<std::string>(specification, "kind", "");
  MetricSpec metric{MetricKind::top_k, entry<int64_t>(specification, "k", 1),
                    entry(specification, "threshold", 0.5), 0};
  const auto output = entry<int64_t>(specification, "output", 0);
  if (output < 0) bad_value("program", "metrics", "an output of at least 0", output);
  metric.output = static_cast<size_t>(output);
  if (kind == "top_k") return metric;
  if (kind == "binary") {
    metric.kind = MetricKind::binary;
  } else if (kind == "confusion") {
    metric.kind = MetricKind::confusion;
  } else if (kind == "binary_confusion") {
    metric.kind = MetricKind::binary_confusion;
  } else if (kind == "regression") {
    metric.kind = MetricKind::regression;
  } else if (kind == "loss") {
    metric.kind = MetricKind::loss;
  } else {
    bad_value("program", "metrics",
              "'top_k', 'binary', 'confusion', 'binary_confusion', 'regression' or 'loss'", "'" + kind + "'");
  }
  return metric;
}

}  // namespace nnx::bindings
