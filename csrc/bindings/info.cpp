// Threads, and what this build and this machine have
#include "bindings/arguments.h"
#include "bindings/init.h"
#include "cpu/runtime/instruction_set.h"
#include "cpu/runtime/threads.h"
#include "ops/checks.h"

namespace nnx::bindings {
namespace {

constexpr const char* kNoCuda = "nnx was built without its CUDA plugin (NNX_CUDA=OFF)";

int vector_bytes(const std::string& isa) { return isa == "avx512" ? 64 : isa == "avx2" ? 32 : 16; }

void set_num_threads(const IntegerArgument& count) {
  constexpr int64_t kMost = 1024;
  const int64_t threads = read_integer("set_num_threads", "count", count.object);
  if (threads < 1 || threads > kMost) {
    bad_value("set_num_threads", "count", "an integer in [1, 1024]", threads);
  }
  cpu::set_num_threads(static_cast<int>(threads));
}

py::typing::Dict<py::str, py::object> info() {
  const std::string isa = cpu::instruction_set().name;
  py::dict cpu;
  cpu["isas_built"] = cpu::built_instruction_sets();
  cpu["isa"] = isa;
  cpu["vector_bytes"] = vector_bytes(isa);
  py::dict cuda;
  cuda["available"] = false;
  cuda["reason"] = kNoCuda;
  py::dict all;
  all["version"] = NNX_VERSION;
  all["cpu"] = cpu;
  all["threads"] = cpu::num_threads();
  all["cuda"] = cuda;
  return all;
}

[[noreturn]] void no_cuda() { throw ValueError(std::string("device 'cuda': ") + kNoCuda); }

}  // namespace

void init_info(py::module_& m) {
  m.def("set_num_threads", &set_num_threads, py::arg("count"),
        "The number of threads that computations may use");
  m.def("get_num_threads", &cpu::num_threads, "The number of threads that computations may use");
  m.def("info", &info, "version, cpu, threads and cuda: what was built, what was chosen, and why");
  m.def("cuda_is_available", [] { return false; }, "Whether a CUDA device can be used");
  m.def("cuda_device_count", [] { return 0; }, "The number of CUDA devices");
  m.def("cuda_is_emulated", [] { return false; }, "Whether the CUDA device is the emulator of test builds");
  m.def(
      "cuda_memory_stats", [](int64_t) -> py::typing::Dict<py::str, int64_t> { no_cuda(); },
      py::arg("index") = 0, "Bytes of a CUDA device's memory: in use, cached, free, total");
  m.def("cuda_empty_cache", [] {}, "Gives cached blocks of CUDA memory back to the driver");
}

}  // namespace nnx::bindings
