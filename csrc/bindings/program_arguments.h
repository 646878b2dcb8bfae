// What programs of several inputs and outputs take: one of a thing, or several.
#pragma once

#include <optional>
#include <vector>

#include "bindings/arguments.h"
#include "program/program.h"

namespace nnx::bindings {

struct ArraysKind {
  static constexpr auto name = py::detail::const_name(
      "numpy.typing.ArrayLike | nnx._core.Tensor"
      " | tuple[numpy.typing.ArrayLike | nnx._core.Tensor | None, ...]");
};
struct ArraysResultKind {
  static constexpr auto name = py::detail::const_name("typing.Any");
};
struct NodesKind {
  static constexpr auto name = py::detail::const_name("int | collections.abc.Sequence[int]");
};
struct SpecificationsKind {
  static constexpr auto name = py::detail::const_name(
      "dict[str, typing.Any] | collections.abc.Sequence[dict[str, typing.Any] | None]");
};
using ArraysArgument = Object<ArraysKind>;  // one, or a tuple by input or output
using ArraysResult = Object<ArraysResultKind>;
using NodesArgument = Object<NodesKind>;
using SpecificationsArgument = Object<SpecificationsKind>;

std::vector<int> read_nodes(const NodesArgument& nodes);
// A loss, or None, for each output; of one that is given alone no more than that.
std::vector<std::optional<program::LossSpec>> read_losses(const SpecificationsArgument& losses,
                                                          size_t outputs);
// Undefined where there is none.
Tensor read_array(const char* where, const char* name, const std::optional<ArrayArgument>& array);
// One array, or those of a tuple, undefined where it has None.
std::vector<Tensor> read_arrays(const char* where, const char* name, const ArraysArgument& arrays);
// The same, of any dtype, in the parameters' own; empty without.
std::vector<Tensor> read_weights(const char* where, const program::Program& program,
                                 const std::optional<ArraysArgument>& arrays);

}  // namespace nnx::bindings
