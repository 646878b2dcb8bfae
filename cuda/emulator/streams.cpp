// Streams and events. A stream runs at once what it is given; or late, when somebody waits for it; or at
// random moments between, as a GPU might.
#include "emulator/streams.h"

#include <map>
#include <mutex>

#include "emulator/machine.h"
#include "emulator/state.h"

namespace nnx::emulator {
namespace {

std::mutex& mutex = *new std::mutex;
auto& streams = *new std::map<cudaStream_t, std::unique_ptr<CUstream_st>>;
thread_local int captures = 0;

std::recursive_mutex& run_mutex = *new std::recursive_mutex;

std::vector<std::shared_ptr<Queue>> queues(bool only_blocking) {
  const std::lock_guard<std::mutex> lock(mutex);
  std::vector<std::shared_ptr<Queue>> all;
  for (const auto& entry : streams)
    if (entry.second->blocking || !only_blocking) all.push_back(entry.second->queue);
  return all;
}

// Runs what the queue was given first, up to its `place`-th work. Work that waits for another queue runs
// that.
cudaError_t run_until(Queue& queue, uint64_t place) {
  cudaError_t first = cudaSuccess;
  while (queue.ran < place) {
    const Work work = std::move(queue.works.front());
    queue.works.pop_front();
    ++queue.ran;
    const cudaError_t error = work();
    if (first == cudaSuccess) first = error;
  }
  return first;
}
cudaError_t run_all(bool only_blocking) {
  const std::lock_guard<std::recursive_mutex> lock(run_mutex);
  cudaError_t first = cudaSuccess;
  for (const auto& queue : queues(only_blocking)) {
    const cudaError_t error = run_until(*queue, queue->given);
    if (first == cudaSuccess) first = error;
  }
  return first;
}

// Some works of one stream, for a while of the same one: others then fall behind.
void run_some(uint64_t seed) {
  static uint64_t random = 0, last_seed = 0, turns = 0, favoured = 0;
  if (seed != last_seed) random = last_seed = seed;
  if (turns++ % 16 == 0) favoured = next_random(random);
  const auto all = queues(false);
  Queue& queue = *all[favoured % all.size()];
  while (queue.ran < queue.given && next_random(random) % 4 != 0) run_until(queue, queue.ran + 1);
}

}  // namespace

bool known(cudaStream_t stream) {
  const std::lock_guard<std::mutex> lock(mutex);
  return stream == nullptr || streams.count(stream) != 0;
}
cudaError_t unknown_stream() {
  return set_error(cudaErrorInvalidResourceHandle, "a stream that does not exist");
}
bool is_of_current_device(cudaStream_t stream) {
  int device = 0;
  cudaGetDevice(&device);
  return stream == nullptr || !known(stream) || stream->device == device;
}
void end_capture(const std::shared_ptr<CUgraph_st>& capture) {
  const std::lock_guard<std::mutex> lock(mutex);
  for (auto& entry : streams)
    if (entry.second->capture == capture) entry.second->capture = nullptr;
}
void forbid_in_capture(int change) { captures += change; }
bool capture_forbids() { return captures != 0; }
cudaError_t run_streams() { return run_all(false); }

bool defers(cudaStream_t stream) {
  return stream != nullptr && stream->capture == nullptr && current_settings().streams != Streams::now;
}

cudaError_t run_stream(cudaStream_t stream) {
  if (stream == nullptr) return run_all(true);
  const std::lock_guard<std::recursive_mutex> lock(run_mutex);
  return run_until(*stream->queue, stream->queue->given);
}

cudaError_t enqueue(cudaStream_t stream, Work work) {
  if (!known(stream)) return unknown_stream();
  if (stream != nullptr && stream->capture != nullptr) {
    stream->capture->works.push_back(std::move(work));
    return cudaSuccess;
  }
  const Settings settings = current_settings();
  if (stream == nullptr || settings.streams == Streams::now) {
    const cudaError_t before = run_stream(stream);
    const cudaError_t error = work();
    return error == cudaSuccess ? before : error;
  }
  const std::lock_guard<std::recursive_mutex> lock(run_mutex);
  stream->queue->works.push_back(std::move(work));
  ++stream->queue->given;
  if (settings.streams == Streams::random) run_some(settings.streams_seed);
  return cudaSuccess;
}

}  // namespace nnx::emulator

using namespace nnx::emulator;

cudaError_t cudaDeviceSynchronize() {
  {
    // Whichever thread captures: the device encompasses the stream.
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& entry : streams)
      if (entry.second->capture != nullptr)
        return set_error(cudaErrorStreamCaptureUnsupported, "cudaDeviceSynchronize in a capture");
  }
  return run_all(false);
}
cudaError_t cudaDeviceReset() { return run_all(false); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  auto made = std::make_unique<CUstream_st>();
  cudaGetDevice(&made->device);
  made->blocking = (flags & cudaStreamNonBlocking) == 0;
  *stream = made.get();
  const std::lock_guard<std::mutex> lock(mutex);
  streams[*stream] = std::move(made);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr || !known(stream)) return unknown_stream();
  const cudaError_t error = run_stream(stream);
  const std::lock_guard<std::mutex> lock(mutex);
  streams.erase(stream);
  return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!known(stream)) return unknown_stream();
  if (stream != nullptr && stream->capture != nullptr)
    return set_error(cudaErrorStreamCaptureUnsupported, "cudaStreamSynchronize of a captured stream");
  // Nor may the thread that captures wait for another stream, as the first GPU that these kernels saw had it.
  if (capture_forbids())
    return set_error(cudaErrorStreamCaptureUnsupported, "cudaStreamSynchronize in a capture");
  return run_stream(stream);
}
// Not done, and a step nearer.
static cudaError_t query(Queue& queue, uint64_t place) {
  const std::lock_guard<std::recursive_mutex> lock(run_mutex);
  if (queue.ran >= place) return cudaSuccess;
  const cudaError_t error = run_until(queue, queue.ran + 1);
  return error == cudaSuccess ? cudaErrorNotReady : error;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (stream == nullptr || !known(stream) || stream->capture != nullptr) return cudaStreamSynchronize(stream);
  return query(*stream->queue, stream->queue->given);
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
// The legacy default stream and a thread's own have small numbers for names.
static cudaStream_t named(cudaStream_t stream) {
  return reinterpret_cast<uintptr_t>(stream) <= 2 ? nullptr : stream;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  stream = named(stream);
  if (!known(stream)) return unknown_stream();
  event->recorded = true;
  event->capture = stream != nullptr ? stream->capture : nullptr;
  event->queue = nullptr;
  if (stream == nullptr) return run_all(true);
  const std::lock_guard<std::recursive_mutex> lock(run_mutex);
  event->queue = stream->queue;
  event->place = stream->queue->given;
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (event->capture != nullptr) return set_error(cudaErrorStreamCaptureUnsupported, "an event of a capture");
  return event->queue != nullptr ? query(*event->queue, event->place) : cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->capture != nullptr) return set_error(cudaErrorStreamCaptureUnsupported, "an event of a capture");
  if (event->queue == nullptr) return cudaSuccess;
  const std::lock_guard<std::recursive_mutex> lock(run_mutex);
  return run_until(*event->queue, event->place);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = 0.0f;
  if (start->recorded && end->recorded) return cudaSuccess;
  return set_error(cudaErrorInvalidResourceHandle, "an event never recorded");
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  stream = named(stream);
  if (!known(stream)) return unknown_stream();
  if (event->capture != nullptr) {
    if (stream == nullptr)
      return set_error(cudaErrorStreamCaptureUnsupported, "the default stream in a capture");
    if (stream->capture == nullptr) stream->capture = event->capture;
    return cudaSuccess;
  }
  if (event->queue == nullptr) return cudaSuccess;
  if (stream != nullptr && stream->capture != nullptr)
    return set_error(cudaErrorStreamCaptureUnsupported, "an event from outside the capture");
  return enqueue(stream, [queue = event->queue, place = event->place] {
    const std::lock_guard<std::recursive_mutex> lock(run_mutex);
    return run_until(*queue, place);
  });
}
