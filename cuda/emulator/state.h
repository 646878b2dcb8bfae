// What the emulator's own files share: settings and counters.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulator/emulator.h"

namespace nnx::emulator {

enum class Schedule : int { forward, reverse, random };

struct Settings {
  Schedule schedule = Schedule::forward;
  uint64_t seed = 0;
  int64_t fail_allocation = 0;  // counts down to the allocation that fails
  int64_t fail_times = 0;       // and how many then
  int64_t memory = int64_t{2} << 30;
  int devices = 1;
};
Settings current_settings();

bool allocation_fails();  // counts an allocation

extern nnx_emulator_counters totals;

inline constexpr size_t kMaxSharedBytes = size_t{227} << 10;

}  // namespace nnx::emulator
