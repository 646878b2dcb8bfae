// Sizes in bytes that cannot overflow.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "core/error.h"

namespace nnx {

// More than a process can address: an array of that many bytes is nowhere to be had.
inline constexpr int64_t kMostBytes = int64_t{1} << 47;

// The product of the factors, none of them negative: what an array takes. OutOfMemory where it passes `most`.
inline int64_t expect_bytes(const char* where, std::initializer_list<int64_t> factors,
                            int64_t most = kMostBytes) {
  int64_t bytes = 1;
  double exact = 1.0;
  bool overflow = false;
  for (const int64_t factor : factors) {
    exact *= static_cast<double>(factor);
    overflow |= __builtin_mul_overflow(bytes, factor, &bytes);
  }
  if (exact == 0.0) return 0;
  if (overflow || bytes > most) {
    throw OutOfMemory(detail::concatenate(where, ": an array would take ", exact, " bytes, at most ", most,
                                          " are possible"));
  }
  return bytes;
}

}  // namespace nnx
