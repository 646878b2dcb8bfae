// What a kernel may ask of the machine it runs on.
//
// CPU: a kernel is called by every thread of a team with the same arguments (SPMD). It cuts its work into
// chunks by shape alone, takes chunks through for_each (csrc/cpu/parallel.h), and returns only after a
// barrier, so that the next kernel may read what it wrote. CUDA: called once, it enqueues on `stream`.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnx {

class Team;  // csrc/cpu/runtime/threads.h

// Bytes of `scratch` each CPU thread owns; 64-byte aligned, contents undefined.
inline constexpr int64_t kScratchBytes = int64_t{4} << 20;

// Slots of `partials`, the team's shared place for partial sums.
inline constexpr int64_t kPartials = 64;

struct Context {
  int rank = 0;                // this thread's place in the team
  int size = 1;                // threads in the team
  Team* team = nullptr;        // null when size is 1
  uint32_t phase = 0;          // parallel loops passed so far; equal on all threads between kernels
  void* scratch = nullptr;     // this thread's own kScratchBytes
  double* partials = nullptr;  // kPartials numbers, shared by the team
  void* workspace = nullptr;   // shared by the team; at least what the kernel's workspace function asked for
  void* stream = nullptr;      // CUDA only
};

// A scalar that is either fixed when a program is built or read from the device when the kernel runs.
template <class T>
struct Live {
  T value{};
  const T* at = nullptr;
};

// Gradient policy: write over what is there, or add to it.
enum class Policy : int32_t { assign, accumulate };

}  // namespace nnx
