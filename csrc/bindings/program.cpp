// Program: training, evaluation and prediction, one call an epoch
#include "program/program.h"

#include <limits>

#include "bindings/arrays.h"
#include "bindings/init.h"
#include "bindings/program_arguments.h"
#include "bindings/specifications.h"
#include "core/cuda_device.h"
#include "core/error.h"
#include "program/feed.h"

namespace nnx::bindings {
namespace {

using program::Feed;
using program::Graph;
using program::Parameters;
using program::Program;
using program::ProgramOptions;
using program::RunHooks;
using program::RunResult;

Precision read_precision(const std::string& text, const Parameters& parameters) {
  if (text == "strict") return Precision::strict;
  if (text != "tf32" && text != "bfloat16") {
    bad_value("program", "precision", "'strict', 'tf32' or 'bfloat16'", "'" + text + "'");
  }
  if (parameters.device().kind == DeviceKind::cpu || parameters.dtype() != DType::float32) {
    bad_value("program", "precision", "'strict' but for float32 on CUDA", "'" + text + "'");
  }
  const PluginDevice device = describe_cuda_device(parameters.device().index);
  if (!has_tensor_cores(device))
    bad_value("program", "precision", "'strict' on " + text_of(device), "'" + text + "'");
  return text == "tf32" ? Precision::tf32 : Precision::bfloat16;
}

std::unique_ptr<Program> make_program(const std::shared_ptr<Graph>& graph, const NodesArgument& output,
                                      const std::shared_ptr<Parameters>& parameters, int64_t max_batch,
                                      bool training, const std::optional<SpecificationsArgument>& loss,
                                      const std::optional<Specification>& optimizer,
                                      const std::vector<Specification>& metrics, uint64_t seed,
                                      const std::string& precision, int64_t measure_every, bool apply,
                                      bool describe,
                                      const std::vector<std::tuple<double, double, double>>& parameter_specs,
                                      int64_t accumulate, bool averaged) {
  ProgramOptions options;
  if (max_batch < 1) bad_value("program", "max_batch", "at least 1", max_batch);
  options.max_batch = max_batch;
  options.training = training;
  options.seed = seed;
  if (measure_every < 0) bad_value("program", "measure_every", "at least 0", measure_every);
  options.measure_every = measure_every;
  options.apply = apply;
  options.describe = describe;
  options.parameters = read_parameters(parameter_specs, *parameters);
  options.accumulate = accumulate;
  options.averaged = averaged;
  options.precision = read_precision(precision, *parameters);
  const std::vector<int> outputs = read_nodes(output);
  if (loss) options.losses = read_losses(*loss, outputs.size());
  if (optimizer) options.optimizer = read_optimizer(*optimizer);
  for (const Specification& metric : metrics) options.metrics.push_back(read_metric(metric));
  if (accumulate < 1) bad_value("program", "accumulate", "at least 1", accumulate);
  if (accumulate > 1 && (!training || apply || !optimizer)) {
    bad_value("program", "accumulate", "1 where nothing is trained on batches", accumulate);
  }
  if (apply && !(training && optimizer)) bad_value("program", "apply", "an optimizer to train with", "none");
  if (training && !apply && !options.has_loss()) bad_value("program", "loss", "a loss to train with", "none");
  return std::make_unique<Program>(graph, outputs, parameters, options);
}

RunHooks read_hooks(const std::optional<ProgressArgument>& progress, double interval,
                    Counting* counting = nullptr) {
  RunHooks hooks;
  hooks.interval = interval;
  hooks.interrupt = [] {
    const py::gil_scoped_acquire acquired;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  };
  if (progress) {
    hooks.progress = [function = progress->object, counting](const RunResult& result) {
      const py::gil_scoped_acquire acquired;
      if (counting != nullptr) counting->tell(result.steps);
      const py::object stop = function(result.steps, result.samples, result.loss_sum, result.metrics);
      return !stop.is_none() && stop.cast<bool>();
    };
  }
  return hooks;
}

// What the sums begin with, as `to_dict` gives them.
void read_start(const Program& program, const std::optional<Specification>& start, RunHooks& hooks) {
  if (!start) return;
  hooks.loss_sum = entry(*start, "loss_sum", 0.0);
  for (const auto& sums : entry(*start, "metrics", std::vector<std::vector<double>>{})) {
    hooks.metrics.insert(hooks.metrics.end(), sums.begin(), sums.end());
  }
  if (!hooks.metrics.empty() && hooks.metrics.size() != program.metric_sums_size()) {
    bad_value("train_epoch", "start", detail::concatenate(program.metric_sums_size(), " sums of metrics"),
              hooks.metrics.size());
  }
}

Specification to_dict(const RunResult& result) {
  py::dict dict;
  dict["steps"] = result.steps;
  dict["samples"] = result.samples;
  dict["loss_sum"] = result.loss_sum;
  dict["metrics"] = result.metrics;
  dict["stopped"] = result.stopped;
  dict["nonfinite"] = py::none();
  if (result.nonfinite) {
    py::dict where;
    where["step"] = result.nonfinite->step;
    where["layer"] = result.nonfinite->layer;
    dict["nonfinite"] = where;
  }
  return {dict};
}

Specification train_epoch(Program& program, const ArraysArgument& x, const ArraysArgument& y,
                          const std::optional<ArraysArgument>& sample_weight,
                          const std::optional<ArrayArgument>& order, int64_t batch_size,
                          const NumpyArgument& learning_rates, uint64_t first_step,
                          const std::optional<ProgressArgument>& progress, double interval,
                          bool labels_checked, const std::optional<CounterArgument>& counter,
                          const std::optional<Specification>& start) {
  const char* const where = "train_epoch";
  program.forget_last();
  const std::vector<Tensor> tx = read_arrays(where, "x", x), ty = read_arrays(where, "y", y);
  const std::vector<Tensor> weight = read_weights(where, program, sample_weight);
  const Tensor rows = read_array(where, "order", order);
  if (!program.options().training || program.options().apply)
    bad_value(where, "program", "one compiled for training", "one that is not");
  const auto rates = py::array_t<double, py::array::c_style | py::array::forcecast>::ensure(
      as_array(where, "learning_rates", learning_rates.object));
  if (rates.size() < 1) bad_value(where, "learning_rates", "at least one", "none");
  const Feed feed = program::make_feed(where, program, tx, ty, weight, rows, labels_checked);
  Counting counting(counter);
  RunHooks hooks = read_hooks(progress, interval, &counting);
  read_start(program, start, hooks);
  int64_t steps = 0;
  hooks.steps = &steps;
  const program::Schedule schedule{rates.data(), rates.size(), first_step};
  return to_dict(counting.run(steps, [&] { return program.train(feed, batch_size, schedule, hooks); }));
}

double train_step(Program& program, const ArraysArgument& x, const ArraysArgument& y,
                  const std::optional<ArraysArgument>& sample_weight, double learning_rate, uint64_t step,
                  const std::optional<CounterArgument>& counter) {
  const char* const where = "train_step";
  const std::vector<Tensor> tx = read_arrays(where, "x", x), ty = read_arrays(where, "y", y);
  const std::vector<Tensor> weight = read_weights(where, program, sample_weight);
  if (!program.options().training || program.options().apply)
    bad_value(where, "program", "one compiled for training", "one that is not");
  const Feed feed = program::make_feed(where, program, tx, ty, weight, {});
  const program::Schedule schedule{&learning_rate, 1, step};
  if (feed.rows == 0) return std::numeric_limits<double>::quiet_NaN();
  RunHooks hooks = read_hooks({}, 0.1);
  int64_t steps = 0;
  hooks.steps = &steps;
  return Counting(counter).run(steps, [&] {
    return program.train(feed, feed.rows, schedule, hooks).loss_sum / static_cast<double>(feed.rows);
  });
}

void apply(Program& program, double learning_rate, uint64_t step,
           const std::optional<CounterArgument>& counter) {
  if (!program.options().apply) bad_value("apply", "program", "one compiled to apply gradients", "another");
  const program::Schedule schedule{&learning_rate, 1, step};
  RunHooks hooks = read_hooks({}, 0.1);
  int64_t steps = 0;
  hooks.steps = &steps;
  Counting(counter).run(steps, [&] { return program.apply(schedule, hooks).steps; });
}

Specification evaluate(Program& program, const ArraysArgument& x, const ArraysArgument& y,
                       const std::optional<ArraysArgument>& sample_weight, int64_t batch_size,
                       const std::optional<ProgressArgument>& progress, double interval,
                       bool labels_checked) {
  const char* const where = "evaluate";
  const std::vector<Tensor> tx = read_arrays(where, "x", x), ty = read_arrays(where, "y", y);
  const std::vector<Tensor> weight = read_weights(where, program, sample_weight);
  if (program.options().training || !program.options().has_loss()) {
    bad_value(where, "program", "one compiled for inference, with a loss", "another");
  }
  const Feed feed = program::make_feed(where, program, tx, ty, weight, {}, labels_checked);
  const RunHooks hooks = read_hooks(progress, interval);
  return to_dict(without_gil([&] { return program.evaluate(feed, batch_size, hooks); }));
}

ArraysResult predict(Program& program, const ArraysArgument& x, int64_t batch_size,
                     const std::optional<ProgressArgument>& progress, double interval) {
  const char* const where = "predict";
  const std::vector<Tensor> tx = read_arrays(where, "x", x);
  if (program.options().training)
    bad_value(where, "program", "one compiled for inference", "one for training");
  Feed feed = program::make_feed(where, program, tx, {}, {}, {});
  std::vector<Tensor> results;
  for (const program::OutputInfo& output : program.outputs()) {
    results.push_back(Tensor::empty(output.shape.with_leading(feed.rows), program.parameters()->dtype()));
    feed.results.push_back(results.back().raw());
  }
  const RunHooks hooks = read_hooks(progress, interval);
  without_gil([&] { program.predict(feed, batch_size, hooks); });
  if (results.size() == 1) return {to_numpy(results.front())};
  py::tuple arrays(results.size());
  for (size_t k = 0; k < results.size(); ++k) arrays[k] = to_numpy(results[k]);
  return {arrays};
}

std::vector<std::tuple<std::string, std::string, std::vector<double>>> measured(const Program& program) {
  const std::vector<double> numbers = program.measured();
  std::vector<std::tuple<std::string, std::string, std::vector<double>>> result;
  for (const program::Measure& measure : program.measures()) {
    const char* const kinds[] = {"gradient", "alive", "outside"};
    const auto first = numbers.begin() + measure.place;
    result.emplace_back(measure.layer, kinds[static_cast<int>(measure.kind)],
                        std::vector<double>(first, first + measure.count));
  }
  return result;
}

py::typing::Dict<py::str, int> memory(const Program& program) {
  const program::MemoryUse use = program.memory();
  py::typing::Dict<py::str, int> dict;
  dict["parameters"] = use.parameters;
  dict["gradients"] = use.gradients;
  dict["optimizer"] = use.optimizer;
  dict["activations"] = use.activations;
  dict["workspace"] = use.workspace;
  return dict;
}

}  // namespace

void init_program(py::module_& m) {
  py::class_<Program>(m, "Program", "A compiled model: a list of kernel calls over one arena.")
      .def(py::init(&make_program), py::arg("graph"), py::arg("output"), py::arg("parameters"),
           py::arg("max_batch"), py::arg("training"), py::arg("loss") = py::none(),
           py::arg("optimizer") = py::none(), py::arg("metrics") = std::vector<Specification>{},
           py::arg("seed") = 0, py::arg("precision") = "strict", py::arg("measure_every") = 0,
           py::arg("apply") = false, py::arg("describe") = false,
           py::arg("parameter_specs") = std::vector<std::tuple<double, double, double>>{},
           py::arg("accumulate") = 1, py::arg("averaged") = false,
           "output: a node, or several; loss: then one, or None, for each. Of several inputs and outputs x, "
           "y and "
           "sample_weight are tuples. apply: no more than an update, from the gradients that the parameters "
           "have. describe: only asked "
           "for its numbers; allocates nothing and cannot run. parameter_specs: (l1, l2, factor on the "
           "learning "
           "rate) for each parameter. accumulate: batches to a step. averaged: computes with averages.")
      .def("train_epoch", &train_epoch, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("order"), py::arg("batch_size"), py::arg("learning_rates"), py::arg("first_step"),
           py::arg("progress") = py::none(), py::arg("interval") = 0.1, py::arg("labels_checked") = false,
           py::arg("counter") = py::none(), py::arg("start") = py::none(),
           "Trains on the rows of `order` in batches, without the GIL; counter.iterations counts the steps. "
           "start: what the sums begin with.")
      .def("train_step", &train_step, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("learning_rate"), py::arg("step"), py::arg("counter") = py::none(),
           "Trains on one batch; its loss.")
      .def("apply", &apply, py::arg("learning_rate"), py::arg("step"), py::arg("counter") = py::none(),
           "Updates the parameters by their gradients.")
      .def("evaluate", &evaluate, py::arg("x"), py::arg("y"), py::arg("sample_weight"), py::arg("batch_size"),
           py::arg("progress") = py::none(), py::arg("interval") = 0.1, py::arg("labels_checked") = false,
           "Loss and metrics, without updates.")
      .def("predict", &predict, py::arg("x"), py::arg("batch_size"), py::arg("progress") = py::none(),
           py::arg("interval") = 0.1, "The model's output for every row; a tuple of several outputs.")
      .def_property_readonly("flops_forward", [](const Program& p) { return whole(p.flops_forward()); })
      .def_property_readonly("flops_training", [](const Program& p) { return whole(p.flops_training()); })
      .def_property_readonly(
          "last", [](const Program& p) { return to_dict(p.last()); },
          "The sums of the last run, however it ended.")
      .def("measured", &measured,
           "What was measured in the last run: (layer, kind, numbers), kinds gradient, alive and outside.")
      .def("memory", &memory, "Bytes: parameters, gradients, optimizer, activations, workspace.");
  refuse_unmade<Program>();
}

}  // namespace nnx::bindings
