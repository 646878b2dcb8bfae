// The emulator's own controls, for tests, and what it is.
//
// A small SIMT machine: the .cu files, compiled by g++, run on it thread by thread. A CUDA thread is a fiber
// that runs until it comes to a barrier or a warp collective, and then another one does; the order is the
// schedule's. Shared memory is NaN bytes before each block, device memory is after each cudaMalloc; an
// asynchronous copy lands when it is waited for and leaves NaN bytes until then. So what a kernel must not
// rely on, it does not get.
//
// Errors (cudaErrorLaunchFailure; cudaGetErrorString tells kernel, block, thread and place): a barrier or a
// collective that some thread does not come to, or comes to at another place; a collective in a warp of fewer
// than 32 lanes; writing past shared memory; copies from or to where they may not be; misaligned vector
// copies. Limits of launches are a GPU's. Memory errors are AddressSanitizer's to find: build with it.
//
// It cannot see: races between blocks (they run one after another) and memory fences; the order of streams,
// where they run at once; alignment faults of plain loads and stores; FMA contraction; how a tensor core
// rounds sums, and approximate functions; a value that goes through shared memory from lane to lane with
// nothing but a shuffle or an mma between (here those are barriers of the warp); device code that reads host
// memory; registers and occupancy; speed. Those need a GPU.
//
// Launches are serialised: one machine per process, whatever thread calls.
#pragma once

#include <cstdint>

extern "C" {

// The order in which threads (and blocks) take their turns: 0 forward, 1 reverse, 2 at random by `seed`. At
// start: NNX_EMULATOR_SCHEDULE = forward | reverse | random | random:SEED.
void nnx_emulator_schedule(int schedule, uint64_t seed);

// When a stream runs what it is given: 0 at once, 1 late: when somebody waits for it, 2 at random by `seed`:
// some works of one stream whenever any is given work. What comes too early or too late for a missing wait
// then does so here as well. At start: NNX_EMULATOR_STREAMS = now | late | random | random:SEED.
void nnx_emulator_streams(int mode, uint64_t seed);

// The n-th allocation from now of device or page-locked memory (1: the next) fails with
// cudaErrorMemoryAllocation, and `times` - 1 after it; 0: none. At start: NNX_EMULATOR_FAIL_ALLOCATION = n |
// n:times.
void nnx_emulator_fail_allocation(int64_t n, int64_t times);

// Bytes of device memory. At start: NNX_EMULATOR_MEMORY, or 2 GiB.
void nnx_emulator_memory(int64_t bytes);

// Host code that touches device memory that is allocated from now on crashes; so does a kernel that goes
// past its last page. Slower. At start: NNX_EMULATOR_PROTECT = 1.
void nnx_emulator_protect(int on);

// Devices that there are. At start: NNX_EMULATOR_DEVICES, or 1.
void nnx_emulator_devices(int count);

// What a machine may lack, for messages that tell: NNX_EMULATOR_DRIVER = 12080, the CUDA version that its
// driver supports, 0: no driver; NNX_EMULATOR_ERROR = 999, what asking for devices fails with;
// NNX_EMULATOR_CAPABILITY = 61,86, the compute capability of the first device and of the others (there is
// code for 7.5 and above); NNX_EMULATOR_CODE = 75, the newest that the code is for.

// Since the start. `live`: device allocations that were not freed.
struct nnx_emulator_counters {
  int64_t launches, blocks, threads, switches, block_barriers, collectives;
  int64_t allocations, frees, live, live_bytes;
};
void nnx_emulator_count(struct nnx_emulator_counters* counters);

// What the last failed launch or call of this thread did wrong; "" where nothing did.
const char* nnx_emulator_message(void);

}  // extern "C"
