#include "program/feed.h"

#include "core/error.h"
#include "ops/checks.h"

namespace nnx::program {
namespace {

void check_labels(const char* where, const char* name, const Tensor& given, int64_t classes) {
  const Tensor labels = given.to(DeviceId{});
  const auto scan = [&](const auto* values) {
    for (int64_t i = 0; i < labels.elements(); ++i) {
      const auto label = static_cast<int64_t>(values[i]);
      if (label < 0 || label >= classes) {
        bad_value(where, name, detail::concatenate("labels in [0, ", classes, ")"),
                  detail::concatenate(label, " at index ", i));
      }
    }
  };
  if (labels.dtype() == DType::int64) return scan(labels.data<int64_t>());
  if (labels.dtype() == DType::uint8) return scan(labels.data<uint8_t>());
  scan(labels.data<int32_t>());
}

void expect_place(const char* where, const char* name, const Tensor& tensor, DeviceId device) {
  if (tensor.device() == device) return;
  bad_value(where, name, "an array on device '" + device.str() + "'", "'" + tensor.device().str() + "'");
}

// The name of one of several arrays: "x", or "x[1]" where there are more than one.
std::string name_of(const char* name, size_t index, size_t count) {
  return count > 1 ? detail::concatenate(name, "[", index, "]") : std::string(name);
}

void check_targets(const char* where, const char* name, const LossSpec& loss, const OutputInfo& output,
                   const Tensor& y, int64_t rows, bool labels_checked) {
  if (y.rank() < 1 || y.shape()[0] != rows) {
    bad_value(where, name, detail::concatenate("as many rows as x, ", rows), y.shape());
  }
  if (loss.targets == Targets::labels) {
    ops::expect_shape(where, name, y.shape(), Shape{rows});
    if (y.dtype() == DType::float32 || y.dtype() == DType::float64)
      bad_type(where, name, "integer labels", nnx::name_of(y.dtype()));
    if (!labels_checked) check_labels(where, name, y, output.classes);
  } else if (y.shape().elements(1, y.rank()) != output.target_elements) {
    bad_value(where, name, detail::concatenate(output.target_elements, " targets per sample"), y.shape());
  }
}

void expect_count(const char* where, const char* name, size_t expected, size_t got) {
  if (got != expected) bad_value(where, name, detail::concatenate(expected, " arrays"), got);
}

void check_input(const char* where, const char* name, const Shape& sample, const Tensor& x) {
  if (x.rank() == sample.rank() + 1 && x.shape().without_leading() == sample) return;
  std::string expected = sample.str();
  expected.insert(1, sample.rank() > 0 ? "N, " : "N,");
  bad_value(where, name, "shape " + expected, x.shape());
}

FedArray fed(const Tensor& array) {
  return {array.raw(), array.dtype(), array.shape().elements(1, array.rank())};
}

void feed_inputs(Feed& feed, const Program& program, const std::vector<Tensor>& x) {
  const std::vector<InputInfo>& inputs = program.inputs();
  expect_count(feed.where, "x", inputs.size(), x.size());
  const Tensor* first = nullptr;
  for (size_t i = 0; i < x.size(); ++i) {
    const std::string name = name_of("x", i, x.size());
    if (!x[i].defined() || !inputs[i].used) {
      if (inputs[i].used) bad_value(feed.where, name.c_str(), "an array", "none");
      continue;
    }
    check_input(feed.where, name.c_str(), inputs[i].shape, x[i]);
    if (first == nullptr) {
      first = &x[i];
      feed.rows = feed.data_rows = x[i].shape()[0];
      feed.resident = x[i].device().kind != DeviceKind::cpu;
    }
    if (x[i].shape()[0] != feed.rows) {
      bad_value(feed.where, name.c_str(), detail::concatenate("as many rows as x[0], ", feed.rows),
                x[i].shape());
    }
    expect_place(feed.where, name.c_str(), x[i],
                 feed.resident ? program.parameters()->device() : first->device());
    feed.arrays[i] = fed(x[i]);
  }
}

}  // namespace

Feed make_feed(const char* where, const Program& program, const std::vector<Tensor>& x,
               const std::vector<Tensor>& y, const std::vector<Tensor>& weight, const Tensor& order,
               bool labels_checked) {
  Feed feed;
  feed.where = where;
  feed.inputs = program.inputs().size();
  feed.outputs = program.outputs().size();
  feed.arrays.resize(feed.inputs + 2 * feed.outputs);
  feed_inputs(feed, program, x);
  const DeviceId place = feed.resident ? program.parameters()->device() : DeviceId{};
  if (!y.empty()) expect_count(where, "y", feed.outputs, y.size());
  if (!weight.empty()) expect_count(where, "sample_weight", feed.outputs, weight.size());
  for (size_t k = 0; k < y.size(); ++k) {
    const LossSpec* const loss = program.options().loss_of(k);
    if (loss == nullptr) continue;
    const std::string name = name_of("y", k, y.size());
    if (!y[k].defined()) bad_value(where, name.c_str(), "targets", "none");
    expect_place(where, name.c_str(), y[k], place);
    check_targets(where, name.c_str(), *loss, program.outputs()[k], y[k], feed.rows, labels_checked);
    feed.arrays[feed.inputs + k] = fed(y[k]);
  }
  for (size_t k = 0; k < weight.size(); ++k) {
    if (!weight[k].defined()) continue;
    const std::string name = name_of("sample_weight", k, weight.size());
    expect_place(where, name.c_str(), weight[k], place);
    ops::expect_shape(where, name.c_str(), weight[k].shape(), Shape{feed.rows});
    ops::expect_dtype(where, name.c_str(), weight[k], program.parameters()->dtype());
    feed.arrays[feed.inputs + feed.outputs + k] = fed(weight[k]);
  }
  if (order.defined()) {
    ops::expect_dtype(where, "order", order, DType::int64);
    ops::expect_rank(where, "order", order.shape(), 1, "(rows)");
    expect_place(where, "order", order, DeviceId{});
    feed.order_held = order.clone();
    const auto* rows = feed.order_held.data<int64_t>();
    for (int64_t i = 0; i < order.elements(); ++i) {
      if (rows[i] < 0 || rows[i] >= feed.rows) {
        bad_value(where, "order", detail::concatenate("rows in [0, ", feed.rows, ")"),
                  detail::concatenate(rows[i], " at index ", i));
      }
    }
    feed.order = rows;
    feed.rows = order.elements();
  }
  return feed;
}

}  // namespace nnx::program
