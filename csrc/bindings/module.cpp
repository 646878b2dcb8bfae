#include "bindings/init.h"
#include "core/error.h"

namespace py = pybind11;

namespace {

void translate(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const nnx::ValueError& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const nnx::TypeError& e) {
    PyErr_SetString(PyExc_TypeError, e.what());
  } catch (const nnx::OutOfMemory& e) {
    PyErr_SetString(PyExc_MemoryError, e.what());
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of nnx. Private: use nnx and nnx.ops.";
  py::register_local_exception_translator(translate);
  py::module_::import("numpy");

  using namespace nnx::bindings;
  init_tensor(m);
  init_layers(m);
  init_pool2d(m);
  init_activation(m);
  init_norm(m);
  init_random(m);
  init_augment(m);
  init_loss(m);
  init_metrics(m);
  init_optimizer(m);
  init_elementwise(m);
  init_info(m);
  init_graph(m);
  init_parameters(m);
  init_arithmetic(m);
  init_program(m);
}
