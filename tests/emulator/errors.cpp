// What a kernel may not do, and that the next launch is none the worse for it.
#include "check.h"
#include "emulator/sanitizer.h"

using namespace nnx::cuda;

namespace {

__global__ void barriers_differ() {
  if (threadIdx.x < 32) {
    sync_block();
  } else {
    sync_block();
  }
}
__global__ void returns_before_a_barrier() {
  if (threadIdx.x == 5) return;
  sync_block();
}
__global__ void returns_before_a_shuffle(float* out) {
  if (threadIdx.x == 37) return;
  out[threadIdx.x] = shuffle_xor(1.0f, 1);
}
__global__ void shuffles_differ(float* out) {
  if (threadIdx.x % 2 == 0) {
    out[threadIdx.x] = shuffle_xor(1.0f, 2);
  } else {
    out[threadIdx.x] = shuffle_xor(1.0f, 2);
  }
}
__global__ void barrier_against_shuffle(float* out) {
  if (threadIdx.x == 3) sync_block();
  out[threadIdx.x] = shuffle_xor(1.0f, 2);
  if (threadIdx.x != 3) sync_block();
}
// The first warp waits for the second, which waits at another barrier.
__global__ void one_barrier_more(int n) {
  for (int i = 0; i < n + (threadIdx.x < 32 ? 1 : 0); ++i) sync_block();
}
__global__ void right(float* out) {
  sync_block();
  out[threadIdx.x] = shuffle_xor(static_cast<float>(threadIdx.x), 1);
}
struct Words {
  float x[3];
};
__global__ void writes_past(int i) { reinterpret_cast<volatile float*>(&shared_storage<Words>())[i] = 1; }
__global__ void wants_shared() { shared_storage<Words>().x[0] = 1; }
[[maybe_unused]] __global__ void reads(const float* in, float* out) { *out = *in; }

void test_divergence() {
  Array<float> out(64);
  over_schedules([&] {
    const std::string error = run(barriers_differ, dim3(1, 2), 64, 0);
    CHECK_TEXT(error, "kernel tested, block (0, ");
    CHECK_TEXT(error, "different barriers: thread (0, 0, 0) waits at sync_block (");
    CHECK_TEXT(error, "), but thread (32, 0, 0) waits at sync_block (");
    CHECK_TEXT(run(returns_before_a_barrier, 1, 64, 0), "but thread (5, 0, 0) has returned");
    CHECK_TEXT(run(returns_before_a_shuffle, 1, 64, 0, out.data), "but thread (37, 0, 0) has returned");
    CHECK_TEXT(run(shuffles_differ, 1, 32, 0, out.data),
               "different collectives: thread (0, 0, 0) waits at a shuffle");
    CHECK_TEXT(run(barrier_against_shuffle, 1, 32, 0, out.data),
               "deadlock: thread (0, 0, 0) waits at a shuffle (");
    CHECK_TEXT(run(one_barrier_more, 1, 64, 0, 3), "deadlock: thread (0, 0, 0) waits at sync_block (");
    CHECK_TEXT(run(right, 1, 40, 0, out.data), "in a warp of fewer than 32 lanes");
    CHECK(run(right, 1, 64, 0, out.data) == "");
    for (int i = 0; i < 64; ++i) CHECK(out[i] == static_cast<float>(i ^ 1));
    return true;
  });
  run(returns_before_a_barrier, 1, 64, 0);
  CHECK_TEXT(cudaGetErrorString(cudaErrorLaunchFailure),
             "emulator: kernel tested, block (0, 0, 0): deadlock");
  CHECK(cudaGetLastError() == cudaSuccess);
}

void test_memory_of_kernels() {
  CHECK(run(writes_past, 1, 1, sizeof(Words), 2) == "");
  CHECK_TEXT(run(wants_shared, 1, 1, sizeof(Words) - 1),
             "wants 12 bytes of shared memory, was launched with 11");
#ifdef NNX_ADDRESS_SANITIZER
  CHECK(dies([] { run(writes_past, 1, 1, sizeof(Words), 3); }));
  CHECK(dies([] { run(writes_past, 1, 1, sizeof(Words), -1); }));
  Array<float> in(5), out(1);
  CHECK(!dies([&] { run(reads, 1, 1, 0, in.data + 4, out.data); }));
  CHECK(dies([&] { run(reads, 1, 1, 0, in.data + 5, out.data); }));
  CHECK(dies([&] { run(reads, 1, 1, 0, in.data - 1, out.data); }));
#else
  CHECK_TEXT(run(writes_past, 1, 1, sizeof(Words), 3), "past its 12 bytes of shared memory");
  CHECK_TEXT(run(writes_past, 1, 1, sizeof(Words), -1), "before its 12 bytes of shared memory");
#endif
  CHECK(run(writes_past, 1, 1, sizeof(Words), 0) == "");
}

void test_limits() {
  Array<float> out(1024);
  CHECK(run(right, 1, 1024, 0, out.data) == "");
  CHECK_TEXT(run(right, 1, 1056, 0, out.data), "threads of a block 1056, the limit is 1024");
  CHECK_TEXT(run(right, 1, dim3(32, 8, 8), 0, out.data), "threads of a block 2048, the limit is 1024");
  CHECK_TEXT(run(right, 1, dim3(1, 1, 65), 0, out.data), "block z 65, the limit is 64");
  CHECK_TEXT(run(right, dim3(1, 65536), 32, 0, out.data), "grid y 65536, the limit is 65535");
  CHECK_TEXT(run(right, dim3(1, 1, 65536), 32, 0, out.data), "grid z 65536, the limit is 65535");
  CHECK_TEXT(run(right, 0, 32, 0, out.data), "an empty grid");
  CHECK_TEXT(run(right, 1, 0, 0, out.data), "an empty block");
  CHECK(run(wants_shared, 1, 1, 48 << 10) == "");
  CHECK_TEXT(run(wants_shared, 1, 1, (48 << 10) + 1), "49153 bytes of shared memory, the limit is 49152");
  CHECK(cudaFuncSetAttribute(wants_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 << 10) ==
        cudaSuccess);
  CHECK(run(wants_shared, 1, 1, 227 << 10) == "");
  CHECK_TEXT(run(right, 1, 32, (48 << 10) + 1, out.data), "the limit is 49152");  // of each kernel
  CHECK(cudaFuncSetAttribute(right, cudaFuncAttributeMaxDynamicSharedMemorySize, (227 << 10) + 1) ==
        cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
}

}  // namespace

void test_errors() {
  test_divergence();
  test_memory_of_kernels();
  test_limits();
}
