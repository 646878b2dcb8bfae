// Shuffles, ballots, matrices: against the layouts in portability.h, written out again here.
#include "check.h"

using namespace nnx::cuda;

namespace {

template <class T>
__global__ void shuffles(T* out) {
  const int lane = static_cast<int>(threadIdx.x % 32), thread = static_cast<int>(threadIdx.x);
  T sum = static_cast<T>(thread);
  for (int mask = 16; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
  T down = static_cast<T>(thread);
  for (int delta = 16; delta > 0; delta /= 2) down += shuffle_down(down, delta);
  down = shuffle(down, 0);
  const T beyond = shuffle_down(static_cast<T>(thread), 5);
  const T from = shuffle(static_cast<T>(thread), (lane * 7 + 3) % 32);
  const unsigned even = ballot(lane % 2 == 0);
  sync_warp();
  T* const mine = out + 5 * thread;
  mine[0] = sum, mine[1] = down, mine[2] = beyond, mine[3] = from, mine[4] = static_cast<T>(even);
}

template <class T>
bool shuffles_are_right() {
  Array<T> out(5 * 96);
  CHECK(run(shuffles<T>, 1, 96, 0, out.data) == "");
  bool right = true;
  for (int t = 0; t < 96; ++t) {
    const int lane = t % 32, first = t - lane;
    const T sum = static_cast<T>(32 * first + 31 * 16);
    right &= out[5 * t] == sum && out[5 * t + 1] == sum;
    right &= out[5 * t + 2] == static_cast<T>(lane + 5 < 32 ? t + 5 : t);
    right &= out[5 * t + 3] == static_cast<T>(first + (lane * 7 + 3) % 32);
    right &= out[5 * t + 4] == static_cast<T>(0x55555555u);
  }
  return right;
}

// d (16, 8) = c + a (16, K) b (K, 8), a row-major, b row-major
__global__ void mma_k8(const float* a, const float* b, float* d) {
  const int lane = static_cast<int>(threadIdx.x), group = lane / 4, member = lane % 4;
  const uint32_t x[4] = {to_tf32(a[group * 8 + member]), to_tf32(a[(group + 8) * 8 + member]),
                         to_tf32(a[group * 8 + member + 4]), to_tf32(a[(group + 8) * 8 + member + 4])};
  const uint32_t y[2] = {to_tf32(b[member * 8 + group]), to_tf32(b[(member + 4) * 8 + group])};
  float z[4];
  for (int i = 0; i < 4; ++i) z[i] = d[(group + i / 2 * 8) * 8 + 2 * member + i % 2];
  mma_tf32(z, x, y);
  for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + 2 * member + i % 2] = z[i];
}

__global__ void mma_k16(const float* a, const float* b, float* d) {
  const int lane = static_cast<int>(threadIdx.x), group = lane / 4, member = lane % 4;
  uint32_t x[4], y[2];
  for (int i = 0; i < 4; ++i) {
    const float* at = a + (group + i % 2 * 8) * 16 + 2 * member + i / 2 * 8;
    x[i] = pack_bfloat16(at[0], at[1]);
  }
  for (int i = 0; i < 2; ++i) {
    const int k = 2 * member + i * 8;
    y[i] = pack_bfloat16(b[k * 8 + group], b[(k + 1) * 8 + group]);
  }
  float z[4];
  for (int i = 0; i < 4; ++i) z[i] = d[(group + i / 2 * 8) * 8 + 2 * member + i % 2];
  mma_bfloat16(z, x, y);
  for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + 2 * member + i % 2] = z[i];
}

bool mma_is_right(void (*kernel)(const float*, const float*, float*), int k_size) {
  Array<float> a(static_cast<size_t>(16 * k_size)), b(static_cast<size_t>(8 * k_size)), d(16 * 8);
  unsigned state = 3;
  for (size_t i = 0; i < a.size; ++i) a[i] = draw_integer(state);
  for (size_t i = 0; i < b.size; ++i) b[i] = draw_integer(state);
  std::vector<float> expected(16 * 8);
  for (size_t i = 0; i < d.size; ++i) d[i] = expected[i] = draw_integer(state);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j)
      for (int k = 0; k < k_size; ++k) expected[i * 8 + j] += a[i * k_size + k] * b[k * 8 + j];
  CHECK(run(kernel, 1, 32, 0, a.data, b.data, d.data) == "");
  return std::equal(expected.begin(), expected.end(), d.data);
}

struct Matrices {
  uint16_t rows[32][8];
};

template <bool Transposed>
__global__ void matrices(const uint16_t* in, uint32_t* out) {
  Matrices& shared = shared_storage<Matrices>();
  const unsigned lane = threadIdx.x;
  for (unsigned i = lane; i < 256; i += 32) shared.rows[i / 8][i % 8] = in[i];
  sync_warp();
  uint32_t r[4];
  if (Transposed) {
    load_matrices_transposed(r, shared.rows[lane]);
  } else {
    load_matrices(r, shared.rows[lane]);
  }
  for (unsigned m = 0; m < 4; ++m) out[m * 32 + lane] = r[m];
}

template <bool Transposed>
bool matrices_are_right() {
  Array<uint16_t> in(256);
  Array<uint32_t> out(128);
  for (unsigned i = 0; i < 256; ++i) in[i] = static_cast<uint16_t>(i * 251);
  CHECK(run(matrices<Transposed>, 1, 32, sizeof(Matrices), in.data, out.data) == "");
  bool right = true;
  for (unsigned m = 0; m < 4; ++m) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      for (unsigned half = 0; half < 2; ++half) {
        const unsigned i = lane / 4, j = 2 * (lane % 4) + half;
        const unsigned expected = in[m * 64 + (Transposed ? j * 8 + i : i * 8 + j)];
        right &= (out[m * 32 + lane] >> 16 * half & 0xffffu) == expected;
      }
    }
  }
  return right;
}

// The lanes' registers as they are: what the tensor core does not look at must not matter.
__global__ void unrounded(float* d) {
  const uint32_t one = __float_as_uint(1.0f) | 0x1fffu;
  const uint32_t a[4] = {one, one, one, one}, b[2] = {one, one};
  float z[4] = {0, 0, 0, 0};
  mma_tf32(z, a, b);
  d[threadIdx.x] = z[0];
}

void test_roundings() {
  const auto seen = [](float x) { return to_tf32(x) & ~0x1fffu; };
  CHECK(seen(1.0f + 0x1p-11f) == __float_as_uint(1.0f + 0x1p-10f));  // a tie: away from zero
  CHECK(seen(-1.0f - 0x1p-11f) == __float_as_uint(-1.0f - 0x1p-10f));
  CHECK(seen(1.0f + 0x1p-12f) == __float_as_uint(1.0f));
  CHECK(seen(HUGE_VALF) == __float_as_uint(HUGE_VALF));
  CHECK((seen(__uint_as_float(0x7fffffffu)) & 0x7fffffffu) > 0x7f800000u);  // what a GPU makes of 0 / 0
  CHECK(pack_bfloat16(1.0f + 0x1p-8f, 1.0f + 0x3p-8f) == 0x3f823f80u);      // ties: to even
  CHECK(pack_bfloat16(-2.0f, HUGE_VALF) == 0x7f80c000u);
  CHECK((pack_bfloat16(NAN, 0.0f) & 0x7fffu) > 0x7f80u);
  Array<float> d(32);
  CHECK(run(unrounded, 1, 32, 0, d.data) == "");
  CHECK(d[0] == 8.0f);
}

}  // namespace

void test_collectives() {
  CHECK(over_schedules([] {
          return shuffles_are_right<float>() && shuffles_are_right<double>() &&
                 shuffles_are_right<unsigned>();
        }) == kScheduleCount);
  CHECK(over_schedules([] { return mma_is_right(mma_k8, 8); }) == kScheduleCount);
  CHECK(over_schedules([] { return mma_is_right(mma_k16, 16); }) == kScheduleCount);
  CHECK(over_schedules([] { return matrices_are_right<false>(); }) == kScheduleCount);
  CHECK(over_schedules([] { return matrices_are_right<true>(); }) == kScheduleCount);
  test_roundings();
}
