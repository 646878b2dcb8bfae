// libnnx_cuda.so: what the core gets when it opens the plugin.
#include <cstdio>
#include <cstring>

#include "api.h"
#include "device.h"
#include "table.h"

namespace nnx::cuda {
namespace {

#if defined(NNX_CUDA_EMULATOR)
constexpr bool kEmulated = true;
#else
constexpr bool kEmulated = false;
#endif

__global__ void nothing() {}

PluginProbe probe() {
  PluginProbe probe;
  cudaDriverGetVersion(&probe.driver_version);
  cudaRuntimeGetVersion(&probe.runtime_version);
  const cudaError_t error = cudaGetDeviceCount(&probe.devices);
  if (error == cudaSuccess && probe.devices > 0) {
    probe.state = PluginState::ready;
  } else if (error == cudaErrorInsufficientDriver) {
    // Also said where there is no driver at all; its version is 0 then.
    probe.state = probe.driver_version == 0 ? PluginState::no_driver : PluginState::old_driver;
  } else if (error == cudaSuccess || error == cudaErrorNoDevice) {
    probe.state = PluginState::no_device;
  } else {
    fail(error, "looking for devices");
  }
  return probe;
}

PluginStatus describe(int32_t index, PluginDevice* out) {
  cudaDeviceProp properties;
  const PluginStatus status =
      checked(cudaGetDeviceProperties(&properties, index), "reading the device's properties");
  if (status != PluginStatus::ok) return status;
  std::snprintf(out->name, sizeof(out->name), "%s", properties.name);
  out->major = properties.major;
  out->minor = properties.minor;
  out->multiprocessors = properties.multiProcessorCount;
  const Current current(index);
  cudaFuncAttributes attributes;
  const cudaError_t error = cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(nothing));
  const bool none = error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction;
  // Not the device's own: PTX for 7.5 runs on a GPU of 8.6 and is still code without tensor cores.
  out->code = none ? 0 : attributes.ptxVersion;
  return none ? PluginStatus::ok : checked(error, "looking for the device's code");
}

const kernels::Table<float>* float32(Precision precision) {
  static const kernels::Table<float> tables[] = {make_table<float>(Precision::strict),
                                                 make_table<float>(Precision::tf32),
                                                 make_table<float>(Precision::bfloat16)};
  return &tables[static_cast<int>(precision)];
}

const kernels::Table<double>* float64() {
  static const kernels::Table<double> table = make_table<double>(Precision::strict);
  return &table;
}

}  // namespace
}  // namespace nnx::cuda

extern "C" __attribute__((visibility("default"))) const nnx::Plugin* nnx_cuda_plugin() {
  using namespace nnx::cuda;
  static const nnx::Plugin plugin = {nnx::kPluginAbi,
                                     kEmulated,
                                     NNX_CUDA_BUILT_FOR,
                                     api::message,
                                     probe,
                                     describe,
                                     api::open,
                                     api::enter,
                                     api::leave,
                                     api::allocate,
                                     api::deallocate,
                                     api::memory,
                                     api::empty_cache,
                                     api::copy_from_host,
                                     api::copy_to_host,
                                     api::copy,
                                     api::zero,
                                     api::synchronize,
                                     api::synchronize_all,
                                     api::allocate_host,
                                     api::deallocate_host,
                                     api::stage,
                                     api::await_staged,
                                     api::begin_capture,
                                     api::end_capture,
                                     api::replay,
                                     api::destroy_graph,
                                     api::context,
                                     api::check,
                                     api::wait_for,
                                     api::let_wait,
                                     float32,
                                     float64};
  return &plugin;
}
