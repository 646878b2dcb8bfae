// The emulator's own tests. `main switch`: nanoseconds of a fiber switch instead.
#include <chrono>

#include "check.h"

using namespace nnx::cuda;

namespace {

void spin(int rounds) {
  for (int i = 0; i < rounds; ++i) sync_warp();
}

void time_switches(int threads) {
  nnx_emulator_counters before, after;
  run(spin, 1, threads, 0, 100);
  nnx_emulator_count(&before);
  const auto start = std::chrono::steady_clock::now();
  run(spin, 1, threads, 0, 2'000'000 / threads);
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  nnx_emulator_count(&after);
  std::printf("%d threads: %.1f ns a switch\n", threads,
              time.count() / static_cast<double>(after.switches - before.switches));
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1 && std::strcmp(arguments[1], "switch") == 0) {
    for (const int threads : {32, 128, 256, 1024}) time_switches(threads);
    return 0;
  }
  test_barriers();
  test_collectives();
  test_copies();
  test_errors();
  test_runtime();
  std::printf("%d failures\n", failures);
  return failures != 0;
}
