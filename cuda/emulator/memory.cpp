// Devices and their memory: the host's, with a limit, and known by its addresses.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "emulator/machine.h"
#include "emulator/state.h"
#include "emulator/streams.h"

namespace nnx::emulator {
namespace {

struct Block {
  size_t bytes;
  bool device;
  void* pages;  // that it lies in and that are its own, null where it is the heap's
  size_t page_bytes;
};
std::mutex& mutex = *new std::mutex;
auto& blocks = *new std::map<uintptr_t, Block>;
thread_local int current_device = 0;

constexpr size_t kAlign = 256;

int accesses = 0;  // that run now
size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

void protect(const Block& block, bool closed) {
  if (block.pages != nullptr)
    mprotect(block.pages, block.page_bytes, closed ? PROT_NONE : PROT_READ | PROT_WRITE);
}

// Pages that end where the block ends, but for its alignment, and one more that is always closed.
void* allocate_pages(size_t bytes, Block& block) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  block.page_bytes = round_up(bytes, page);
  void* const pages =
      mmap(nullptr, block.page_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  block.pages = pages;
  mprotect(static_cast<char*>(pages) + block.page_bytes, page, PROT_NONE);
  return static_cast<char*>(pages) + block.page_bytes - round_up(bytes, kAlign);
}

void* allocate(size_t bytes, bool device) {
  void* memory = nullptr;
  Block block{bytes, device, nullptr, 0};
  if (device && current_settings().protect) {
    memory = allocate_pages(bytes, block);
  } else if (posix_memalign(&memory, kAlign, bytes) != 0) {
    memory = nullptr;
  }
  if (memory == nullptr) return nullptr;
  std::memset(memory, 0xff, bytes);
  if (accesses == 0) protect(block, true);
  blocks[reinterpret_cast<uintptr_t>(memory)] = block;
  return memory;
}

bool release(void* memory, bool device) {
  const auto block = blocks.find(reinterpret_cast<uintptr_t>(memory));
  if (block == blocks.end() || block->second.device != device) return false;
  if (device) {
    --totals.live;
    ++totals.frees;
    totals.live_bytes -= static_cast<int64_t>(block->second.bytes);
  }
  if (block->second.pages != nullptr) {
    munmap(block->second.pages, block->second.page_bytes + static_cast<size_t>(sysconf(_SC_PAGESIZE)));
  } else {
    std::free(memory);
  }
  blocks.erase(block);
  return true;
}

// The block that `at` points into.
auto find(const void* at) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  auto block = blocks.upper_bound(address);
  if (block == blocks.begin()) return blocks.end();
  --block;
  return address - block->first < block->second.bytes ? block : blocks.end();
}

// Empty where [at, at + bytes) may be `device` memory (or must not be).
std::string check_side(const void* at, size_t bytes, bool device, const char* name) {
  const auto block = find(at);
  const bool is_device = block != blocks.end() && block->second.device;
  if (is_device != device) return std::string(name) + (device ? " is not" : " is") + " device memory";
  if (block == blocks.end()) return {};
  const size_t offset = reinterpret_cast<uintptr_t>(at) - block->first;
  if (bytes <= block->second.bytes - offset) return {};
  return std::string(name) + " ends " + std::to_string(offset + bytes - block->second.bytes) +
         " bytes past its allocation";
}

std::string check_copy(const void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0 || kind == cudaMemcpyDefault) return {};
  const std::lock_guard<std::mutex> lock(mutex);
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  std::string error = check_side(to, bytes, to_device, "the destination");
  if (error.empty()) error = check_side(from, bytes, from_device, "the source");
  return error.empty() ? error : "cudaMemcpy: " + error;
}

bool is_pageable(const void* at) {
  const std::lock_guard<std::mutex> lock(mutex);
  return find(at) == blocks.end();
}

bool is_device(int device) { return device >= 0 && device < current_settings().devices; }

}  // namespace

DeviceAccess::DeviceAccess() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (accesses++ != 0) return;
  for (const auto& block : blocks) protect(block.second, false);
}
DeviceAccess::~DeviceAccess() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (--accesses != 0) return;
  for (const auto& block : blocks) protect(block.second, true);
}

}  // namespace nnx::emulator

using namespace nnx::emulator;

cudaError_t cudaGetDeviceCount(int* count) {
  const Settings settings = current_settings();
  *count = 0;
  if (settings.start_error != cudaSuccess) return set_error(settings.start_error);
  // A driver of the runtime's major version will do.
  if (settings.driver / 1000 < CUDART_VERSION / 1000) return set_error(cudaErrorInsufficientDriver);
  *count = settings.devices;
  return *count > 0 ? cudaSuccess : set_error(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
  if (!is_device(device)) return set_error(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = current_settings().driver;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (!is_device(device)) return set_error(cudaErrorInvalidDevice);
  cudaDeviceProp p{};
  std::strcpy(p.name, "emulator");
  p.totalGlobalMem = static_cast<size_t>(current_settings().memory);
  p.sharedMemPerBlock = size_t{48} << 10;
  p.regsPerBlock = 65536;
  p.warpSize = 32;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024, p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 0x7fffffff, p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.totalConstMem = 65536;
  const int capability = current_settings().capability[device == 0 ? 0 : 1];
  p.major = capability / 10, p.minor = capability % 10;
  p.multiProcessorCount = 132;
  p.concurrentKernels = p.unifiedAddressing = 1;
  p.asyncEngineCount = 3;
  p.memoryBusWidth = 5120;
  p.l2CacheSize = 50 << 20;
  p.maxThreadsPerMultiProcessor = 2048;
  p.sharedMemPerMultiprocessor = size_t{228} << 10;
  p.sharedMemPerBlockOptin = kMaxSharedBytes;
  *properties = p;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  const cudaError_t error = cudaGetDeviceProperties(&p, device);
  if (error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return *value = p.maxThreadsPerBlock, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return *value = static_cast<int>(p.sharedMemPerBlock), cudaSuccess;
    case cudaDevAttrWarpSize:
      return *value = p.warpSize, cudaSuccess;
    case cudaDevAttrClockRate:
      return *value = 1980000, cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      return *value = p.multiProcessorCount, cudaSuccess;
    case cudaDevAttrMemoryClockRate:
      return *value = 2619000, cudaSuccess;
    case cudaDevAttrGlobalMemoryBusWidth:
      return *value = p.memoryBusWidth, cudaSuccess;
    case cudaDevAttrL2CacheSize:
      return *value = p.l2CacheSize, cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return *value = p.maxThreadsPerMultiProcessor, cudaSuccess;
    case cudaDevAttrUnifiedAddressing:
      return *value = 1, cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      return *value = p.major, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      return *value = p.minor, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return *value = static_cast<int>(p.sharedMemPerMultiprocessor), cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return *value = static_cast<int>(p.sharedMemPerBlockOptin), cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      return *value = 0, cudaSuccess;
  }
  return set_error(cudaErrorInvalidValue, "cudaDeviceGetAttribute: an attribute the emulator has not");
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  *memory = nullptr;
  if (capture_forbids()) return set_error(cudaErrorStreamCaptureUnsupported, "cudaMalloc in a capture");
  if (bytes == 0) return cudaSuccess;
  const std::lock_guard<std::mutex> lock(mutex);
  ++totals.allocations;
  const int64_t limit = current_settings().memory;
  const bool fits =
      bytes <= static_cast<uint64_t>(limit) && totals.live_bytes <= limit - static_cast<int64_t>(bytes);
  if (allocation_fails() || !fits || (*memory = allocate(bytes, true)) == nullptr)
    return set_error(cudaErrorMemoryAllocation);
  ++totals.live;
  totals.live_bytes += static_cast<int64_t>(bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  if (capture_forbids()) return set_error(cudaErrorStreamCaptureUnsupported, "cudaFree in a capture");
  if (memory == nullptr) return cudaSuccess;
  run_streams();  // as on a GPU
  const std::lock_guard<std::mutex> lock(mutex);
  return release(memory, true) ? cudaSuccess
                               : set_error(cudaErrorInvalidValue, "cudaFree of what is not allocated");
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  *memory = nullptr;
  if (capture_forbids()) return set_error(cudaErrorStreamCaptureUnsupported, "cudaHostAlloc in a capture");
  if (bytes == 0) return cudaSuccess;
  const std::lock_guard<std::mutex> lock(mutex);
  *memory = allocation_fails() ? nullptr : allocate(bytes, false);
  return *memory != nullptr ? cudaSuccess : set_error(cudaErrorMemoryAllocation);
}
cudaError_t cudaMallocHost(void** memory, size_t bytes, unsigned flags) {
  return cudaHostAlloc(memory, bytes, flags);
}

cudaError_t cudaFreeHost(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  run_streams();  // as on a GPU
  const std::lock_guard<std::mutex> lock(mutex);
  return release(memory, false) ? cudaSuccess
                                : set_error(cudaErrorInvalidValue, "cudaFreeHost of what is not allocated");
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard<std::mutex> lock(mutex);
  const int64_t limit = current_settings().memory;
  *total = static_cast<size_t>(limit);
  *free = totals.live_bytes < limit ? static_cast<size_t>(limit - totals.live_bytes) : 0;
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto block = find(memory);
  void* at = const_cast<void*>(memory);
  if (block == blocks.end()) {
    *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, at};
  } else if (block->second.device) {
    *attributes = {cudaMemoryTypeDevice, 0, at, nullptr};
  } else {
    *attributes = {cudaMemoryTypeHost, 0, at, at};
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  std::string error = check_copy(to, from, bytes, kind);
  if (!error.empty()) return set_error(cudaErrorInvalidValue, std::move(error));
  // A copy from or to memory that is not page-locked is done with that memory when the call returns.
  const bool waits = defers(stream) && is_pageable(to);
  std::vector<char> staged;
  if (defers(stream) && is_pageable(from))
    staged.assign(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
  const cudaError_t enqueued = enqueue(stream, [=, staged = std::move(staged)] {
    const DeviceAccess access;
    if (bytes != 0) std::memmove(to, staged.empty() ? from : staged.data(), bytes);
    return cudaSuccess;
  });
  return waits && enqueued == cudaSuccess ? run_stream(stream) : enqueued;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (capture_forbids()) return set_error(cudaErrorStreamCaptureUnsupported, "cudaMemcpy in a capture");
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  std::string error;
  if (bytes != 0) {
    const std::lock_guard<std::mutex> lock(mutex);
    error = check_side(to, bytes, true, "the destination");
  }
  if (!error.empty()) return set_error(cudaErrorInvalidValue, "cudaMemset: " + error);
  return enqueue(stream, [=] {
    const DeviceAccess access;
    if (bytes != 0) std::memset(to, value, bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  if (capture_forbids()) return set_error(cudaErrorStreamCaptureUnsupported, "cudaMemset in a capture");
  return cudaMemsetAsync(to, value, bytes, nullptr);
}
