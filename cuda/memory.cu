// Device memory: a cache of freed blocks over plain cudaMalloc.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "device.h"

namespace nnx::cuda {
namespace {

// Without a cache every request goes to the driver as it is, and what is freed goes back at once: what looks
// for accesses past an array's end, or of memory never written, then sees them. So it is on the emulator.
// NNX_CUDA_CACHE=0 or =1.
bool caches() {
#if defined(NNX_CUDA_EMULATOR)
  constexpr bool usual = false;
#else
  constexpr bool usual = true;
#endif
  static const char* const asked = std::getenv("NNX_CUDA_CACHE");
  return asked == nullptr || *asked == 0 ? usual : std::strcmp(asked, "0") != 0;
}

// Small blocks come in multiples of 512 bytes, large ones of 2 MiB: fewer sizes, more that fit again.
constexpr size_t kSmall = 512, kLarge = size_t{2} << 20;

size_t rounded(size_t bytes) {
  if (!caches()) return std::max<size_t>(bytes, 1);
  const size_t unit = bytes < kLarge ? kSmall : kLarge;
  return std::max<size_t>((bytes + unit - 1) / unit * unit, unit);
}

}  // namespace

PluginStatus Pool::allocate(size_t bytes, void** data) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const size_t size = bytes > SIZE_MAX - kLarge ? bytes : rounded(bytes);
  const auto found = cached_.lower_bound(size);
  if (found != cached_.end() && found->first <= size + size / 4) {
    *data = found->second;
    cached_bytes_ -= static_cast<int64_t>(found->first);
    in_use_ += static_cast<int64_t>(found->first);
    cached_.erase(found);
  } else {
    cudaError_t error = cudaMalloc(data, size);
    if (error == cudaErrorMemoryAllocation) {
      release_locked();
      error = cudaMalloc(data, size);
    }
    if (error != cudaSuccess) {
      if (error != cudaErrorMemoryAllocation) return fail(error, "cudaMalloc");
      size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      char text[200];
      std::snprintf(text, sizeof(text),
                    "out of memory, asked for %zu bytes: %zu of %zu are free, %lld are in use by nnx", bytes,
                    free, total, static_cast<long long>(in_use_));
      fail(error, text);
      return PluginStatus::out_of_memory;
    }
    sizes_[*data] = size;
    in_use_ += static_cast<int64_t>(size);
  }
  peak_ = std::max(peak_, in_use_);
  return PluginStatus::ok;
}

void Pool::deallocate(void* data) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sizes_.find(data);
  if (found == sizes_.end()) return;
  in_use_ -= static_cast<int64_t>(found->second);
  cached_bytes_ += static_cast<int64_t>(found->second);
  cached_.emplace(found->second, data);
  if (!caches()) release_locked();
}

void Pool::release_locked() {
  for (const auto& [size, data] : cached_) {
    cudaFree(data);  // waits for the kernels that read it
    sizes_.erase(data);
  }
  cached_.clear();
  cached_bytes_ = 0;
}

PluginStatus Pool::empty() {
  const std::lock_guard<std::mutex> lock(mutex_);
  release_locked();
  return PluginStatus::ok;
}

PluginStatus Pool::memory(DeviceMemory* out) {
  const std::lock_guard<std::mutex> lock(mutex_);
  size_t free = 0, total = 0;
  const PluginStatus status = checked(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  *out = {in_use_, peak_, cached_bytes_, static_cast<int64_t>(free), static_cast<int64_t>(total)};
  return status;
}

}  // namespace nnx::cuda
