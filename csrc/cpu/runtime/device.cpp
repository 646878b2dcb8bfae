#include "cpu/runtime/device.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "cpu/runtime/instruction_set.h"
#include "cpu/runtime/threads.h"

namespace nnx::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

// Below this much work a second thread costs more than it brings.
constexpr double kSerialWork = 1e6;

class CpuDevice final : public Device {
 public:
  DeviceId id() const override { return {DeviceKind::cpu, 0}; }

  void* allocate(size_t bytes) override {
    // Large buffers get huge pages: a matrix whose rows lie pages apart otherwise misses the TLB at every
    // row.
    const bool large = bytes >= 2 * kHugePage;
    const size_t alignment = large ? kHugePage : kAlignment;
    const size_t rounded = (bytes / alignment + 1) * alignment;
    void* data = rounded > bytes ? std::aligned_alloc(alignment, rounded) : nullptr;
    if (data == nullptr) {
      throw OutOfMemory(detail::concatenate("cpu: out of memory, asked for ", bytes, " bytes"));
    }
#if defined(MADV_HUGEPAGE)
    if (large) madvise(data, rounded, MADV_HUGEPAGE);
#endif
    return data;
  }

  void deallocate(void* data, size_t) noexcept override { std::free(data); }
  void copy_from_host(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }
  void copy_to_host(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }
  void copy(void* to, const void* from, size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void zero(void* data, size_t bytes) override {
    if (bytes > 0) std::memset(data, 0, bytes);
  }
  void synchronize() override {}

  void run(double work, void* workspace, const std::function<void(Context&)>& body) override {
    run_region(work < kSerialWork ? 1 : num_threads(), workspace, body);
  }

  const kernels::Table<float>& table_float32(Precision) const override { return instruction_set().float32; }
  const kernels::Table<double>& table_float64() const override { return instruction_set().float64; }
};

}  // namespace

Device& cpu_device() {
  static CpuDevice device;
  return device;
}

}  // namespace nnx::cpu
