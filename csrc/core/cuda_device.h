// CUDA devices, as far as the core knows them: through the plugin, which is opened when one is first asked
// for.
#pragma once

#include <string>

#include "core/device.h"
#include "core/plugin.h"

namespace nnx {

struct CudaStatus {
  bool available = false;
  bool emulated = false;
  int devices = 0;
  int first = 0;                                // the first device that the plugin has code for
  std::string reason;                           // why it is not available; empty where it is
  std::string architectures;                    // the plugin was built for; empty without a plugin
  int driver_version = 0, runtime_version = 0;  // 13000 for 13.0, 0 where unknown
};

// Found out once for the process.
const CudaStatus& cuda_status();

// "13.0" from 13000
std::string version_text(int version);
// ValueError saying which link is missing, or that there is no device of that number.
Device& cuda_device(int index);
// Of any device there is, also one that the plugin has no code for.
PluginDevice describe_cuda_device(int index);
// "NAME (compute capability 8.6, code for 8.0)"
std::string text_of(const PluginDevice& device);
// Why the plugin cannot use it; empty where it can.
std::string missing_code(const PluginDevice& device);
// Whether products there can be rounded for tensor cores.
bool has_tensor_cores(const PluginDevice& device);

DeviceMemory cuda_memory(int index);
void cuda_empty_cache();
// The device's stream, a cudaStream_t; others that wait for it, or it for them.
void* cuda_stream(int index);
void cuda_wait_for(int index, void* stream);
void cuda_let_wait(int index, void* stream);
// Waits for every stream of the device, those of other libraries too; at the end of a process, when the
// driver may be gone, for nothing.
void cuda_settle(int index) noexcept;

}  // namespace nnx
