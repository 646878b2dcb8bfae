// From a kernel and its arguments to work of a stream.
#include <algorithm>
#include <map>
#include <mutex>

#include "emulator/machine.h"
#include "emulator/state.h"
#include "emulator/streams.h"

namespace nnx::emulator {
namespace {

std::mutex& mutex = *new std::mutex;
auto& shared_limits = *new std::map<const void*, size_t>;
thread_local const char* next_name = nullptr;

std::string check(const Launch& launch) {
  const dim3 grid = launch.grid, block = launch.block;
  const auto over = [](const char* what, uint64_t value, uint64_t limit) {
    return std::string(what) + " " + std::to_string(value) + ", the limit is " + std::to_string(limit);
  };
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return "an empty grid";
  if (block.x == 0 || block.y == 0 || block.z == 0) return "an empty block";
  if (grid.x > 0x7fffffffu) return over("grid x", grid.x, 0x7fffffffu);
  if (grid.y > 65535) return over("grid y", grid.y, 65535);
  if (grid.z > 65535) return over("grid z", grid.z, 65535);
  if (block.z > 64) return over("block z", block.z, 64);
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (block.x > 1024 || block.y > 1024 || threads > 1024) return over("threads of a block", threads, 1024);
  return {};
}

size_t shared_limit(const void* kernel) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto limit = shared_limits.find(kernel);
  return limit != shared_limits.end() ? limit->second : size_t{48} << 10;
}

}  // namespace

void name_next_launch(const char* name) { next_name = name; }

void launch(const Launch& asked, cudaStream_t stream, std::function<void()> body) {
  Launch launch = asked;
  if (launch.name == nullptr) launch.name = next_name != nullptr ? next_name : "without a name";
  next_name = nullptr;
  const std::string kernel = std::string("kernel ") + launch.name + ": ";
  std::string error = check(launch);
  if (!error.empty()) return void(set_error(cudaErrorInvalidConfiguration, kernel + error));
  const size_t limit = shared_limit(launch.kernel);
  if (launch.shared_bytes > limit) {
    set_error(cudaErrorInvalidValue, kernel + std::to_string(launch.shared_bytes) +
                                         " bytes of shared memory, the limit is " + std::to_string(limit));
    return;
  }
  if (!is_of_current_device(stream)) {
    set_error(cudaErrorInvalidResourceHandle,
              kernel + "launched on a stream of a device that is not current");
    return;
  }
  enqueue(stream, [launch, body = std::move(body)] {
    std::string failure = execute(launch, body);
    return failure.empty() ? cudaSuccess : set_error(cudaErrorLaunchFailure, std::move(failure));
  });
}

}  // namespace nnx::emulator

using namespace nnx::emulator;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > kMaxSharedBytes) {
    return set_error(cudaErrorInvalidValue, "cudaFuncSetAttribute: " + std::to_string(value) +
                                                " bytes of shared memory, the limit is " +
                                                std::to_string(kMaxSharedBytes));
  }
  const std::lock_guard<std::mutex> lock(mutex);
  shared_limits[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  int device = 0;
  cudaGetDevice(&device);
  const Settings settings = current_settings();
  const int capability = settings.capability[device == 0 ? 0 : 1];
  if (capability < 75) return set_error(cudaErrorNoKernelImageForDevice);
  const int code = std::min(capability, settings.code);
  *attributes = {0, 0, 0, 1024, 0, code, capability, static_cast<int>(shared_limit(kernel))};
  return cudaSuccess;
}
