// The one way a kernel is launched, and what kernels share: grids, scalars, the scratch memory of a stream.
#pragma once

#include <algorithm>

#include "core/context.h"
#include "portability.h"

namespace nnx::cuda {

inline cudaStream_t stream_of(const Context& context) { return static_cast<cudaStream_t>(context.stream); }

// Remembers the first error of a device's kernels until somebody who may throw asks for it (device.cu).
void report_error(cudaError_t error, const char* what);

// Enqueues kernel(arguments...) on the context's stream. `name`: for error messages. An empty grid is no
// launch.
template <class... P, class... A>
void launch(Context& context, const char* name, void (*kernel)(P...), dim3 grid, dim3 block,
            size_t shared_bytes, A&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (shared_bytes > 48 * 1024) {
    const cudaError_t error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return report_error(error, name);
  }
  name_next_launch(name);
  const cudaError_t error =
      launch_kernel(kernel, grid, block, shared_bytes, stream_of(context), static_cast<A&&>(arguments)...);
  if (error != cudaSuccess) report_error(error, name);
}

template <class I>
constexpr __host__ __device__ I ceil_div(I a, I b) {
  return (a + b - 1) / b;
}

// Blocks for `work` items of which a block takes `per_block`; kernels go round (grid-stride) beyond the
// limit.
inline unsigned blocks_for(int64_t work, int64_t per_block, int64_t limit = 4096) {
  return static_cast<unsigned>(std::min(ceil_div(work, per_block), limit));
}

template <class T>
__device__ __forceinline__ T value_of(const Live<T>& live) {
  return live.at != nullptr ? *live.at : live.value;
}

// Context::scratch on a CUDA device: kScratchBytes that all kernels of the stream share, one after the other.
// The first 4 KiB are counters, zero between kernels: whoever counts there puts them back to zero. The rest
// is undefined.
inline constexpr int64_t kCounters = 1024;
inline unsigned* counters_of(const Context& context) { return static_cast<unsigned*>(context.scratch); }
template <class T>
T* scratch_of(const Context& context) {
  return reinterpret_cast<T*>(static_cast<char*>(context.scratch) + kCounters * sizeof(unsigned));
}
inline constexpr int64_t kUsableScratch = kScratchBytes - kCounters * static_cast<int64_t>(sizeof(unsigned));

// True, for all threads, in the block that is the last of `blocks` to come here; what the others wrote before
// can then be read. Leaves the counter at zero.
__device__ __forceinline__ bool last_block(unsigned* counter, unsigned blocks, bool& flag) {
  sync_block();
  if (threadIdx.x == 0) {
    // After the barrier, so that the fence orders what all threads of the block wrote, not the first's alone.
    thread_fence();
    flag = atomic_add(counter, 1u) == blocks - 1;
    if (flag) *counter = 0;
    thread_fence();
  }
  sync_block();
  return flag;
}

// Whether four elements at a time can be loaded from and stored to all of the arrays, by accesses of up to 16
// bytes; a null pointer does not count.
template <class... T>
inline bool aligned(const T*... p) {
  return ((reinterpret_cast<uintptr_t>(p) % std::min<size_t>(4 * sizeof(T), 16) == 0) && ...);
}

// = or += by policy
template <class T>
__device__ __forceinline__ void put(T* at, T value, Policy policy) {
  *at = policy == Policy::accumulate ? *at + value : value;
}

}  // namespace nnx::cuda
