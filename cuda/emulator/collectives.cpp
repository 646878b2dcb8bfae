// What the lanes of a warp do together, computed by the last one to come.
#include <cstring>

#include "emulator/machine.h"

namespace nnx::emulator {
namespace {

template <class L>
L& lane(void* const* lanes, int l) {
  return *static_cast<L*>(lanes[l]);
}

float as_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// a (16, K), b (8, K) transposed
template <int K>
void multiply(void* const* lanes, const float (&a)[16][K], const float (&b)[8][K]) {
  for (int l = 0; l < 32; ++l) {
    float* d = lane<MmaLane>(lanes, l).d;
    for (int i = 0; i < 4; ++i) {
      const float* x = a[l / 4 + (i >= 2 ? 8 : 0)];
      const float* y = b[l % 4 * 2 + i % 2];
      float sum = d[i];
      for (int k = 0; k < K; ++k) sum += x[k] * y[k];
      d[i] = sum;
    }
  }
}

}  // namespace

void complete_shuffle(void* const* lanes) {
  for (int l = 0; l < 32; ++l) {
    const ShuffleLane& to = lane<ShuffleLane>(lanes, l);
    const int from = to.from >= 0 && to.from < 32 ? to.from : l;
    std::memcpy(to.result, lane<ShuffleLane>(lanes, from).value, to.bytes);
  }
}

void complete_ballot(void* const* lanes) {
  unsigned bits = 0;
  for (int l = 0; l < 32; ++l) bits |= static_cast<unsigned>(lane<BallotLane>(lanes, l).predicate) << l;
  for (int l = 0; l < 32; ++l) lane<BallotLane>(lanes, l).result = bits;
}

void complete_load_matrices(void* const* lanes) {
  uint16_t matrices[4][8][8];
  for (int l = 0; l < 32; ++l) std::memcpy(matrices[l / 8][l % 8], lane<MatrixLane>(lanes, l).row, 16);
  for (int l = 0; l < 32; ++l) {
    const MatrixLane& to = lane<MatrixLane>(lanes, l);
    const int row = l / 4, column = l % 4 * 2;
    for (int m = 0; m < 4; ++m) {
      const auto& x = matrices[m];
      const uint32_t low = to.transposed ? x[column][row] : x[row][column];
      const uint32_t high = to.transposed ? x[column + 1][row] : x[row][column + 1];
      to.result[m] = low | high << 16;
    }
  }
}

void complete_mma_tf32(void* const* lanes) {
  // The tensor core does not look at the last 13 bits.
  const auto tf32 = [](uint32_t bits) { return as_float(bits & 0xffffe000u); };
  float a[16][8], b[8][8];
  for (int l = 0; l < 32; ++l) {
    const MmaLane& from = lane<MmaLane>(lanes, l);
    const int group = l / 4, member = l % 4;
    for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][member + i / 2 * 4] = tf32(from.a[i]);
    for (int i = 0; i < 2; ++i) b[group][member + i * 4] = tf32(from.b[i]);
  }
  multiply(lanes, a, b);
}

void complete_mma_bfloat16(void* const* lanes) {
  const auto low = [](uint32_t bits) { return as_float(bits << 16); };
  const auto high = [](uint32_t bits) { return as_float(bits & 0xffff0000u); };
  float a[16][16], b[8][16];
  for (int l = 0; l < 32; ++l) {
    const MmaLane& from = lane<MmaLane>(lanes, l);
    const int group = l / 4, member = l % 4;
    for (int i = 0; i < 4; ++i) {
      float* at = &a[group + i % 2 * 8][member * 2 + i / 2 * 8];
      at[0] = low(from.a[i]), at[1] = high(from.a[i]);
    }
    for (int i = 0; i < 2; ++i) {
      float* at = &b[group][member * 2 + i * 8];
      at[0] = low(from.b[i]), at[1] = high(from.b[i]);
    }
  }
  multiply(lanes, a, b);
}

// At once, where a GPU does it in the background: what writes over a slice that is still being multiplied
// goes unseen.
void complete_warpgroup(void* const* lanes) {
  const auto& first = lane<WarpgroupLane>(lanes, 0);
  const int depth = 32 / first.bytes;
  // Element (row, k) of a tile, see swizzled_tile in portability.h.
  const auto element = [&](const void* tile, bool along_k, int row, int k) {
    const uintptr_t line = along_k ? row : row / 64 * 64 + k;
    const uintptr_t in_line = (along_k ? k : row % 64) * first.bytes;
    uintptr_t at = reinterpret_cast<uintptr_t>(tile) + line * 128 + in_line;
    at ^= at / 128 % 8 * 16;
    uint32_t bits = 0;
    std::memcpy(&bits, reinterpret_cast<const void*>(at), first.bytes);
    return as_float(first.bytes == 2 ? bits << 16 : bits & 0xffffe000u);
  };
  float a[16][16], b[128][16];
  for (int k = 0; k < depth; ++k) {
    for (int row = 0; row < 16; ++row)
      a[row][k] = element(first.a, first.a_along_k, 16 * first.warp + row, k);
    for (int column = 0; column < 128; ++column) b[column][k] = element(first.b, first.b_along_k, column, k);
  }
  for (int l = 0; l < 32; ++l) {
    const auto& to = lane<WarpgroupLane>(lanes, l);
    for (int v = 0; v < 64; ++v) {
      const float* x = a[l / 4 + v / 2 % 2 * 8];
      const float* y = b[v / 4 * 8 + l % 4 * 2 + v % 2];
      float sum = to.add ? to.d[v] : 0.0f;
      for (int k = 0; k < depth; ++k) sum += x[k] * y[k];
      to.d[v] = sum;
    }
  }
}

}  // namespace nnx::emulator
