#include "ops/targets.h"

#include <cmath>
#include <limits>

#include "ops/checks.h"

namespace nnx::ops {
namespace {

template <class T>
Tensor narrow_labels(const char* where, const char* name, const Tensor& labels, int64_t classes) {
  const Tensor host = labels.to(DeviceId{});
  const Tensor narrow = Tensor::empty(labels.shape(), DType::int32);
  const T* from = host.data<T>();
  int32_t* to = narrow.data<int32_t>();
  for (int64_t i = 0; i < labels.elements(); ++i) {
    const int64_t label = from[i];
    if (label < 0 || label >= classes) {
      bad_value(where, name, detail::concatenate("labels in [0, ", classes, ")"),
                detail::concatenate(label, " at index ", i));
    }
    to[i] = static_cast<int32_t>(label);
  }
  return narrow;
}

// One weight for each class, 1 where none is given.
std::vector<double> weights_of_classes(const char* where, const ClassWeight& weight, int64_t classes) {
  const int64_t entries = static_cast<int64_t>(weight.entries.size());
  if (weight.complete && entries != classes) {
    bad_value(where, "class_weight", detail::concatenate("one weight for each of ", classes, " classes"),
              entries);
  }
  std::vector<double> weights(static_cast<size_t>(classes), 1.0);
  for (const auto& [label, value] : weight.entries) {
    if (label < 0 || label >= classes) {
      bad_value(where, "class_weight", detail::concatenate("classes in [0, ", classes, ")"), label);
    }
    expect_finite(where, "class_weight", value);
    weights[static_cast<size_t>(label)] = value;
  }
  return weights;
}

template <class T>
int64_t first_maximum(const T* row, int64_t classes) {
  int64_t best = 0;
  for (int64_t k = 1; k < classes; ++k) {
    if (row[k] > row[best]) best = k;
  }
  return best;
}

void copy_weights(const char* where, const Tensor& sample_weight, int64_t rows, double* weights) {
  expect_float(where, "sample_weight", sample_weight);
  expect_shape(where, "sample_weight", sample_weight.shape(), Shape{rows});
  const Tensor host = sample_weight.to(DeviceId{});
  dispatch(host.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < rows; ++i) {
      const double weight = host.data<T>()[i];
      if (!std::isfinite(weight)) {
        bad_value(where, "sample_weight", "finite numbers", detail::concatenate(weight, " at index ", i));
      }
      weights[i] = weight;
    }
  });
}

// class_of(i): the class of row i
template <class F>
Tensor row_weights(const char* where, const Tensor& like, int64_t classes, const LossOptions& options,
                   const F& class_of) {
  const bool by_class = options.class_weight.complete || !options.class_weight.entries.empty();
  if (!options.sample_weight.defined() && !by_class) return {};
  if (like.rank() < 1) bad_value(where, "sample_weight", "no weights for a single number", "some");
  const int64_t rows = like.shape()[0];
  std::vector<double> weights(static_cast<size_t>(rows), 1.0);
  if (options.sample_weight.defined()) copy_weights(where, options.sample_weight, rows, weights.data());
  if (by_class) {
    const std::vector<double> of_class = weights_of_classes(where, options.class_weight, classes);
    for (int64_t i = 0; i < rows; ++i) {
      weights[static_cast<size_t>(i)] *= of_class[static_cast<size_t>(class_of(i))];
    }
  }
  const Tensor result = Tensor::empty({rows}, like.dtype());
  dispatch(like.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < rows; ++i) result.data<T>()[i] = static_cast<T>(weights[static_cast<size_t>(i)]);
  });
  return result.to(like.device());
}

}  // namespace

Tensor check_labels(const char* where, const char* name, const Tensor& labels, int64_t classes) {
  expect_rank(where, name, labels.shape(), 1, "(N,)");
  if (classes < 1 || classes > std::numeric_limits<int32_t>::max()) {
    bad_value(where, "classes", "an integer in [1, 2^31)", classes);
  }
  switch (labels.dtype()) {
    case DType::int32:
      return narrow_labels<int32_t>(where, name, labels, classes);
    case DType::int64:
      return narrow_labels<int64_t>(where, name, labels, classes);
    case DType::uint8:
      return narrow_labels<uint8_t>(where, name, labels, classes);
    default:
      bad_type(where, name, "integer labels", name_of(labels.dtype()));
  }
}

Targets class_targets(const char* where, const char* name, const Tensor& z, const Tensor& targets) {
  expect_float(where, "z", z);
  expect_rank(where, "z", z.shape(), 2, "(N, K)");
  expect_extents(where, "z", z.shape(), 1);
  if (targets.device() != z.device()) {
    bad_value(where, name, "a tensor on device '" + z.device().str() + "'", targets.device().str());
  }
  Targets out;
  if (targets.rank() == 1) {
    expect_shape(where, name, targets.shape(), Shape{z.shape()[0]});
    out.labels = check_labels(where, name, targets, z.shape()[1]).to(z.device());
  } else {
    if (targets.shape() != z.shape()) {
      bad_value(where, name,
                detail::concatenate("labels (", z.shape()[0], ",) or a distribution ", z.shape()),
                targets.shape());
    }
    expect_like(where, name, targets, z);
    out.one_hot = targets;
  }
  return out;
}

Tensor class_row_weights(const char* where, const Tensor& z, const Targets& targets,
                         const LossOptions& options) {
  const int64_t classes = z.shape()[1];
  if (targets.labels.defined()) {
    const Tensor labels = targets.labels.to(DeviceId{});
    return row_weights(where, z, classes, options, [&](int64_t i) { return labels.data<int32_t>()[i]; });
  }
  const Tensor one_hot = targets.one_hot.to(DeviceId{});
  return dispatch(z.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return row_weights(where, z, classes, options,
                       [&](int64_t i) { return first_maximum(one_hot.data<T>() + i * classes, classes); });
  });
}

Tensor binary_row_weights(const char* where, const Tensor& t, const LossOptions& options) {
  const bool by_class = options.class_weight.complete || !options.class_weight.entries.empty();
  if (by_class && t.rank() > 1 && t.shape().elements(1, t.rank()) != 1) {
    bad_value(where, "class_weight", "targets with one output per sample", t.shape());
  }
  const Tensor host = by_class ? t.to(DeviceId{}) : t;
  return dispatch(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return row_weights(where, t, 2, options, [&](int64_t i) { return host.data<T>()[i] > T{0.5} ? 1 : 0; });
  });
}

}  // namespace nnx::ops
