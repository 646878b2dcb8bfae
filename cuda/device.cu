// A device's streams, copies and graphs.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "device.h"
#include "launch.h"

namespace nnx::cuda {
namespace {

thread_local std::string last_message;

// The first error of a kernel launch that nobody has asked for yet. Kernels are launched under the lock of
// their device; an error is told to whoever launched it, on the same thread.
thread_local cudaError_t launch_error = cudaSuccess;
thread_local const char* launch_name = "";

DeviceState& state_of(void* device) { return *static_cast<DeviceState*>(device); }

cudaError_t create(DeviceState& device) {
  cudaError_t error = cudaSuccess;
  for (cudaStream_t* stream : {&device.stream, &device.copies, &device.captures}) {
    if (error == cudaSuccess) error = cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
  }
  for (cudaEvent_t* event : {&device.enqueued, &device.staged, &device.other}) {
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(event, cudaEventDisableTiming);
  }
  if (error == cudaSuccess) error = cudaMalloc(&device.scratch, kScratchBytes);
  if (error == cudaSuccess)
    error = cudaMemsetAsync(device.scratch, 0, kCounters * sizeof(unsigned), device.stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(device.stream);
  return error;
}

}  // namespace

void report_error(cudaError_t error, const char* what) {
  if (launch_error != cudaSuccess) return;
  launch_error = error;
  launch_name = what;
}

namespace {

__global__ void nothing() { begin_kernel(); }

struct Code {
  int device, architecture;
  bool warpgroups;
};

// Of the current device; the runtime is asked once for each thread and device.
const Code& code() {
  static thread_local Code known{-1, 0, false};
  int device = 0;
  cudaGetDevice(&device);
  if (device != known.device) {
    static const char* const asked = std::getenv("NNX_CUDA_WARPGROUPS");
    const bool wanted = asked == nullptr || std::strcmp(asked, "never") != 0;
    cudaFuncAttributes attributes{};
    const cudaError_t error = cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(nothing));
    // Not the device's own: PTX for 7.5 runs on a GPU of 9.0 and is still code without what 9.0 has.
    const int architecture = error == cudaSuccess ? attributes.ptxVersion : 0;
    known = {device, architecture, NNX_CUDA_WARPGROUPS && architecture == 90 && wanted};
  }
  return known;
}

}  // namespace

bool has_warpgroups() { return code().warpgroups; }
bool launches_early() { return code().architecture >= 90; }

PluginStatus fail(cudaError_t error, const char* what) {
  last_message = what;
  if (error != cudaErrorMemoryAllocation) {
    last_message += std::string(": ") + cudaGetErrorName(error) + ", " + cudaGetErrorString(error);
  }
  return error == cudaErrorMemoryAllocation ? PluginStatus::out_of_memory : PluginStatus::failed;
}

namespace api {

const char* message() { return last_message.c_str(); }

PluginStatus open(int32_t index, void** out) {
  // Never closed: arrays may outlive everything else in the process.
  auto* const device = new DeviceState;
  device->index = index;
  const Current current(index);
  const cudaError_t error = create(*device);
  if (error != cudaSuccess) {
    delete device;
    return fail(error, "opening the device");
  }
  *out = device;
  return PluginStatus::ok;
}

int32_t enter(void* device) { return exchange_device(state_of(device).index); }

void leave(void* device, int32_t before) { restore_device(state_of(device).index, before); }

PluginStatus allocate(void* device, size_t bytes, void** data) {
  const Current current(state_of(device).index);
  return state_of(device).pool.allocate(bytes, data);
}

void deallocate(void* device, void* data, size_t) {
  const Current current(state_of(device).index);
  state_of(device).pool.deallocate(data);
}

PluginStatus memory(void* device, DeviceMemory* out) {
  const Current current(state_of(device).index);
  return state_of(device).pool.memory(out);
}

PluginStatus empty_cache(void* device) {
  const Current current(state_of(device).index);
  return state_of(device).pool.empty();
}

// Of the current device.
static PluginStatus transfer(const DeviceState& state, void* to, const void* from, size_t bytes,
                             cudaMemcpyKind kind, bool wait) {
  if (bytes == 0) return PluginStatus::ok;
  cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, state.stream);
  if (error == cudaSuccess && wait) error = cudaStreamSynchronize(state.stream);
  return checked(error, "copying memory");
}

PluginStatus copy_from_host(void* device, void* to, const void* from, size_t bytes) {
  DeviceState& state = state_of(device);
  const Current current(state.index);
  cudaError_t error = cudaSuccess;
  if (state.uploads.take(state, to, from, bytes, &error)) return checked(error, "copying memory");
  return transfer(state, to, from, bytes, cudaMemcpyHostToDevice, true);
}
PluginStatus copy_to_host(void* device, void* to, const void* from, size_t bytes) {
  const Current current(state_of(device).index);
  return transfer(state_of(device), to, from, bytes, cudaMemcpyDeviceToHost, true);
}
PluginStatus copy(void* device, void* to, const void* from, size_t bytes) {
  const Current current(state_of(device).index);
  return transfer(state_of(device), to, from, bytes, cudaMemcpyDeviceToDevice, false);
}

PluginStatus zero(void* device, void* data, size_t bytes) {
  if (bytes == 0) return PluginStatus::ok;
  const Current current(state_of(device).index);
  return checked(cudaMemsetAsync(data, 0, bytes, state_of(device).stream), "clearing memory");
}

PluginStatus synchronize(void* device) {
  const Current current(state_of(device).index);
  return checked(cudaStreamSynchronize(state_of(device).stream), "running kernels");
}

PluginStatus synchronize_all(void* device) {
  const Current current(state_of(device).index);
  return checked(cudaDeviceSynchronize(), "running kernels");
}

PluginStatus allocate_host(void* device, size_t bytes, void** data) {
  const Current current(state_of(device).index);
  return checked(cudaMallocHost(data, bytes), "out of page-locked host memory");
}

void deallocate_host(void* device, void* data) {
  const DeviceState& state = state_of(device);
  const Current current(state.index);
  cudaStreamSynchronize(state.copies);  // it may still be read
  cudaFreeHost(data);
}

PluginStatus stage(void* device, void* to, const void* from, size_t bytes) {
  if (bytes == 0) return PluginStatus::ok;
  const DeviceState& state = state_of(device);
  const Current current(state.index);
  cudaError_t error = cudaEventRecord(state.enqueued, state.stream);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(state.copies, state.enqueued, 0);
  if (error == cudaSuccess) error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, state.copies);
  return checked(error, "copying memory");
}

PluginStatus await_staged(void* device) {
  const DeviceState& state = state_of(device);
  const Current current(state.index);
  cudaError_t error = cudaEventRecord(state.staged, state.copies);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(state.stream, state.staged, 0);
  return checked(error, "waiting for copies");
}

PluginStatus begin_capture(void* device, void** stream) {
  const DeviceState& state = state_of(device);
  const Current current(state.index);
  *stream = state.captures;
  return checked(cudaStreamBeginCapture(state.captures, cudaStreamCaptureModeThreadLocal),
                 "beginning a capture");
}

PluginStatus end_capture(void* device, void** out) {
  const Current current(state_of(device).index);
  cudaGraph_t graph = nullptr;
  cudaError_t error = cudaStreamEndCapture(state_of(device).captures, &graph);
  cudaGraphExec_t executable = nullptr;
  if (error == cudaSuccess) error = cudaGraphInstantiate(&executable, graph, 0);
  if (graph != nullptr) cudaGraphDestroy(graph);
  *out = executable;
  return checked(error, "capturing a step");
}

PluginStatus replay(void* device, void* graph) {
  const Current current(state_of(device).index);
  return checked(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), state_of(device).stream),
                 "replaying a step");
}

void destroy_graph(void* device, void* graph) {
  const Current current(state_of(device).index);
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

void context(void* device, Context* context) {
  context->stream = state_of(device).stream;
  context->scratch = state_of(device).scratch;
}

PluginStatus check(void*) {
  const cudaError_t error = launch_error;
  launch_error = cudaSuccess;
  return checked(error, launch_name);
}

// `first`'s later work runs after what `second` has been given so far.
static PluginStatus order(const DeviceState& state, cudaStream_t first, cudaStream_t second) {
  const Current current(state.index);
  cudaError_t error = cudaEventRecord(state.other, second);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(first, state.other, 0);
  return checked(error, "ordering streams");
}

PluginStatus wait_for(void* device, void* stream) {
  return order(state_of(device), state_of(device).stream, static_cast<cudaStream_t>(stream));
}

PluginStatus let_wait(void* device, void* stream) {
  return order(state_of(device), static_cast<cudaStream_t>(stream), state_of(device).stream);
}

}  // namespace api
}  // namespace nnx::cuda
