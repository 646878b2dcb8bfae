// What a kernel may ask of the machine it runs on.
//
// A kernel is called by one thread. CPU: it cuts its work into chunks by shape alone and hands them out
// through for_each (csrc/cpu/parallel.h), where the other threads of the team help; it returns when all is
// done. CUDA: it enqueues on `stream`.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnx {

class Team;  // csrc/cpu/runtime/threads.h

// Bytes of scratch memory each CPU thread owns; 64-byte aligned, contents undefined.
inline constexpr int64_t kScratchBytes = int64_t{4} << 20;

struct Context {
  int size = 1;               // threads that may help
  Team* team = nullptr;       // null when size is 1
  void* scratch = nullptr;    // the calling thread's; a chunk takes its own thread's, cpu::thread_scratch()
  void* workspace = nullptr;  // at least what the kernel's workspace function asked for
  void* stream = nullptr;     // CUDA only
};

// A scalar that is either fixed when a program is built or read from the device when the kernel runs.
template <class T>
struct Live {
  T value{};
  const T* at = nullptr;
};

// What is done at some steps only: at those whose number `every` divides.
struct Sampling {
  const uint64_t* step = nullptr;
  uint64_t every = 1;
};

// Gradient policy: write over what is there, or add to it.
enum class Policy : int32_t { assign, accumulate };

}  // namespace nnx
