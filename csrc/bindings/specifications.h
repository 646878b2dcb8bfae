// What Python says of a program, in dicts: losses, optimizers, metrics, weights.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "bindings/arrays.h"
#include "program/program.h"

namespace nnx::bindings {

// An entry of a specification; `fallback` where it is absent or None.
template <class Value>
Value entry(const Specification& specification, const char* key, Value fallback) {
  const auto entries = specification.object.cast<py::dict>();
  if (!entries.contains(key) || entries[key].is_none()) return fallback;
  return entries[key].cast<Value>();
}

program::LossSpec read_loss(const Specification& specification);
program::OptimizerSpec read_optimizer(const Specification& specification);
program::MetricSpec read_metric(const Specification& specification);
// (l1, l2, factor on the learning rate) for each parameter, or for none
std::vector<program::ParameterSpec> read_parameters(
    const std::vector<std::tuple<double, double, double>>& given, const program::Parameters& parameters);

}  // namespace nnx::bindings
