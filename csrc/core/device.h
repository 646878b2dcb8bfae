// A device: memory, a way to run kernels, and the kernel tables.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "core/context.h"
#include "core/precision.h"
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

  // Whether run returns before its kernels have; the functions from here to replay are for such devices only.
  virtual bool asynchronous() const { return false; }
  // Page-locked host memory; a copy from it beside the kernels, after those enqueued so far; the kernels
  // enqueued from now on wait for all such copies.
  virtual void* allocate_host(size_t bytes);
  virtual void deallocate_host(void* data) noexcept;
  virtual void stage(void* to, const void* from, size_t bytes);
  virtual void await_staged();
  // The kernels that body launches, as a graph that replay runs.
  virtual std::shared_ptr<void> capture(void* workspace, const std::function<void(Context&)>& body);
  virtual void replay(const std::shared_ptr<void>& graph);

  virtual const kernels::Table<float>& table_float32(Precision precision) const = 0;
  virtual const kernels::Table<double>& table_float64() const = 0;

  template <class T>
  const kernels::Table<T>& table(Precision precision = Precision::strict) const {
    if constexpr (sizeof(T) == 4) {
      return table_float32(precision);
    } else {
      static_cast<void>(precision);
      return table_float64();
    }
  }
};

// The device behind an id. Throws ValueError saying why where it cannot be had.
Device& device_of(DeviceId id);

}  // namespace nnx
