// What the core and the CUDA plugin (libnnx_cuda.so) know of each other: one struct of functions. The plugin
// throws nothing across; it holds no Python symbols and is opened when a CUDA device is first asked for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/precision.h"
#include "kernels/table.h"

namespace nnx {

inline constexpr int kPluginAbi = 3;

enum class PluginStatus : int32_t { ok, out_of_memory, failed };

// Which link of the chain from the plugin to a device is missing.
enum class PluginState : int32_t { ready, no_driver, old_driver, no_device, failed };

struct PluginProbe {
  PluginState state = PluginState::failed;
  int32_t devices = 0;
  int32_t driver_version = 0, runtime_version = 0;  // 13000 for 13.0
};

struct PluginDevice {
  char name[256];
  int32_t major, minor;  // compute capability
  int32_t multiprocessors;
  int32_t code;  // what the code that it runs was compiled for, 80 for 8.0; 0: the plugin has none for it
};

// Bytes of a device's memory.
struct DeviceMemory {
  int64_t in_use;       // by arrays
  int64_t peak;         // the most that was ever in use
  int64_t cached;       // kept for the next arrays
  int64_t free, total;  // as the driver sees them
};

// `device` is what open gave. Functions that return a status leave its text in message().
struct Plugin {
  int32_t abi;
  int32_t emulated;
  const char* architectures;  // "75 80 90 120+PTX"

  const char* (*message)();  // of the calling thread's last failure
  PluginProbe (*probe)();
  PluginStatus (*describe)(int32_t index, PluginDevice*);
  PluginStatus (*open)(int32_t index, void** device);
  // Makes the device the calling thread's, as launches on its stream need it, and gives back which one was;
  // leave, that one again. The other functions do it for themselves.
  int32_t (*enter)(void* device);
  void (*leave)(void* device, int32_t before);

  PluginStatus (*allocate)(void* device, size_t bytes, void** data);
  void (*deallocate)(void* device, void* data, size_t bytes);
  PluginStatus (*memory)(void* device, DeviceMemory*);
  PluginStatus (*empty_cache)(void* device);
  // On the device's stream; host memory is free for other uses when they return.
  PluginStatus (*copy_from_host)(void* device, void* to, const void* from, size_t bytes);
  PluginStatus (*copy_to_host)(void* device, void* to, const void* from, size_t bytes);
  PluginStatus (*copy)(void* device, void* to, const void* from, size_t bytes);
  PluginStatus (*zero)(void* device, void* data, size_t bytes);
  PluginStatus (*synchronize)(void* device);
  PluginStatus (*synchronize_all)(void* device);  // other libraries' streams too

  // Page-locked memory, and copies from it that run beside the kernels: stage copies on a stream of its own,
  // after everything enqueued so far has read `to`; await_staged makes the kernels enqueued from now on wait
  // for it.
  PluginStatus (*allocate_host)(void* device, size_t bytes, void** data);
  void (*deallocate_host)(void* device, void* data);
  PluginStatus (*stage)(void* device, void* to, const void* from, size_t bytes);
  PluginStatus (*await_staged)(void* device);

  // Kernels that the calling thread gives to `stream` between begin and end become a graph instead of
  // running. It is a stream of its own: other threads go on using the device's. One capture of a device at a
  // time.
  PluginStatus (*begin_capture)(void* device, void** stream);
  PluginStatus (*end_capture)(void* device, void** graph);
  PluginStatus (*replay)(void* device, void* graph);
  void (*destroy_graph)(void* device, void* graph);

  // Fills stream and scratch of a context. check: the first error of kernels launched since the last call.
  void (*context)(void* device, Context*);
  PluginStatus (*check)(void* device);
  // The device's stream waits for another (a cudaStream_t), or the other for it.
  PluginStatus (*wait_for)(void* device, void* stream);
  PluginStatus (*let_wait)(void* device, void* stream);

  const kernels::Table<float>* (*float32)(Precision);
  const kernels::Table<double>* (*float64)();
};

}  // namespace nnx

// The plugin's one symbol.
extern "C" const nnx::Plugin* nnx_cuda_plugin();
