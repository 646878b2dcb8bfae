#include "program/feed.h"

#include "core/error.h"
#include "ops/checks.h"

namespace nnx::program {
namespace {

void check_labels(const char* where, const Tensor& given, int64_t classes) {
  const Tensor labels = given.to(DeviceId{});
  const auto scan = [&](const auto* values) {
    for (int64_t i = 0; i < labels.elements(); ++i) {
      const auto label = static_cast<int64_t>(values[i]);
      if (label < 0 || label >= classes) {
        bad_value(where, "y", detail::concatenate("labels in [0, ", classes, ")"),
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

void check_targets(const char* where, const Program& program, const Tensor& y, int64_t rows,
                   bool labels_checked) {
  if (!y.defined()) bad_value(where, "y", "targets", "none");
  if (y.rank() < 1 || y.shape()[0] != rows) {
    bad_value(where, "y", detail::concatenate("as many rows as x, ", rows), y.shape());
  }
  if (program.options().loss->targets == Targets::labels) {
    ops::expect_shape(where, "y", y.shape(), Shape{rows});
    if (y.dtype() == DType::float32 || y.dtype() == DType::float64)
      bad_type(where, "y", "integer labels", name_of(y.dtype()));
    if (!labels_checked) check_labels(where, y, program.classes());
  } else if (y.shape().elements(1, y.rank()) != program.target_elements()) {
    bad_value(where, "y", detail::concatenate(program.target_elements(), " targets per sample"), y.shape());
  }
}

}  // namespace

Feed make_feed(const char* where, const Program& program, const Tensor& x, const Tensor& y,
               const Tensor& weight, const Tensor& order, bool labels_checked) {
  const Shape& sample = program.input_shape();
  if (x.rank() != sample.rank() + 1 || x.shape().without_leading() != sample) {
    std::string expected = sample.str();
    expected.insert(1, sample.rank() > 0 ? "N, " : "N,");
    bad_value(where, "x", "shape " + expected, x.shape());
  }
  Feed feed;
  feed.where = where;
  feed.rows = feed.data_rows = x.shape()[0];
  feed.resident = x.device().kind != DeviceKind::cpu;
  if (feed.resident) expect_place(where, "x", x, program.parameters()->device());
  feed.x = x.raw();
  feed.x_type = x.dtype();
  if (program.options().loss && y.defined()) {
    expect_place(where, "y", y, x.device());
    check_targets(where, program, y, feed.rows, labels_checked);
    feed.y = y.raw();
    feed.y_type = y.dtype();
  }
  if (weight.defined()) {
    expect_place(where, "sample_weight", weight, x.device());
    ops::expect_shape(where, "sample_weight", weight.shape(), Shape{feed.rows});
    ops::expect_dtype(where, "sample_weight", weight, program.parameters()->dtype());
    feed.weight = weight.raw();
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
