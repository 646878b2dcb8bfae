// A CUDA device as the plugin keeps it.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/plugin.h"

namespace nnx::cuda {

// Remembers what failed for the calling thread.
PluginStatus fail(cudaError_t error, const char* what);
inline PluginStatus checked(cudaError_t error, const char* what) {
  return error == cudaSuccess ? PluginStatus::ok : fail(error, what);
}

// Makes a device the calling thread's; gives back which one was.
inline int exchange_device(int index) {
  int before = 0;
  cudaGetDevice(&before);
  if (before != index) cudaSetDevice(index);
  return before;
}

inline void restore_device(int index, int before) {
  if (before != index) cudaSetDevice(before);
}

// The same for the length of a scope.
class Current {
 public:
  explicit Current(int index) : before_(exchange_device(index)), index_(index) {}
  ~Current() { restore_device(index_, before_); }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  int before_, index_;
};

// Whether the code that the current device runs has products of warpgroups. NNX_CUDA_WARPGROUPS=never, for
// tests and to measure them, says no.
bool has_warpgroups();

// Blocks of device memory; freed ones are kept for the next request of about their size. All work of a device
// runs on one stream, so that a block may be handed on while kernels still read it.
class Pool {
 public:
  PluginStatus allocate(size_t bytes, void** data);
  void deallocate(void* data);
  PluginStatus empty();
  PluginStatus memory(DeviceMemory* out);

 private:
  void release_locked();

  std::mutex mutex_;
  std::multimap<size_t, void*> cached_;
  std::unordered_map<void*, size_t> sizes_;  // of every block there is
  int64_t in_use_ = 0, cached_bytes_ = 0, peak_ = 0;
};

struct DeviceState;

// Large copies from the host, see upload.cu.
class Uploads {
 public:
  // Two pieces of page-locked memory that one thread copies through, and when each was copied last.
  struct Buffers {
    char* data;
    cudaEvent_t copied[2];
  };
  // Copies and waits; false where the copy is too small for this, or there is no memory for buffers.
  bool take(const DeviceState& device, void* to, const void* from, size_t bytes, cudaError_t* error);

 private:
  bool prepare();

  std::mutex mutex_;
  std::vector<Buffers> buffers_;
};

struct DeviceState {
  int index = 0;
  cudaStream_t stream = nullptr, copies = nullptr, captures = nullptr;
  cudaEvent_t enqueued = nullptr, staged = nullptr, other = nullptr;
  void* scratch = nullptr;
  Pool pool;
  Uploads uploads;
};

}  // namespace nnx::cuda
