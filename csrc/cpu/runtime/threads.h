// The thread pool: one parallel region runs a whole program; its phases are parted by barriers that spin
// briefly and then sleep.
#pragma once

#include <functional>

#include "core/context.h"

namespace nnx::cpu {

inline constexpr int kMaxThreads = 256;

// Threads a region may have: NNX_NUM_THREADS, else the CPUs of this process's affinity mask and cgroup quota.
int default_num_threads();
int num_threads();
void set_num_threads(int count);  // >= 1; checked by the caller

// Runs body on `threads` threads, the caller among them as rank 0. A region inside a region, and a region
// while another thread of the process holds the pool, runs on the calling thread alone. An exception of rank
// 0 is rethrown; the others must not throw.
void run_region(int threads, void* workspace, const std::function<void(Context&)>& body);

}  // namespace nnx::cpu

namespace nnx {

// Takes the next chunk of the current loop; false when all are taken. Only through for_each.
bool team_next(Context& context, int64_t chunks, int64_t* chunk);
// Waits for the whole team and opens the next phase.
void team_barrier(Context& context);

}  // namespace nnx
