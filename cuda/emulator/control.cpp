// Settings, from the environment and from emulator.h; counters; the last error of a thread.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <mutex>
#include <string>

#include "emulator/machine.h"
#include "emulator/state.h"

namespace nnx::emulator {

nnx_emulator_counters totals{};

namespace {

struct Choice {
  int which;
  uint64_t seed;
};
// name[:seed], the first name where the variable is not set.
Choice choice(const char* variable, std::initializer_list<const char*> names) {
  const char* const text = std::getenv(variable);
  if (text == nullptr || *text == 0) return {0, 0};
  const size_t length = std::strcspn(text, ":");
  int which = 0;
  for (const char* name : names) {
    if (std::strlen(name) == length && std::strncmp(name, text, length) == 0)
      return {which, text[length] == ':' ? std::strtoull(text + length + 1, nullptr, 10) : 0};
    ++which;
  }
  std::fprintf(stderr, "emulator: %s=%s is not known\n", variable, text);
  std::abort();
}

Settings from_environment() {
  Settings settings;
  const Choice schedule = choice("NNX_EMULATOR_SCHEDULE", {"forward", "reverse", "random"});
  settings.schedule = static_cast<Schedule>(schedule.which);
  settings.seed = schedule.seed;
  const Choice streams = choice("NNX_EMULATOR_STREAMS", {"now", "late", "random"});
  settings.streams = static_cast<Streams>(streams.which);
  settings.streams_seed = streams.seed;
  if (const char* text = std::getenv("NNX_EMULATOR_FAIL_ALLOCATION")) {
    char* rest = nullptr;
    settings.fail_allocation = std::strtoll(text, &rest, 10);
    settings.fail_times = *rest == ':' ? std::strtoll(rest + 1, nullptr, 10) : 1;
  }
  if (const char* text = std::getenv("NNX_EMULATOR_MEMORY")) settings.memory = std::atoll(text);
  if (const char* text = std::getenv("NNX_EMULATOR_PROTECT")) settings.protect = std::atoi(text) != 0;
  if (const char* text = std::getenv("NNX_EMULATOR_DEVICES")) settings.devices = std::atoi(text);
  if (const char* text = std::getenv("NNX_EMULATOR_DRIVER")) settings.driver = std::atoi(text);
  if (const char* text = std::getenv("NNX_EMULATOR_ERROR"))
    settings.start_error = static_cast<cudaError_t>(std::atoi(text));
  if (const char* text = std::getenv("NNX_EMULATOR_CODE")) settings.code = std::atoi(text);
  if (const char* text = std::getenv("NNX_EMULATOR_CAPABILITY")) {
    settings.capability[0] = std::atoi(text);
    const char* const others = std::strchr(text, ',');
    settings.capability[1] = others == nullptr ? settings.capability[0] : std::atoi(others + 1);
  }
  return settings;
}

std::mutex& mutex = *new std::mutex;
Settings& settings() {
  static Settings all = from_environment();
  return all;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local std::string last_message, failed_launch;

}  // namespace

Settings current_settings() {
  const std::lock_guard<std::mutex> lock(mutex);
  return settings();
}

bool allocation_fails() {
  const std::lock_guard<std::mutex> lock(mutex);
  Settings& all = settings();
  if (all.fail_allocation == 0 || all.fail_times == 0) return false;
  if (all.fail_allocation > 1) {
    --all.fail_allocation;
    return false;
  }
  --all.fail_times;
  return true;
}

cudaError_t set_error(cudaError_t error, std::string message) {
  if (error == cudaSuccess || error == cudaErrorNotReady) return error;
  last_error = error;
  last_message = std::move(message);
  if (error == cudaErrorLaunchFailure) failed_launch = "emulator: " + last_message;
  return error;
}

}  // namespace nnx::emulator

using namespace nnx::emulator;

#define NNX_EXPORT __attribute__((visibility("default")))

NNX_EXPORT void nnx_emulator_schedule(int schedule, uint64_t seed) {
  const std::lock_guard<std::mutex> lock(mutex);
  settings().schedule = static_cast<Schedule>(schedule);
  settings().seed = seed;
}
NNX_EXPORT void nnx_emulator_streams(int mode, uint64_t seed) {
  const std::lock_guard<std::mutex> lock(mutex);
  settings().streams = static_cast<Streams>(mode);
  settings().streams_seed = seed;
}
NNX_EXPORT void nnx_emulator_fail_allocation(int64_t n, int64_t times) {
  const std::lock_guard<std::mutex> lock(mutex);
  settings().fail_allocation = n;
  settings().fail_times = times;
}
NNX_EXPORT void nnx_emulator_memory(int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex);
  settings().memory = bytes;
}
NNX_EXPORT void nnx_emulator_protect(int on) {
  const std::lock_guard<std::mutex> lock(mutex);
  settings().protect = on != 0;
}
NNX_EXPORT void nnx_emulator_devices(int count) {
  const std::lock_guard<std::mutex> lock(mutex);
  settings().devices = count;
}
NNX_EXPORT void nnx_emulator_count(nnx_emulator_counters* counters) { *counters = totals; }
NNX_EXPORT const char* nnx_emulator_message() { return last_message.c_str(); }

cudaError_t cudaPeekAtLastError() { return last_error; }
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

namespace {
struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};
#define NNX_ERROR(name, text) {name, #name, text}
constexpr ErrorText kErrors[] = {
    NNX_ERROR(cudaSuccess, "no error"),
    NNX_ERROR(cudaErrorInvalidValue, "invalid argument"),
    NNX_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    NNX_ERROR(cudaErrorInitializationError, "initialization error"),
    NNX_ERROR(cudaErrorCudartUnloading, "driver shutting down"),
    NNX_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    NNX_ERROR(cudaErrorInvalidDevicePointer, "invalid device pointer"),
    NNX_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    NNX_ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    NNX_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    NNX_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    NNX_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    NNX_ERROR(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    NNX_ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    NNX_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    NNX_ERROR(cudaErrorNotReady, "device not ready"),
    NNX_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    NNX_ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    NNX_ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    NNX_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    NNX_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    NNX_ERROR(cudaErrorNotPermitted, "operation not permitted"),
    NNX_ERROR(cudaErrorNotSupported, "operation not supported"),
    NNX_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    NNX_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    NNX_ERROR(cudaErrorStreamCaptureUnmatched, "the capture was not started in this stream"),
    NNX_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    NNX_ERROR(cudaErrorUnknown, "unknown error"),
};
const ErrorText& text_of(cudaError_t error) {
  for (const ErrorText& text : kErrors)
    if (text.error == error) return text;
  static constexpr ErrorText kOther{cudaErrorUnknown, "unrecognized error code", "unrecognized error code"};
  return kOther;
}
}  // namespace

const char* cudaGetErrorName(cudaError_t error) { return text_of(error).name; }
const char* cudaGetErrorString(cudaError_t error) {
  const bool told = error == cudaErrorLaunchFailure && !failed_launch.empty();
  return told ? failed_launch.c_str() : text_of(error).text;
}
