// Graphs: a captured stream keeps what it is given, and a graph gives it again.
#include "emulator/machine.h"
#include "emulator/streams.h"

using namespace nnx::emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (stream == nullptr) return set_error(cudaErrorStreamCaptureUnsupported, "capture of the default stream");
  if (!known(stream)) return unknown_stream();
  if (stream->capture != nullptr) return set_error(cudaErrorInvalidValue, "the stream is captured already");
  stream->capture = std::make_shared<CUgraph_st>();
  stream->origin = true;
  stream->mode = mode;
  if (mode != cudaStreamCaptureModeRelaxed) forbid_in_capture(1);
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!known(stream) || stream == nullptr || stream->capture == nullptr)
    return set_error(cudaErrorInvalidValue, "cudaStreamEndCapture: the stream is not captured");
  if (!stream->origin)
    return set_error(cudaErrorStreamCaptureUnmatched, "the capture began in another stream");
  const std::shared_ptr<CUgraph_st> capture = stream->capture;
  end_capture(capture);
  stream->origin = false;
  if (stream->mode != cudaStreamCaptureModeRelaxed) forbid_in_capture(-1);
  *graph = new CUgraph_st(*capture);
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  if (!known(stream)) return unknown_stream();
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
