// A device: memory, a way to run kernels, and the kernel tables.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "core/context.h"
#include "kernels/table.h"

namespace nnx {

enum class DeviceKind : int { cpu, cuda };

struct DeviceId {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool operator==(const DeviceId& other) const { return kind == other.kind && index == other.index; }
  bool operator!=(const DeviceId& other) const { return !(*this == other); }
  std::string str() const;  // "cpu", "cuda:0"
};

// "cpu", "cuda", "cuda:1"; ValueError otherwise.
DeviceId parse_device(const std::string& text);

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceId id() const = 0;

  // 64-byte aligned. Throws OutOfMemory with the bytes asked for.
  virtual void* allocate(size_t bytes) = 0;
  virtual void deallocate(void* data, size_t bytes) noexcept = 0;
  virtual void copy_from_host(void* to, const void* from, size_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, size_t bytes) = 0;
  virtual void copy(void* to, const void* from, size_t bytes) = 0;
  virtual void zero(void* data, size_t bytes) = 0;
  virtual void synchronize() = 0;

  // Runs `body` on every thread of a team (CPU) or once against the device's stream (CUDA). `work` is the
  // estimated number of floating-point operations; little work stays on the calling thread. `workspace` is
  // what Context::workspace must point at.
  virtual void run(double work, void* workspace, const std::function<void(Context&)>& body) = 0;

  virtual const kernels::Table<float>& table_float32() const = 0;
  virtual const kernels::Table<double>& table_float64() const = 0;

  template <class T>
  const kernels::Table<T>& table() const {
    if constexpr (sizeof(T) == 4) {
      return table_float32();
    } else {
      return table_float64();
    }
  }
};

// The device behind an id. Throws ValueError saying why where it cannot be had.
Device& device_of(DeviceId id);

}  // namespace nnx
