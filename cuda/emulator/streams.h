// What streams, events and graphs are, for the files that implement them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "emulator/runtime_api.h"

namespace nnx::emulator {

using Work = std::function<cudaError_t()>;

// What a stream was given and has not run. Only under run_mutex().
struct Queue {
  std::deque<Work> works;
  uint64_t given = 0, ran = 0;
};

}  // namespace nnx::emulator

struct CUgraph_st {
  std::vector<nnx::emulator::Work> works;
};
struct CUgraphExec_st {
  std::vector<nnx::emulator::Work> works;
};
struct CUstream_st {
  int device = 0;
  bool blocking = true;  // takes turns with the default stream
  std::shared_ptr<nnx::emulator::Queue> queue = std::make_shared<nnx::emulator::Queue>();
  std::shared_ptr<CUgraph_st> capture;  // shared by the streams that joined it
  bool origin = false;                  // of its capture
  cudaStreamCaptureMode mode{};
};
struct CUevent_st {
  bool recorded = false;
  std::shared_ptr<nnx::emulator::Queue> queue;  // of the stream it was recorded in, null where that is done
  uint64_t place = 0;                           // how much of the queue that takes
  std::shared_ptr<CUgraph_st> capture;          // in which it was recorded last
};

namespace nnx::emulator {

// Null or an existing stream.
bool known(cudaStream_t stream);
cudaError_t unknown_stream();
// Kernels can be launched on such streams only.
bool is_of_current_device(cudaStream_t stream);
// Takes all streams out of a capture.
void end_capture(const std::shared_ptr<CUgraph_st>& capture);
// What all streams were given, done.
cudaError_t run_streams();
// Begins (1) or ends (-1) a capture of this thread that forbids calls that would synchronise.
void forbid_in_capture(int change);

}  // namespace nnx::emulator
