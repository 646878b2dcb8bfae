// Asynchronous copies: they land when they are waited for, and not before.
#include "check.h"

using namespace nnx::cuda;

namespace {

struct Stages {
  float4 x[2][64];
};

enum class Wait { right, none, too_few, no_commit, no_barrier };

// Doubles `in` (n tiles of 64 float4), one tile ahead of the arithmetic. Thread t uses what thread 63 - t
// copied.
template <Wait W>
__global__ void twice(const float4* in, float4* out, int n) {
  Stages& stages = shared_storage<Stages>();
  const unsigned t = threadIdx.x;
  copy_async_16(&stages.x[0][t], in + t, true);
  copy_async_commit();
  for (int i = 0; i < n; ++i) {
    if (i + 1 < n) copy_async_16(&stages.x[(i + 1) % 2][t], in + 64 * (i + 1) + t, true);
    if (W != Wait::no_commit) copy_async_commit();
    if (W == Wait::right || W == Wait::no_barrier) copy_async_wait<1>();
    if (W == Wait::too_few) copy_async_wait<2>();
    if (W == Wait::no_commit) copy_async_wait<0>();
    if (W != Wait::no_barrier) sync_block();
    const float4 x = stages.x[i % 2][63 - t];
    out[64 * i + 63 - t] = make_float4(2 * x.x, 2 * x.y, 2 * x.z, 2 * x.w);
    sync_block();
  }
}

template <Wait W>
int doubled() {
  constexpr int n = 5;
  Array<float4> in(64 * n), out(64 * n);
  for (size_t i = 0; i < in.size; ++i) in[i] = {1.0f * i, 2.0f * i, 3.0f * i, 4.0f * i};
  return over_schedules([&] {
    CHECK(run(twice<W>, 1, 64, sizeof(Stages), in.data, out.data, n) == "");
    bool right = true;
    for (size_t i = 0; i < in.size; ++i) right &= out[i].x == 2 * in[i].x && out[i].w == 2 * in[i].w;
    return right;
  });
}

// What the shared memory holds before and after the wait.
__global__ void landing(const float* in, float* out) {
  struct Words {
    float x[8];
  };
  Words& words = shared_storage<Words>();
  for (float& x : words.x) x = 7;
  copy_async_4(&words.x[0], in, true);
  copy_async_4(&words.x[1], nullptr, false);
  copy_async_16(&words.x[4], nullptr, false);
  copy_async_commit();
  for (int i = 0; i < 8; ++i) out[i] = words.x[i];
  copy_async_wait<0>();
  for (int i = 0; i < 8; ++i) out[8 + i] = words.x[i];
}

__global__ void badly(int how, float* memory) {
  struct Words {
    alignas(16) float x[12];
  };
  Words& words = shared_storage<Words>();
  if (how == 0) copy_async_16(&words.x[1], memory, true);
  if (how == 1) copy_async_16(&words.x[0], memory + 1, true);
  if (how == 2) copy_async_16(memory, memory + 4, true);
  if (how == 3) copy_async_16(&words.x[12], memory, true);
}

}  // namespace

void test_copies() {
  CHECK(doubled<Wait::right>() == kScheduleCount);
  CHECK(doubled<Wait::none>() == 0);
  CHECK(doubled<Wait::too_few>() == 0);
  CHECK(doubled<Wait::no_commit>() == 0);
  CHECK(doubled<Wait::no_barrier>() == 0);
  Array<float> in(8), out(16);
  in[0] = 3;
  CHECK(run(landing, 1, 1, 32, in.data, out.data) == "");
  const bool landed[8] = {true, true, false, false, true, true, true, true};
  for (int i = 0; i < 8; ++i) CHECK(landed[i] ? out[i] != out[i] : out[i] == 7);
  for (int i = 0; i < 8; ++i) CHECK(out[8 + i] == (landed[i] ? (i == 0 ? 3.0f : 0.0f) : 7.0f));
  CHECK_TEXT(run(badly, 1, 1, 48, 0, in.data), "not aligned to its 16 bytes");
  CHECK_TEXT(run(badly, 1, 1, 48, 1, in.data), "not aligned to its 16 bytes");
  CHECK_TEXT(run(badly, 1, 1, 48, 2, in.data), "not shared memory");
  CHECK_TEXT(run(badly, 1, 1, 48, 3, in.data), "not shared memory");
}
