// What the host bodies of portability.h and the runtime shim ask of the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "emulator/runtime_api.h"

namespace nnx::emulator {

// Where in the source a barrier or collective stands.
struct Site {
  const char* file;
  int line;
};

enum class Kind : uint8_t { sync_block, sync_warp, shuffle, ballot, load_matrices, mma };

// The calling thread waits until all threads of its block are here.
void block_barrier(Site site);

// The calling lane waits until all 32 are here; the last one calls `complete` with what each lane brought.
void warp_collective(Kind kind, Site site, void* argument, void (*complete)(void* const* lanes));

// Ends the launch with an error; called on a thread.
[[noreturn]] void fail(const std::string& what);

// The block's shared memory; fails where it has less than `bytes`.
void* shared_memory(size_t bytes, size_t align);

void copy_async(void* to, const void* from, bool valid, size_t bytes);
void copy_async_commit();
void copy_async_wait(int pending);

// Bodies of collectives, for the last lane to come (collectives.cpp).
struct ShuffleLane {
  const void* value;
  void* result;
  size_t bytes;
  int from;  // lane; its own where that is none
};
void complete_shuffle(void* const* lanes);
struct BallotLane {
  bool predicate;
  unsigned result;
};
void complete_ballot(void* const* lanes);
struct MatrixLane {
  uint32_t* result;
  const void* row;
  bool transposed;
};
void complete_load_matrices(void* const* lanes);
void check_matrix_row(const void* row);
struct MmaLane {
  float* d;
  const uint32_t *a, *b;
};
void complete_mma_tf32(void* const* lanes);
void complete_mma_bfloat16(void* const* lanes);
// A warp's part of a warpgroup's product: 16 rows of it.
struct WarpgroupLane {
  float* d;
  const void *a, *b;
  bool add;
  int bytes;  // of an element
  bool a_along_k, b_along_k;
  int warp;  // of the group's four
};
void complete_warpgroup(void* const* lanes);

struct Launch {
  const char* name;
  const void* kernel;
  dim3 grid, block;
  size_t shared_bytes;
};

// Checks the launch, then enqueues it; `body` is the kernel with its arguments.
void launch(const Launch& launch, cudaStream_t stream, std::function<void()> body);
// Runs it, all blocks and threads. Returns what is to be reported, "" where all went well.
std::string execute(const Launch& launch, const std::function<void()>& body);

// While one of these lives, device memory may be touched (memory.cpp).
struct DeviceAccess {
  DeviceAccess();
  ~DeviceAccess();
};

// Gives a stream work (streams.cpp).
cudaError_t enqueue(cudaStream_t stream, std::function<cudaError_t()> work);
// Whether the stream may run later what it is given.
bool defers(cudaStream_t stream);
// Runs all that the stream was given; the default stream: that all blocking streams were given.
cudaError_t run_stream(cudaStream_t stream);

// Whether this thread is in a capture that forbids calls that would synchronise.
bool capture_forbids();

// Sets the calling thread's last error and its text, and returns the error.
cudaError_t set_error(cudaError_t error, std::string message = {});

// How the next launch of this thread is called in messages.
void name_next_launch(const char* name);

}  // namespace nnx::emulator
