// Streams, events, graphs, launches. A stream executes at once what it is given; a captured one keeps it.
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "emulator/machine.h"
#include "emulator/state.h"

using Work = std::function<cudaError_t()>;

// A capture, shared by the streams that joined it.
struct CUgraph_st {
  std::vector<Work> works;
};
struct CUstream_st {
  std::shared_ptr<CUgraph_st> capture;
  bool origin = false;  // of its capture
  cudaStreamCaptureMode mode{};
};
struct CUevent_st {
  bool recorded = false;
  std::shared_ptr<CUgraph_st> capture;  // in which it was recorded last
};
struct CUgraphExec_st {
  std::vector<Work> works;
};

namespace nnx::emulator {
namespace {

std::mutex& mutex = *new std::mutex;
auto& streams = *new std::map<cudaStream_t, std::unique_ptr<CUstream_st>>;
auto& shared_limits = *new std::map<const void*, size_t>;
thread_local int captures = 0;  // that forbid calls that would synchronise, begun by this thread
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

bool known(cudaStream_t stream) {
  const std::lock_guard<std::mutex> lock(mutex);
  return stream == nullptr || streams.count(stream) != 0;
}

}  // namespace

void name_next_launch(const char* name) { next_name = name; }

bool capture_forbids() { return captures != 0; }

cudaError_t enqueue(cudaStream_t stream, Work work) {
  if (!known(stream)) return set_error(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  if (stream == nullptr || stream->capture == nullptr) return work();
  stream->capture->works.push_back(std::move(work));
  return cudaSuccess;
}

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
  *attributes = {0, 0, 0, 1024, 0, 90, 90, static_cast<int>(shared_limit(kernel))};
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return capture_forbids()
             ? set_error(cudaErrorStreamCaptureUnsupported, "cudaDeviceSynchronize in a capture")
             : cudaSuccess;
}
cudaError_t cudaDeviceReset() { return cudaSuccess; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  auto made = std::make_unique<CUstream_st>();
  *stream = made.get();
  const std::lock_guard<std::mutex> lock(mutex);
  streams[*stream] = std::move(made);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard<std::mutex> lock(mutex);
  return streams.erase(stream) != 0
             ? cudaSuccess
             : set_error(cudaErrorInvalidResourceHandle, "cudaStreamDestroy: no such stream");
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!known(stream)) return set_error(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  if (stream != nullptr && stream->capture != nullptr)
    return set_error(cudaErrorStreamCaptureUnsupported, "cudaStreamSynchronize of a captured stream");
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (!known(stream)) return set_error(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  if (event->capture != nullptr) {
    if (stream == nullptr)
      return set_error(cudaErrorStreamCaptureUnsupported, "the default stream in a capture");
    if (stream->capture == nullptr) stream->capture = event->capture;
  }
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* data) {
  return enqueue(stream, [=] {
    function(data);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!known(stream)) return set_error(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  event->recorded = true;
  event->capture = stream != nullptr ? stream->capture : nullptr;
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return event->capture != nullptr ? set_error(cudaErrorStreamCaptureUnsupported, "an event of a capture")
                                   : cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return cudaEventQuery(event); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = 0.0f;
  return start->recorded && end->recorded
             ? cudaSuccess
             : set_error(cudaErrorInvalidResourceHandle, "an event never recorded");
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (stream == nullptr) return set_error(cudaErrorStreamCaptureUnsupported, "capture of the default stream");
  if (!known(stream)) return set_error(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  if (stream->capture != nullptr) return set_error(cudaErrorInvalidValue, "the stream is captured already");
  stream->capture = std::make_shared<CUgraph_st>();
  stream->origin = true;
  stream->mode = mode;
  if (mode != cudaStreamCaptureModeRelaxed) ++captures;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!known(stream) || stream == nullptr || stream->capture == nullptr)
    return set_error(cudaErrorInvalidValue, "cudaStreamEndCapture: the stream is not captured");
  if (!stream->origin)
    return set_error(cudaErrorStreamCaptureUnmatched, "the capture began in another stream");
  const std::shared_ptr<CUgraph_st> capture = stream->capture;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    for (auto& entry : streams)
      if (entry.second->capture == capture) entry.second->capture = nullptr;
  }
  stream->origin = false;
  if (stream->mode != cudaStreamCaptureModeRelaxed) --captures;
  *graph = new CUgraph_st(*capture);
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  if (!known(stream)) return set_error(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  const bool active = stream != nullptr && stream->capture != nullptr;
  *status = active ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->works};
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return enqueue(stream, [works = executable->works] {
    for (const Work& work : works) {
      const cudaError_t error = work();
      if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
