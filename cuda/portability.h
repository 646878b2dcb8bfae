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
  extern __shared__ __align__(128) unsigned char nnx_shared_memory[];
  return *reinterpret_cast<S*>(nnx_shared_memory);
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
// then `from` is not read. Both addresses are multiples of the size.
__device__ __forceinline__ void copy_async_16(void* shared, const void* from, bool valid) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(valid ? 16 : 0)
               : "memory");
#else
  *static_cast<float4*>(shared) = valid ? *static_cast<const float4*>(from) : float4{0, 0, 0, 0};
#endif
}
__device__ __forceinline__ void copy_async_4(void* shared, const void* from, bool valid) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(to), "l"(from), "r"(valid ? 4 : 0)
               : "memory");
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

// For the emulator's messages.
inline void name_next_launch(const char*) {}

template <class... P, class... A>
inline void launch_kernel(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes,
                          cudaStream_t stream, A&&... arguments) {
  // clang-format off
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<P>(arguments)...);
  // clang-format on
}

}  // namespace nnx::cuda

#endif
