// Threads, and what this build and this machine have
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "core/cuda_device.h"
#include "cpu/runtime/instruction_set.h"
#include "cpu/runtime/threads.h"
#include "ops/checks.h"

namespace nnx::bindings {
namespace {

int vector_bytes(const std::string& isa) { return isa == "avx512" ? 64 : isa == "avx2" ? 32 : 16; }

void set_num_threads(const IntegerArgument& count) {
  constexpr int64_t kMost = 1024;
  const int64_t threads = read_integer("set_num_threads", "count", count.object);
  if (threads < 1 || threads > kMost) {
    bad_value("set_num_threads", "count", "an integer in [1, 1024]", threads);
  }
  cpu::set_num_threads(static_cast<int>(threads));
}

py::object version(int number) {
  if (number == 0) return py::none();
  return py::str(version_text(number));
}

py::typing::Dict<py::str, py::object> cuda_device_info(int64_t index) {
  const PluginDevice device = describe_cuda_device(static_cast<int>(index));
  py::list precisions;
  for (const char* name : {"float32", "float64"}) precisions.append(name);
  if (has_tensor_cores(device))
    for (const char* name : {"tf32", "bfloat16"}) precisions.append(name);
  const std::string missing = missing_code(device);
  py::dict entry;
  entry["name"] = device.name;
  entry["compute_capability"] = std::to_string(device.major) + "." + std::to_string(device.minor);
  entry["multiprocessors"] = device.multiprocessors;
  entry["text"] = text_of(device);
  entry["precisions"] = precisions;
  entry["reason"] = missing.empty() ? py::object(py::none()) : py::str(missing);
  return entry;
}

py::dict cuda_info() {
  const CudaStatus& status = cuda_status();
  py::dict cuda;
  cuda["available"] = status.available;
  cuda["reason"] = status.available ? py::object(py::none()) : py::str(status.reason);
  cuda["emulated"] = status.emulated;
  cuda["architectures"] = status.architectures;
  cuda["runtime"] = version(status.runtime_version);
  cuda["driver"] = version(status.driver_version);
  py::list devices;
  for (int index = 0; index < status.devices; ++index) devices.append(cuda_device_info(index));
  cuda["devices"] = devices;
  return cuda;
}

py::typing::Dict<py::str, py::object> info() {
  const std::string isa = cpu::instruction_set().name;
  py::dict cpu;
  cpu["isas_built"] = cpu::built_instruction_sets();
  cpu["isa"] = isa;
  cpu["vector_bytes"] = vector_bytes(isa);
  py::dict all;
  all["version"] = NNX_VERSION;
  all["cpu"] = cpu;
  all["threads"] = cpu::num_threads();
  all["cuda"] = cuda_info();
  return all;
}

py::typing::Dict<py::str, int64_t> memory_stats(int64_t index) {
  const DeviceMemory memory = without_gil([&] { return cuda_memory(static_cast<int>(index)); });
  py::dict stats;
  stats["in_use"] = memory.in_use;
  stats["peak"] = memory.peak;
  stats["cached"] = memory.cached;
  stats["free"] = memory.free;
  stats["total"] = memory.total;
  return stats;
}

}  // namespace

void init_info(py::module_& m) {
  m.def("set_num_threads", &set_num_threads, py::arg("count"),
        "The number of threads that computations may use");
  m.def("get_num_threads", &cpu::num_threads, "The number of threads that computations may use");
  m.def("info", &info, "version, cpu, threads and cuda: what was built, what was chosen, and why");
  m.def("cuda_is_available", [] { return cuda_status().available; }, "Whether a CUDA device can be used");
  m.def("cuda_device_count", [] { return cuda_status().devices; }, "The number of CUDA devices");
  m.def(
      "cuda_first_device", [] { return cuda_status().first; },
      "The number of the first CUDA device that the plugin has code for");
  m.def("cuda_device_info", &cuda_device_info, py::arg("index"),
        "name, compute_capability, multiprocessors, text for people, precisions, and why it cannot be used: "
        "reason, "
        "or None");
  m.def(
      "cuda_is_emulated", [] { return cuda_status().available && cuda_status().emulated; },
      "Whether the CUDA device is the emulator of test builds");
  m.def("cuda_memory_stats", &memory_stats, py::arg("index") = 0,
        "Bytes of a CUDA device's memory: in use, peak, cached, free, total");
  m.def(
      "cuda_empty_cache", [] { without_gil(cuda_empty_cache); },
      "Gives cached blocks of CUDA memory back to the driver");
}

}  // namespace nnx::bindings
