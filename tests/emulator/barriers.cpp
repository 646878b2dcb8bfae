// Threads, blocks, barriers, shared memory.
#include <thread>

#include "check.h"

using namespace nnx::cuda;

namespace {

struct Tiles {
  float a[16][16], b[16][16];
};

// c (n, n) = a (n, n) b (n, n), 16 x 16 tiles; without its first or second barrier where that is asked for.
template <bool First, bool Second>
__global__ void multiply(const float* a, const float* b, float* c, int n) {
  Tiles& tiles = shared_storage<Tiles>();
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const int row = static_cast<int>(blockIdx.y) * 16 + y, column = static_cast<int>(blockIdx.x) * 16 + x;
  float sum = 0;
  for (int k = 0; k < n; k += 16) {
    tiles.a[y][x] = a[row * n + k + x];
    tiles.b[y][x] = b[(k + y) * n + column];
    if (First) sync_block();
    for (int i = 0; i < 16; ++i) sum += tiles.a[y][i] * tiles.b[i][x];
    if (Second) sync_block();
  }
  c[row * n + column] = sum;
}

template <bool First, bool Second>
int exact_products() {
  constexpr int n = 48;
  Array<float> a(n * n), b(n * n), c(n * n);
  unsigned state = 1;
  for (int i = 0; i < n * n; ++i) a[i] = draw_integer(state), b[i] = draw_integer(state);
  return over_schedules([&] {
    cudaMemset(c.data, 0xff, n * n * sizeof(float));
    CHECK(run(multiply<First, Second>, dim3(3, 3), dim3(16, 16), sizeof(Tiles), a.data, b.data, c.data, n) ==
          "");
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) {
        float sum = 0;
        for (int k = 0; k < n; ++k) sum += a[i * n + k] * b[k * n + j];
        if (!(sum == c[i * n + j])) return false;
      }
    }
    return true;
  });
}

__global__ void where(int* visits, uint3* threads) {
  const int block = static_cast<int>(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
  const int thread = static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
  ++visits[block * 60 + thread];
  if (block == 0) threads[thread] = threadIdx;
}

void test_indices() {
  CHECK(over_schedules([] {
          Array<int> visits(2 * 3 * 7 * 60);
          Array<uint3> threads(60);
          cudaMemset(visits.data, 0, visits.size * sizeof(int));
          CHECK(run(where, dim3(2, 3, 7), dim3(5, 4, 3), 0, visits.data, threads.data) == "");
          bool right = true;
          for (size_t i = 0; i < visits.size; ++i) right &= visits[i] == 1;
          for (unsigned i = 0; i < 60; ++i)
            right &= threads[i].x == i % 5 && threads[i].y == i / 5 % 4 && threads[i].z == i / 20;
          return right;
        }) == kScheduleCount);
}

__global__ void left_over(float* out) {
  struct Word {
    float x;
  };
  out[blockIdx.x] = shared_storage<Word>().x;
  shared_storage<Word>().x = 1;
}

__global__ void count(unsigned* total) { atomic_add(total, threadIdx.x + 1); }

__global__ void last_block(unsigned* counter, int* sums, int* total) {
  sums[blockIdx.x] = static_cast<int>(blockIdx.x) + 1;
  thread_fence();
  if (atomic_add(counter, 1) != gridDim.x - 1) return;
  *total = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) *total += sums[i];
}

__global__ void add_one(float* x, int n) {
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) x[i] += 1;
}

// When each thread came by, before and after a barrier.
__global__ void turns(int* turn, int* at) {
  const int block = static_cast<int>(blockIdx.x * blockDim.x), thread = static_cast<int>(threadIdx.x);
  turn[2 * (block + thread)] = (*at)++;
  sync_block();
  turn[2 * (block + thread) + 1] = (*at)++;
}

std::vector<int> turns_of(int order, uint64_t seed) {
  nnx_emulator_schedule(order, seed);
  Array<int> turn(2 * 3 * 70), at(1);
  at[0] = 0;
  CHECK(run(turns, 3, 70, 0, turn.data, at.data) == "");
  nnx_emulator_schedule(0, 0);
  return {turn.data, turn.data + turn.size};
}

void test_schedules() {
  const std::vector<int> forward = turns_of(0, 0), reverse = turns_of(1, 0);
  bool right = true;
  for (int block = 0; block < 3; ++block) {
    for (int thread = 0; thread < 70; ++thread) {
      const size_t i = static_cast<size_t>(2 * (block * 70 + thread));
      right &= forward[i] == 140 * block + thread && forward[i + 1] == forward[i] + 70;
      right &= reverse[i] == 140 * (2 - block) + 69 - thread && reverse[i + 1] == reverse[i] + 70;
    }
  }
  CHECK(right);
  CHECK(turns_of(2, 1) == turns_of(2, 1) && turns_of(2, 1) != turns_of(2, 2));
}

void test_cost() {
  Array<float> x(1000);
  nnx_emulator_counters before, after;
  nnx_emulator_count(&before);
  CHECK(run(add_one, 5, 256, 0, x.data, 1000) == "");
  nnx_emulator_count(&after);
  CHECK(after.switches - before.switches == 2 * 5);  // a block without barriers: there and back
  CHECK(after.launches - before.launches == 1);
  CHECK(after.blocks - before.blocks == 5);
  CHECK(after.threads - before.threads == 5 * 256);
}

// Launches from several threads take turns.
void test_host_threads() {
  const auto work = [] {
    for (int i = 0; i < 20; ++i) CHECK((exact_products<true, true>() == kScheduleCount));
  };
  std::thread other(work);
  work();
  other.join();
}

}  // namespace

void test_barriers() {
  CHECK((exact_products<true, true>() == kScheduleCount));
  CHECK((exact_products<false, true>() == 0));
  CHECK((exact_products<true, false>() == 0));
  test_indices();
  Array<float> out(2);
  CHECK(run(left_over, 2, 1, 4, out.data) == "");
  CHECK(out[0] != out[0] && out[1] != out[1]);
  Array<unsigned> total(1);
  total[0] = 0;
  CHECK(run(count, 3, 100, 0, total.data) == "");
  CHECK(total[0] == 3 * 5050);
  CHECK(over_schedules([] {
          Array<unsigned> counter(1);
          Array<int> sums(9), sum(1);
          counter[0] = 0;
          CHECK(run(last_block, 9, 1, 0, counter.data, sums.data, sum.data) == "");
          return sum[0] == 45;
        }) == kScheduleCount);
  test_schedules();
  test_cost();
  test_host_threads();
}
