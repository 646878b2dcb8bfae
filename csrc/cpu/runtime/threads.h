// The thread pool. A region lets a program's parallel loops use other threads: the calling thread runs the
// program, and publishes each loop; threads that are free take chunks of it. Nobody waits for a thread that
// holds no chunk, so a thread whose core another process uses costs its share and no more.
#pragma once

#include <functional>

#include "core/context.h"

namespace nnx::cpu {

inline constexpr int kMaxThreads = 256;

// Threads a region may have: NNX_NUM_THREADS, else the CPUs of this process's affinity mask and cgroup quota.
int default_num_threads();
int num_threads();
void set_num_threads(int count);  // >= 1; checked by the caller

// Runs body on the calling thread with a team of `threads`, itself counted. A region inside a region, and a
// region while another thread of the process holds the pool, has no team.
void run_region(int threads, void* workspace, const std::function<void(Context&)>& body);

// The calling thread's kScratchBytes.
void* thread_scratch();

// chunk(body, i) for every i in [0, chunks), on the team; returns when all are done. Only through for_each.
void share_chunks(Team& team, int64_t chunks, void (*chunk)(const void* body, int64_t i), const void* body);

}  // namespace nnx::cpu
