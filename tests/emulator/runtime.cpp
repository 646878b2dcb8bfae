// The runtime's calls: memory, streams, graphs.
#include <thread>

#include "check.h"

using namespace nnx::cuda;

namespace {

__global__ void scale_add(float* x, float factor, const float* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] = x[i] * factor + *y;
}

__global__ void stuck() {
  if (threadIdx.x != 0) sync_block();
}

void test_memory() {
  nnx_emulator_counters before, after;
  nnx_emulator_count(&before);
  {
    Array<float> x(3);
    CHECK(reinterpret_cast<uintptr_t>(x.data) % 256 == 0);
    for (int i = 0; i < 3; ++i) CHECK(x[i] != x[i]);
    float host[4] = {1, 2, 3, 4};
    CHECK(cudaMemcpy(x.data, host, 12, cudaMemcpyHostToDevice) == cudaSuccess);
    CHECK(x[2] == 3);
    CHECK(cudaMemcpy(x.data, host, 16, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK_TEXT(nnx_emulator_message(), "the destination ends 4 bytes past its allocation");
    CHECK(cudaMemcpy(x.data, host, 12, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    CHECK_TEXT(nnx_emulator_message(), "the destination is device memory");
    CHECK(cudaMemset(host, 0, 4) == cudaErrorInvalidValue);
    CHECK(cudaFree(x.data + 1) == cudaErrorInvalidValue);
    CHECK(cudaFreeHost(x.data) == cudaErrorInvalidValue);
    cudaPointerAttributes attributes;
    CHECK(cudaPointerGetAttributes(&attributes, x.data + 2) == cudaSuccess);
    CHECK(attributes.type == cudaMemoryTypeDevice);
    CHECK(cudaPointerGetAttributes(&attributes, host) == cudaSuccess);
    CHECK(attributes.type == cudaMemoryTypeUnregistered);
    nnx_emulator_count(&after);
    CHECK(after.live == before.live + 1 && after.live_bytes == before.live_bytes + 12);
  }
  nnx_emulator_count(&after);
  CHECK(after.live == before.live && after.live_bytes == before.live_bytes);
  CHECK(cudaFree(nullptr) == cudaSuccess);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);  // kept until it is asked for
  CHECK(cudaGetLastError() == cudaSuccess);
}

void test_out_of_memory() {
  float* x = nullptr;
  nnx_emulator_fail_allocation(2, 1);
  CHECK(cudaMalloc(&x, 4) == cudaSuccess && cudaFree(x) == cudaSuccess);
  CHECK(cudaMalloc(&x, 4) == cudaErrorMemoryAllocation && x == nullptr);
  CHECK(cudaMalloc(&x, 4) == cudaSuccess && cudaFree(x) == cudaSuccess);
  CHECK_TEXT(cudaGetErrorString(cudaGetLastError()), "out of memory");
  nnx_emulator_memory(1000);
  size_t free = 0, total = 0;
  CHECK(cudaMalloc(&x, 1001) == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&x, ~size_t{0}) == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&x, 600) == cudaSuccess);
  CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess && free == 400 && total == 1000);
  float* y = nullptr;
  CHECK(cudaMalloc(&y, 401) == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&y, 400) == cudaSuccess && cudaFree(y) == cudaSuccess && cudaFree(x) == cudaSuccess);
  nnx_emulator_memory(int64_t{2} << 30);
  cudaGetLastError();
}

// The host must not touch device memory; kernels and copies may, to its end.
void test_protection() {
  nnx_emulator_protect(1);
  Array<float> x(3000), y(64);
  nnx_emulator_protect(0);
  const std::vector<float> ones(3000, 1.0f);
  std::vector<float> out(3000);
  CHECK(cudaMemcpy(x.data, ones.data(), 12000, cudaMemcpyHostToDevice) == cudaSuccess);
  CHECK(cudaMemset(y.data, 0, 256) == cudaSuccess);
  CHECK(run(scale_add, 30, 100, 0, x.data, 2.0f, y.data, 3000) == "");
  CHECK(cudaMemcpy(out.data(), x.data, 12000, cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(out[0] == 2 && out[2999] == 2);
  volatile float sink = 0;
  CHECK(dies([&] { sink = x[1]; }));
  CHECK(dies([&] { run(scale_add, 1, 100, 0, y.data, 2.0f, x.data, 100); }));
  CHECK(!dies([&] { run(scale_add, 1, 100, 0, y.data, 2.0f, x.data, 64); }));
}

void test_devices() {
  int value = 0;
  CHECK(cudaGetDeviceCount(&value) == cudaSuccess && value == 1);
  CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
  nnx_emulator_devices(2);
  CHECK(cudaSetDevice(1) == cudaSuccess && cudaGetDevice(&value) == cudaSuccess && value == 1);
  cudaStream_t stream;
  Array<float> x(1);
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaSetDevice(0) == cudaSuccess);
  launch_kernel(scale_add, 1, 32, 0, stream, x.data, 2.0f, x.data, 1);
  CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
  CHECK_TEXT(nnx_emulator_message(), "launched on a stream of a device that is not current");
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  nnx_emulator_devices(0);
  CHECK(cudaGetDeviceCount(&value) == cudaErrorNoDevice);
  nnx_emulator_devices(1);
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess && std::string(properties.name) == "emulator");
  CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess);
  CHECK(value == 227 << 10);
  cudaGetLastError();
}

// What a stream is given while it is captured runs only with the graph, with the arguments of then.
void test_graphs() {
  cudaStream_t stream, other;
  cudaEvent_t fork, join;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaStreamCreate(&other) == cudaSuccess);
  CHECK(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming) == cudaSuccess);
  CHECK(cudaEventCreate(&join) == cudaSuccess);
  Array<float> x(100), y(1), out(100);
  for (int i = 0; i < 100; ++i) x[i] = 1, out[i] = 0;
  y[0] = 1;
  float factor = 2;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  cudaStreamCaptureStatus status;
  CHECK(cudaStreamIsCapturing(stream, &status) == cudaSuccess && status == cudaStreamCaptureStatusActive);
  CHECK(cudaStreamIsCapturing(other, &status) == cudaSuccess && status == cudaStreamCaptureStatusNone);
  launch_kernel(scale_add, 4, 32, 0, stream, x.data, factor, y.data, 100);
  CHECK(cudaEventRecord(fork, stream) == cudaSuccess);
  CHECK(cudaStreamWaitEvent(other, fork) == cudaSuccess);
  CHECK(cudaMemcpyAsync(out.data, x.data, 400, cudaMemcpyDeviceToDevice, other) == cudaSuccess);
  CHECK(cudaEventRecord(join, other) == cudaSuccess);
  CHECK(cudaStreamWaitEvent(stream, join) == cudaSuccess);
  CHECK(cudaMemsetAsync(x.data, 0, 4, stream) == cudaSuccess);
  float* more = nullptr;
  CHECK(cudaMalloc(&more, 4) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  // Another thread may allocate, but not wait for the device that encompasses the stream.
  std::thread([&] {
    CHECK(cudaMalloc(&more, 4) == cudaSuccess && cudaFree(more) == cudaSuccess);
    CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
  }).join();
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CHECK(cudaStreamIsCapturing(other, &status) == cudaSuccess && status == cudaStreamCaptureStatusNone);
  CHECK(cudaGraphInstantiate(&executable, graph) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
  CHECK(x[0] == 1 && out[0] == 0);
  factor = 100;
  y[0] = 5;
  CHECK(cudaGraphLaunch(executable, stream) == cudaSuccess);
  CHECK(out[0] == 7 && x[0] == 0 && x[99] == 7);
  CHECK(cudaGraphLaunch(executable, stream) == cudaSuccess && cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(out[0] == 5 && out[99] == 19);
  CHECK(cudaGraphExecDestroy(executable) == cudaSuccess);
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorInvalidValue);
  for (cudaEvent_t event : {fork, join}) CHECK(cudaEventDestroy(event) == cudaSuccess);
  for (cudaStream_t each : {stream, other}) CHECK(cudaStreamDestroy(each) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
  cudaGetLastError();
}

// Two streams and page-locked memory, used as a runtime would that copies batches ahead; right or without one
// of its three waits. Returns the number of wrong results.
enum class Missing { nothing, wait_for_copy, wait_for_kernel, wait_for_host };

int wrong_batches(Missing missing) {
  constexpr int n = 8, batches = 6;
  cudaStream_t work, copies;
  cudaEvent_t copied, used;
  CHECK(cudaStreamCreateWithFlags(&work, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaStreamCreateWithFlags(&copies, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaEventCreate(&copied) == cudaSuccess && cudaEventCreate(&used) == cudaSuccess);
  float* locked = nullptr;
  CHECK(cudaMallocHost(&locked, n * sizeof(float)) == cudaSuccess);
  Array<float> batch(n), sum(n), zero(1);
  zero[0] = 0;
  for (int i = 0; i < n; ++i) sum[i] = 0;
  for (int b = 0; b < batches; ++b) {
    if (missing != Missing::wait_for_host) CHECK(cudaEventSynchronize(copied) == cudaSuccess);
    for (int i = 0; i < n; ++i) locked[i] = static_cast<float>(b + i);
    if (missing != Missing::wait_for_kernel) CHECK(cudaStreamWaitEvent(copies, used) == cudaSuccess);
    CHECK(cudaMemcpyAsync(batch.data, locked, n * sizeof(float), cudaMemcpyHostToDevice, copies) ==
          cudaSuccess);
    CHECK(cudaEventRecord(copied, copies) == cudaSuccess);
    if (missing != Missing::wait_for_copy) CHECK(cudaStreamWaitEvent(work, copied) == cudaSuccess);
    for (int i = 0; i < n; ++i)
      launch_kernel(scale_add, 1, 1, 0, work, sum.data + i, 1.0f, batch.data + i, 1);
    CHECK(cudaEventRecord(used, work) == cudaSuccess);
  }
  float result[n];
  CHECK(cudaMemcpyAsync(result, sum.data, sizeof result, cudaMemcpyDeviceToHost, work) == cudaSuccess);
  int wrong = 0;
  for (int i = 0; i < n; ++i) wrong += !(result[i] == static_cast<float>(batches * i + 15));
  CHECK(cudaFreeHost(locked) == cudaSuccess);
  for (cudaEvent_t event : {copied, used}) CHECK(cudaEventDestroy(event) == cudaSuccess);
  for (cudaStream_t stream : {work, copies}) CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  return wrong;
}

void test_streams() {
  for (const Missing missing :
       {Missing::nothing, Missing::wait_for_copy, Missing::wait_for_kernel, Missing::wait_for_host}) {
    int caught = 0;
    for (int seed = 0; seed < 10; ++seed) {
      nnx_emulator_streams(seed == 0 ? 1 : 2, static_cast<uint64_t>(seed));
      caught += wrong_batches(missing) != 0;
    }
    nnx_emulator_streams(0, 0);
    CHECK(wrong_batches(missing) == 0);
    CHECK(missing == Missing::nothing ? caught == 0 : caught > 0);
  }
  // A kernel's error comes to whoever waits; a query brings the work on.
  nnx_emulator_streams(1, 0);
  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream) == cudaSuccess);
  Array<float> x(1);
  x[0] = 0;
  launch_kernel(stuck, 1, 32, 0, stream);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure);
  launch_kernel(scale_add, 1, 1, 0, stream, x.data, 1.0f, x.data, 1);
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady && cudaStreamQuery(stream) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  nnx_emulator_streams(0, 0);
  cudaGetLastError();
}

}  // namespace

void test_runtime() {
  test_memory();
  test_out_of_memory();
  test_protection();
  test_devices();
  test_graphs();
  test_streams();
}
