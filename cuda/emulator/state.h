// What the emulator's own files share: settings and counters.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulator/emulator.h"
#include "emulator/runtime_api.h"

namespace nnx::emulator {

enum class Schedule : int { forward, reverse, random };
enum class Streams : int { now, late, random };

struct Settings {
  Schedule schedule = Schedule::forward;
  uint64_t seed = 0;
  Streams streams = Streams::now;
  uint64_t streams_seed = 0;
  int64_t fail_allocation = 0;  // counts down to the allocation that fails
  int64_t fail_times = 0;       // and how many then
  int64_t memory = int64_t{2} << 30;
  bool protect = false;
  int devices = 1;
  int driver = CUDART_VERSION;
  cudaError_t start_error = cudaSuccess;
  int capability[2] = {90, 90};  // of the first device and of the others
  int code = 90;                 // the newest that kernels were compiled for
};
Settings current_settings();

bool allocation_fails();  // counts an allocation

extern nnx_emulator_counters totals;

// splitmix64
inline uint64_t next_random(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

inline constexpr size_t kMaxSharedBytes = size_t{227} << 10, kSharedAlignment = 1024;

}  // namespace nnx::emulator
