#include "bindings/program_arguments.h"

#include <functional>

#include "bindings/arrays.h"
#include "bindings/specifications.h"
#include "core/error.h"

namespace nnx::bindings {
namespace {

bool is_several(const py::object& object) {
  return py::isinstance<py::tuple>(object) || py::isinstance<py::list>(object);
}

Tensor read_array(const char* where, const char* name, const ArrayArgument& array) {
  if (py::isinstance<Tensor>(array.object)) return py::cast<Tensor>(array.object);
  return from_numpy(where, name, as_array(where, name, array.object), true);
}

// One array, or a tuple of arrays, None for those that are not there.
using Read = std::function<Tensor(const char*, const char*, const ArrayArgument&)>;
std::vector<Tensor> read_arrays(const char* where, const char* name, const ArraysArgument& arrays,
                                const Read& read) {
  if (!py::isinstance<py::tuple>(arrays.object)) return {read(where, name, {arrays.object})};
  std::vector<Tensor> tensors;
  for (const py::handle item : py::reinterpret_borrow<py::tuple>(arrays.object)) {
    tensors.push_back(item.is_none() ? Tensor()
                                     : read(where, name, {py::reinterpret_borrow<py::object>(item)}));
  }
  return tensors;
}

}  // namespace

std::vector<int> read_nodes(const NodesArgument& nodes) {
  if (is_several(nodes.object)) return py::cast<std::vector<int>>(nodes.object);
  return {py::cast<int>(nodes.object)};
}

std::vector<std::optional<program::LossSpec>> read_losses(const SpecificationsArgument& losses,
                                                          size_t outputs) {
  if (!is_several(losses.object)) return {read_loss({losses.object})};
  std::vector<std::optional<program::LossSpec>> specs;
  for (const py::handle item : py::reinterpret_borrow<py::sequence>(losses.object)) {
    specs.emplace_back();
    if (!item.is_none()) specs.back() = read_loss({py::reinterpret_borrow<py::object>(item)});
  }
  if (specs.size() != outputs) {
    bad_value("program", "loss", detail::concatenate("a loss or None for each of ", outputs, " outputs"),
              specs.size());
  }
  return specs;
}

Tensor read_array(const char* where, const char* name, const std::optional<ArrayArgument>& array) {
  return array ? read_array(where, name, *array) : Tensor();
}

std::vector<Tensor> read_arrays(const char* where, const char* name, const ArraysArgument& arrays) {
  return read_arrays(where, name, arrays,
                     [](const char* in, const char* argument, const ArrayArgument& array) {
                       return read_array(in, argument, array);
                     });
}

std::vector<Tensor> read_weights(const char* where, const program::Program& program,
                                 const std::optional<ArraysArgument>& arrays) {
  if (!arrays) return {};
  return read_arrays(where, "sample_weight", *arrays,
                     [&](const char* in, const char* name, const ArrayArgument& array) {
                       if (py::isinstance<Tensor>(array.object)) return py::cast<Tensor>(array.object);
                       const py::array weights = as_array(in, name, array.object);
                       const auto dtype = numpy_dtype(program.parameters()->dtype());
                       return from_numpy(in, name, py::array(weights.attr("astype")(dtype)), true);
                     });
}

}  // namespace nnx::bindings
