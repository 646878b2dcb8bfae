// Parameters: a model's weights, gradients and optimizer state
#include "program/parameters.h"

#include "bindings/arrays.h"
#include "bindings/init.h"
#include "core/error.h"

namespace nnx::bindings {
namespace {

using program::ParameterEntry;
using program::Parameters;
using program::Slot;

Slot read_slot(const std::string& name) {
  for (int slot = 0; slot < program::kSlots; ++slot) {
    if (name == program::name_of(static_cast<Slot>(slot))) return static_cast<Slot>(slot);
  }
  bad_value("parameters", "slot", "'value', 'gradient', 'state0', 'state1', 'state2' or 'average'",
            "'" + name + "'");
}

// Where each parameter's values are already, if anywhere.
using Homes = std::vector<std::optional<std::pair<std::shared_ptr<Parameters>, int>>>;

std::shared_ptr<Parameters> make_parameters(const std::vector<std::string>& names,
                                            const std::vector<ShapeArgument>& shapes,
                                            const std::vector<bool>& trainable, const DTypeArgument& dtype,
                                            const std::string& device, const Homes& homes) {
  if (shapes.size() != names.size() || trainable.size() != names.size()) {
    bad_value("parameters", "shapes", "one shape and one flag for each name",
              detail::concatenate(names.size(), " names, ", shapes.size(), " shapes, ", trainable.size(),
                                  " flags"));
  }
  std::vector<ParameterEntry> entries;
  for (size_t i = 0; i < names.size(); ++i) {
    entries.push_back(
        {names[i], read_shape("parameters", names[i].c_str(), shapes[i].object), trainable[i],
         i < homes.size() && homes[i] ? homes[i]->first->entry(homes[i]->second).value : Tensor()});
  }
  const DType type = read_dtype("parameters", dtype.object);
  if (type != DType::float32 && type != DType::float64) {
    bad_type("parameters", "dtype", "float32 or float64", name_of(type));
  }
  return std::make_shared<Parameters>(std::move(entries), type, parse_device(device));
}

NumpyResult get_parameter(Parameters& parameters, int index, const std::string& slot) {
  return {to_numpy(parameters.view(index, read_slot(slot)).clone())};
}

void set_parameter(Parameters& parameters, int index, const NumpyArgument& array, const std::string& slot) {
  Tensor to = parameters.view(index, read_slot(slot));
  const char* const name = parameters.entry(index).name.c_str();
  const py::array cast = py::array::ensure(
      as_array("parameters", name, array.object).attr("astype")(numpy_dtype(to.dtype())), py::array::c_style);
  const Tensor from = from_numpy("parameters", name, cast, false);
  if (from.shape() != to.shape()) bad_value("parameters", name, to.shape(), from.shape());
  device_of(to.device()).copy_from_host(to.raw(), from.raw(), to.bytes());
}

}  // namespace

void init_parameters(py::module_& m) {
  py::class_<Parameters, std::shared_ptr<Parameters>>(
      m, "Parameters", "A model's weights, gradients and optimizer state, one flat array a slot.")
      .def(py::init(&make_parameters), py::arg("names"), py::arg("shapes"), py::arg("trainable"),
           py::arg("dtype") = "float32", py::arg("device") = "cpu", py::arg("homes") = Homes{},
           "homes: parameters whose values are used, not copied, where dtype and device are the same.")
      .def(
          "same",
          [](const Parameters& self, int index, const Parameters& other, int other_index) {
            return self.entry(index).value.raw() == other.entry(other_index).value.raw();
          },
          py::arg("index"), py::arg("other"), py::arg("other_index"),
          "Whether a parameter's values lie where those of another are.")
      .def("get", &get_parameter, py::arg("index"), py::arg("slot") = "value",
           "A copy. Slots: value, gradient, state0, state1, state2, average.")
      .def("set", &set_parameter, py::arg("index"), py::arg("array"), py::arg("slot") = "value",
           "Copies an array of the parameter's shape in.")
      .def("begin_as", &Parameters::begin_as, py::arg("other"),
           "Slots that are made from now on begin with what those of `other` began with.")
      .def_property_readonly("names",
                             [](const Parameters& parameters) {
                               std::vector<std::string> names;
                               for (const ParameterEntry& entry : parameters.entries())
                                 names.push_back(entry.name);
                               return names;
                             })
      .def_property_readonly(
          "trainable",
          [](const Parameters& parameters) {
            std::vector<bool> flags;
            for (const ParameterEntry& entry : parameters.entries()) flags.push_back(entry.trainable);
            return flags;
          },
          "Whether training changes each.")
      .def_property_readonly(
          "states",
          [](const Parameters& parameters) {
            std::vector<std::string> names;
            for (const Slot slot : {Slot::state0, Slot::state1, Slot::state2, Slot::average}) {
              if (parameters.has(slot)) names.emplace_back(program::name_of(slot));
            }
            return names;
          },
          "The slots of the optimizer that are in use.")
      .def_property_readonly("dtype", [](const Parameters& p) { return numpy_dtype(p.dtype()); })
      .def_property_readonly("device", [](const Parameters& p) { return p.device().str(); })
      .def("__len__", [](const Parameters& p) { return p.entries().size(); });
  refuse_unmade<Parameters>();
}

}  // namespace nnx::bindings
