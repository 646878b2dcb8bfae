// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), checked against the
// published Random123 vectors in tests.
//
// How nnx numbers its random words: key = the 64-bit seed; counter = (low and high half of the block number,
// low half of `step`, `layer` << 16 | bits 32-47 of `step`). Element i takes word i % 4 of block i / 4.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define NNX_HOST_DEVICE __host__ __device__
#else
#define NNX_HOST_DEVICE
#endif

namespace nnx {

struct PhiloxCounter {
  uint32_t word[4];
};

// Internal linkage on purpose: this header is compiled once per instruction set.
static inline NNX_HOST_DEVICE PhiloxCounter philox4x32(PhiloxCounter c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * c.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * c.word[2];
    c = {{static_cast<uint32_t>(product1 >> 32) ^ c.word[1] ^ key0, static_cast<uint32_t>(product1),
          static_cast<uint32_t>(product0 >> 32) ^ c.word[3] ^ key1, static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

static inline NNX_HOST_DEVICE PhiloxCounter philox_block(uint64_t block, uint64_t seed, uint32_t layer,
                                                         uint64_t step) {
  const PhiloxCounter counter = {{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                  static_cast<uint32_t>(step),
                                  (layer << 16) | static_cast<uint32_t>((step >> 32) & 0xFFFFu)}};
  return philox4x32(counter, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

}  // namespace nnx
