// Checks that count, kernels' memory, and launches whose error is the result.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "emulator/emulator.h"
#include "portability.h"

inline int failures = 0;

#define CHECK(condition)                                                                      \
  do {                                                                                        \
    if (!(condition)) ++failures, std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
  } while (false)

// The error's text has `part`.
#define CHECK_TEXT(text, part)                                                       \
  do {                                                                               \
    const std::string whole = (text);                                                \
    if (whole.find(part) == std::string::npos)                                       \
      ++failures, std::printf("%s:%d: \"%s\"\n", __FILE__, __LINE__, whole.c_str()); \
  } while (false)

// Device memory, which a test may look into.
template <class T>
struct Array {
  T* data = nullptr;
  size_t size;
  explicit Array(size_t n) : size(n) { CHECK(cudaMalloc(&data, n * sizeof(T)) == cudaSuccess); }
  Array(const Array&) = delete;
  ~Array() { cudaFree(data); }
  T& operator[](size_t i) { return data[i]; }
};

// Returns the error's text, "" where there is none.
template <class... P, class... A>
std::string run(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A&&... arguments) {
  nnx::cuda::name_next_launch("tested");
  nnx::cuda::launch_kernel(kernel, grid, block, shared, nullptr, std::forward<A>(arguments)...);
  return cudaGetLastError() == cudaSuccess ? "" : nnx_emulator_message();
}

// Runs `body` in a process of its own; true where that did not end well.
template <class F>
bool dies(F body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    std::fclose(stderr);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status != 0;
}

struct Schedule {
  int order;
  uint64_t seed;
};
inline const Schedule kSchedules[] = {{0, 0}, {1, 0}, {2, 1}, {2, 2}, {2, 3}};

// Calls `body` under each schedule; returns under how many it returned true.
template <class F>
int over_schedules(F body) {
  int count = 0;
  for (const Schedule schedule : kSchedules) {
    nnx_emulator_schedule(schedule.order, schedule.seed);
    count += body();
  }
  nnx_emulator_schedule(0, 0);
  return count;
}
inline constexpr int kScheduleCount = 5;

inline unsigned draw(unsigned& state) { return state = state * 1664525u + 1013904223u; }
inline float draw_integer(unsigned& state) {
  return static_cast<float>(static_cast<int>(draw(state) >> 8) % 33 - 16);
}

void test_barriers();
void test_collectives();
void test_copies();
void test_errors();
void test_runtime();
