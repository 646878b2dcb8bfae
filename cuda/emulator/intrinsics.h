// The emulator's bodies of what portability.h declares. Barriers and collectives know where they stand by
// arguments that nobody passes.
#pragma once

#include <tuple>
#include <utility>

#include "emulator/machine.h"

#define NNX_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace nnx::cuda {

inline constexpr unsigned kFullWarp = 0xffffffffu;

template <class S>
S& shared_storage() {
  return *static_cast<S*>(emulator::shared_memory(sizeof(S), alignof(S)));
}

inline void begin_kernel() {}

inline void sync_block(NNX_SITE) { emulator::block_barrier({file, line}); }
inline void sync_warp(NNX_SITE) {
  emulator::warp_collective(emulator::Kind::sync_warp, {file, line}, nullptr, [](void* const*) {});
}

template <class T>
T shuffle_from(T value, int lane, emulator::Site site) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "as on a GPU");
  T result{};
  emulator::ShuffleLane argument{&value, &result, sizeof(T), lane};
  emulator::warp_collective(emulator::Kind::shuffle, site, &argument, emulator::complete_shuffle);
  return result;
}
inline int lane_of_thread() {
  return static_cast<int>((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32);
}
template <class T>
T shuffle_xor(T value, int lane_mask, NNX_SITE) {
  return shuffle_from(value, lane_of_thread() ^ lane_mask, {file, line});
}
template <class T>
T shuffle_down(T value, int delta, NNX_SITE) {
  return shuffle_from(value, lane_of_thread() + delta, {file, line});
}
template <class T>
T shuffle(T value, int lane, NNX_SITE) {
  return shuffle_from(value, lane & 31, {file, line});
}
inline unsigned ballot(bool predicate, NNX_SITE) {
  emulator::BallotLane argument{predicate, 0};
  emulator::warp_collective(emulator::Kind::ballot, {file, line}, &argument, emulator::complete_ballot);
  return argument.result;
}

inline void thread_fence() {}
inline unsigned atomic_add(unsigned* at, unsigned value) { return std::exchange(*at, *at + value); }

template <class T>
T load_constant(const T* at) {
  return *at;
}

inline void store_16(void* at, uint4 bytes) { *static_cast<uint4*>(at) = bytes; }

inline float fast_exp(float x) { return expf(x); }

inline void copy_async_16(void* shared, const void* from, bool valid) {
  emulator::copy_async(shared, from, valid, 16);
}
inline void copy_async_4(void* shared, const void* from, bool valid) {
  emulator::copy_async(shared, from, valid, 4);
}
inline void copy_async_commit() { emulator::copy_async_commit(); }
template <int Pending>
void copy_async_wait() {
  emulator::copy_async_wait(Pending);
}

inline uint32_t to_tf32(float x) {
  const uint32_t bits = __float_as_uint(x);
  return std::isfinite(x) ? bits + 0x1000u : bits;
}

inline uint32_t to_bfloat16(float x) {
  const uint32_t bits = __float_as_uint(x);
  return std::isnan(x) ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
inline uint32_t pack_bfloat16(float low, float high) { return to_bfloat16(low) | to_bfloat16(high) << 16; }

inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], NNX_SITE) {
  emulator::MmaLane argument{d, a, b};
  emulator::warp_collective(emulator::Kind::mma, {file, line}, &argument, emulator::complete_mma_tf32);
}
inline void mma_bfloat16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], NNX_SITE) {
  emulator::MmaLane argument{d, a, b};
  emulator::warp_collective(emulator::Kind::mma, {file, line}, &argument, emulator::complete_mma_bfloat16);
}

inline void load_matrices(uint32_t (&r)[4], const void* row, NNX_SITE) {
  emulator::check_matrix_row(row);
  emulator::MatrixLane argument{r, row, false};
  emulator::warp_collective(emulator::Kind::load_matrices, {file, line}, &argument,
                            emulator::complete_load_matrices);
}
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row, NNX_SITE) {
  emulator::check_matrix_row(row);
  emulator::MatrixLane argument{r, row, true};
  emulator::warp_collective(emulator::Kind::load_matrices, {file, line}, &argument,
                            emulator::complete_load_matrices);
}

inline constexpr bool kHasWarpgroups = true;
template <bool kAAlongK, bool kBAlongK>
void warpgroup_multiply_bfloat16(float (&d)[64], const void* a, const void* b, bool add, NNX_SITE) {
  emulator::WarpgroupLane argument{d, a,        b,        add,
                                   2, kAAlongK, kBAlongK, static_cast<int>(threadIdx.x) / 32 % 4};
  emulator::warp_collective(emulator::Kind::mma, {file, line}, &argument, emulator::complete_warpgroup);
}
inline void warpgroup_multiply_tf32(float (&d)[64], const void* a, const void* b, bool add, NNX_SITE) {
  emulator::WarpgroupLane argument{d, a, b, add, 4, true, true, static_cast<int>(threadIdx.x) / 32 % 4};
  emulator::warp_collective(emulator::Kind::mma, {file, line}, &argument, emulator::complete_warpgroup);
}
inline void pin_sums(float (&)[64]) {}
inline void warpgroup_begin() {}
inline void warpgroup_commit() {}
template <int Pending>
void warpgroup_wait() {}
inline void publish_to_warpgroups() {}

using emulator::name_next_launch;

// The arguments are copied now; each thread gets its own.
template <class... P, class... A>
cudaError_t launch_kernel(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes,
                          cudaStream_t stream, A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A));
  cudaGetLastError();
  emulator::launch({nullptr, reinterpret_cast<const void*>(kernel), grid, block, shared_bytes}, stream,
                   [kernel, copies = std::tuple<P...>(static_cast<P>(std::forward<A>(arguments))...)] {
                     std::apply(kernel, copies);
                   });
  return cudaPeekAtLastError();
}

}  // namespace nnx::cuda

#undef NNX_SITE
