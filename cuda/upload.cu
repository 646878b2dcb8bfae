// Large copies from the host's pageable memory. The driver takes those through page-locked memory of its own,
// on one thread, at a fraction of what the bus can do; several threads do it here, so that a data set does
// not take longer to arrive than an epoch over it.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "device.h"

namespace nnx::cuda {
namespace {

#if defined(NNX_CUDA_EMULATOR)
constexpr size_t kPiece = size_t{4} << 10;  // so that tests come here with little
#else
constexpr size_t kPiece = size_t{1} << 20;
#endif
constexpr size_t kFewestPieces = 8;
constexpr unsigned kMostThreads = 6;

bool is_page_locked(const void* memory) {
  cudaPointerAttributes attributes;
  const cudaError_t error = cudaPointerGetAttributes(&attributes, memory);
  return error == cudaSuccess && attributes.type != cudaMemoryTypeUnregistered;
}

struct Copy {
  int index;  // of the device
  cudaStream_t stream;
  char* to;
  const char* from;
  size_t bytes;
  std::atomic<size_t> next{0};  // the first piece that nobody has taken
  std::atomic<cudaError_t> error{cudaSuccess};

  // Takes pieces until there are none, by turns through two of the thread's own buffers.
  void run(const Uploads::Buffers& buffers) {
    const Current current(index);
    bool used[2] = {};
    for (int slot = 0; error == cudaSuccess; slot ^= 1) {
      const size_t offset = next++ * kPiece;
      if (offset >= bytes) return;
      const size_t count = std::min(kPiece, bytes - offset);
      char* const locked = buffers.data + static_cast<size_t>(slot) * kPiece;
      cudaError_t now = used[slot] ? cudaEventSynchronize(buffers.copied[slot]) : cudaSuccess;
      if (now == cudaSuccess) {
        std::memcpy(locked, from + offset, count);
        now = cudaMemcpyAsync(to + offset, locked, count, cudaMemcpyHostToDevice, stream);
      }
      if (now == cudaSuccess) now = cudaEventRecord(buffers.copied[slot], stream);
      used[slot] = true;
      if (now != cudaSuccess) error = now;
    }
  }
};

}  // namespace

// Buffers for all threads; false where there is no memory for them.
bool Uploads::prepare() {
  if (!buffers_.empty()) return true;
  void* memory = nullptr;
  cudaError_t error = cudaMallocHost(&memory, 2 * kMostThreads * kPiece);
  if (error != cudaSuccess) {
    return false;
  }
  Buffers all[kMostThreads] = {};
  for (unsigned i = 0; i < kMostThreads; ++i) {
    all[i].data = static_cast<char*>(memory) + 2 * i * kPiece;
    for (cudaEvent_t& event : all[i].copied) {
      if (error == cudaSuccess) error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    }
  }
  if (error == cudaSuccess) {
    buffers_.assign(all, all + kMostThreads);
    return true;
  }
  for (const Buffers& each : all) {
    for (const cudaEvent_t event : each.copied) {
      if (event != nullptr) cudaEventDestroy(event);
    }
  }
  cudaFreeHost(memory);
  return false;
}

bool Uploads::take(const DeviceState& device, void* to, const void* from, size_t bytes, cudaError_t* error) {
  if (bytes < kFewestPieces * kPiece || is_page_locked(from)) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!prepare()) return false;
  Copy copy{device.index, device.stream, static_cast<char*>(to), static_cast<const char*>(from), bytes};
  std::vector<std::thread> helpers;
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1u, kMostThreads);
  try {
    helpers.reserve(threads);
    while (helpers.size() + 1 < threads) {
      const Buffers& buffers = buffers_[helpers.size() + 1];
      helpers.emplace_back([&copy, &buffers] { copy.run(buffers); });
    }
  } catch (...) {
    // Fewer, then: a thread takes what the others leave.
  }
  copy.run(buffers_[0]);
  for (std::thread& helper : helpers) helper.join();
  // The buffers are free for the next copy then.
  const cudaError_t end = cudaStreamSynchronize(device.stream);
  *error = copy.error != cudaSuccess ? copy.error.load() : end;
  return true;
}

}  // namespace nnx::cuda
