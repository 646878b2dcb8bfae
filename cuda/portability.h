// Everything in which a kernel on a GPU and the same kernel on the emulator differ. No other file of a kernel
// asks which of the two it is compiled for; each function here has a body for both (the emulator's are in
// emulator/intrinsics.h).
#pragma once

#include <cuda_runtime.h>  // the toolkit's, or emulator/cuda_runtime.h

#include <cstddef>
#include <cstdint>

#if defined(NNX_CUDA_EMULATOR)
#include "emulator/intrinsics.h"
#else

namespace nnx::cuda {

inline constexpr unsigned kFullWarp = 0xffffffffu;

// The block's dynamic shared memory, as one struct: a kernel declares what it keeps there as a struct S, and
// is launched with sizeof(S) bytes. There is no other shared memory.
template <class S>
__device__ __forceinline__ S& shared_storage() {
  extern __shared__ __align__(1024) unsigned char nnx_shared_memory[];
  return *reinterpret_cast<S*>(nnx_shared_memory);
}

// A kernel's first statement. A kernel is brought onto the device while the one before it on the stream ends;
// here it waits until that one has ended and what it wrote can be read. As all wait, all that came before has
// ended too.
__device__ __forceinline__ void begin_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}

__device__ __forceinline__ void sync_block() { __syncthreads(); }
__device__ __forceinline__ void sync_warp() { __syncwarp(kFullWarp); }

// Of all 32 lanes; every lane of the warp calls them, at the same place.
template <class T>
__device__ __forceinline__ T shuffle_xor(T value, int lane_mask) {
  return __shfl_xor_sync(kFullWarp, value, lane_mask);
}
template <class T>
__device__ __forceinline__ T shuffle_down(T value, int delta) {
  return __shfl_down_sync(kFullWarp, value, delta);
}
template <class T>
__device__ __forceinline__ T shuffle(T value, int lane) {
  return __shfl_sync(kFullWarp, value, lane);
}
__device__ __forceinline__ unsigned ballot(bool predicate) { return __ballot_sync(kFullWarp, predicate); }

__device__ __forceinline__ void thread_fence() { __threadfence(); }
__device__ __forceinline__ unsigned atomic_add(unsigned* at, unsigned value) { return atomicAdd(at, value); }

// Reads through the read-only cache.
template <class T>
__device__ __forceinline__ T load_constant(const T* at) {
  return __ldg(at);
}

// By one store; `at` is a multiple of 16 bytes.
__device__ __forceinline__ void store_16(void* at, uint4 bytes) { __stwb(static_cast<uint4*>(at), bytes); }

__device__ __forceinline__ float fast_exp(float x) { return __expf(x); }

// The instructions below that read or write shared memory say so to the compiler ("memory"), which would else
// be free to move ordinary loads and stores of it across them.

// Copies 16 (or 4) bytes from global to shared memory, behind the thread's back; zeros where not `valid`, and
// then `from` is not read. Both addresses are multiples of the size. These alone do not tell the compiler:
// loads of shared memory that stand between two copies read other places, and have to be moved ahead of both;
// what is copied is read behind a wait, and written to again behind a barrier.
__device__ __forceinline__ void copy_async_16(void* shared, const void* from, bool valid) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(valid ? 16 : 0));
#else
  *static_cast<float4*>(shared) = valid ? *static_cast<const float4*>(from) : float4{0, 0, 0, 0};
#endif
}
__device__ __forceinline__ void copy_async_4(void* shared, const void* from, bool valid) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(to), "l"(from), "r"(valid ? 4 : 0));
#else
  *static_cast<float*>(shared) = valid ? *static_cast<const float*>(from) : 0.0f;
#endif
}
// Ends a group of copies; waits until at most `Pending` groups of this thread are on their way.
__device__ __forceinline__ void copy_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}
template <int Pending>
__device__ __forceinline__ void copy_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;\n" ::"n"(Pending) : "memory");
#endif
}

// A float rounded to TF32 (10 bits of mantissa; ties away from zero), for a tensor core, which does not look
// at the last 13 bits. cvt.rna.tf32 clears those too: two instructions more.
__device__ __forceinline__ uint32_t to_tf32(float x) {
  const uint32_t bits = __float_as_uint(x);
  return fabsf(x) < INFINITY ? bits + 0x1000u : bits;
}

// Two floats rounded to bfloat16, to nearest even: `low` in the lower half.
__device__ __forceinline__ uint32_t pack_bfloat16(float low, float high) {
  uint32_t bits;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(bits) : "f"(high), "f"(low));
#else
  bits = (__float_as_uint(high) & 0xffff0000u) | (__float_as_uint(low) >> 16);
#endif
  return bits;
}

// d (16, 8) += a (16, 8) b (8, 8), TF32 in, float32 out; fragments as in the PTX manual, mma.m16n8k8:
// group = lane / 4, member = lane % 4; a: (group, member), (group + 8, member), (group, member + 4),
// (group + 8, member + 4); b: (member, group), (member + 4, group); d: (group, 2 member), (group, 2 member +
// 1), (group + 8, 2 member), (group + 8, 2 member + 1).
__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// d (16, 8) += a (16, 16) b (16, 8), bfloat16 pairs in, float32 out, mma.m16n8k16: as above with pairs along
// k: a: (group, 2 member + {0, 1}), (group + 8, ..), (group, 2 member + 8 + {0, 1}), (group + 8, ..); b: (2
// member + {0, 1}, group), (2 member + 8 + {0, 1}, group).
__device__ __forceinline__ void mma_bfloat16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Four 8x8 matrices of 16-bit elements from shared memory, a row of 16 bytes from each lane's address (lanes
// 0-7 the first matrix, and so on): lane l gets elements (l / 4, 2 (l % 4) + {0, 1}) of each.
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* row) {
#if __CUDA_ARCH__ >= 750
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
#endif
}
// The same, each matrix transposed.
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
#if __CUDA_ARCH__ >= 750
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
#endif
}

// Products of warpgroups, four warps together, which compute capability 9.0 has, and no other: only code
// compiled for 9.0a may name them.
#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
inline constexpr bool kHasWarpgroups = false;
#else
inline constexpr bool kHasWarpgroups = true;
#endif
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Where a tile lies in shared memory, 128 bytes to a line, 8 lines to a square of 1024 bytes, swizzled: the
// 16 bytes number c of line l lie at c ^ (l % 8). Along k a line is a row, else one k of 64 rows; then the
// squares of the next 64 rows lie 64 lines further on. `at` + 32 bytes, or + 16 lines, are the next step of
// k.
template <bool kAlongK>
__device__ __forceinline__ uint64_t swizzled_tile(const void* at) {
  const auto place = static_cast<uint64_t>(__cvta_generic_to_shared(at));
  constexpr uint64_t kNextSquare = 1024 >> 4, kNextRows = kAlongK ? 1 : 64 * 128 >> 4, kSwizzle = 1;
  return (place & 0x3ffff) >> 4 | kNextRows << 16 | kNextSquare << 32 | kSwizzle << 62;
}

#define NNX_FOUR(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define NNX_SIXTEEN(d, i) NNX_FOUR(d, i), NNX_FOUR(d, i + 4), NNX_FOUR(d, i + 8), NNX_FOUR(d, i + 12)
#define NNX_SUMS(d) NNX_SIXTEEN(d, 0), NNX_SIXTEEN(d, 16), NNX_SIXTEEN(d, 32), NNX_SIXTEEN(d, 48)
#define NNX_NAMES                                                                                \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,"  \
  "%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
  "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}"

// d (64, 128) = [d +] a (64, 32 bytes of k) b (32 bytes of k, 128), of tiles as above, in the background.
// Thread t of the four warps has, of rows 16 (t / 32) + t % 32 / 4 + {0, 8}, columns 8 j + t % 4 * 2 + {0,
// 1}: d[4 j + {0, 1}] of the first row, d[4 j + {2, 3}] of the second.
template <bool kAAlongK, bool kBAlongK>
__device__ __forceinline__ void warpgroup_multiply_bfloat16(float (&d)[64], const void* a, const void* b,
                                                            bool add) {
  asm volatile(
      "{.reg .pred add; setp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " NNX_NAMES ", %64, %65, add, 1, 1, %67, %68;}\n"
      : NNX_SUMS(d)
      : "l"(swizzled_tile<kAAlongK>(a)), "l"(swizzled_tile<kBAlongK>(b)), "r"(static_cast<int>(add)),
        "n"(kAAlongK ? 0 : 1), "n"(kBAlongK ? 0 : 1));
}
__device__ __forceinline__ void warpgroup_multiply_tf32(float (&d)[64], const void* a, const void* b,
                                                        bool add) {
  asm volatile(
      "{.reg .pred add; setp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k8.f32.tf32.tf32 " NNX_NAMES ", %64, %65, add, 1, 1;}\n"
      : NNX_SUMS(d)
      : "l"(swizzled_tile<true>(a)), "l"(swizzled_tile<true>(b)), "r"(static_cast<int>(add)));
}

// The compiler may not move sums while a product may still write them.
__device__ __forceinline__ void pin_sums(float (&d)[64]) {
#pragma unroll
  for (int i = 0; i < 64; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
__device__ __forceinline__ void warpgroup_begin() {
  asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory");
}
__device__ __forceinline__ void warpgroup_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory");
}
template <int Pending>
__device__ __forceinline__ void warpgroup_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(Pending) : "memory");
}
// What this thread, and its finished copies, wrote to shared memory can be read by products of warpgroups,
// behind a barrier.
__device__ __forceinline__ void publish_to_warpgroups() {
  asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
}

#else

template <bool kAAlongK, bool kBAlongK>
__device__ __forceinline__ void warpgroup_multiply_bfloat16(float (&)[64], const void*, const void*, bool) {}
__device__ __forceinline__ void warpgroup_multiply_tf32(float (&)[64], const void*, const void*, bool) {}
__device__ __forceinline__ void pin_sums(float (&)[64]) {}
__device__ __forceinline__ void warpgroup_begin() {}
__device__ __forceinline__ void warpgroup_commit() {}
template <int Pending>
__device__ __forceinline__ void warpgroup_wait() {}
__device__ __forceinline__ void publish_to_warpgroups() {}

#endif

// For the emulator's messages.
inline void name_next_launch(const char*) {}

// Whether the code for the current device has begin_kernel's wait (device.cu).
bool launches_early();

// Where it has, without a wait for the kernel before it. The launch's own error: the runtime's note of the
// last one may be of another call.
template <class... P, class... A>
inline cudaError_t launch_kernel(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes,
                                 cudaStream_t stream, A&&... arguments) {
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid, config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes, config.stream = stream;
  config.attrs = &early, config.numAttrs = launches_early() ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...);
}

}  // namespace nnx::cuda

#endif
