// What the products of dense and convolutional layers are computed in; arrays and sums stay float32.
#pragma once

#include <cstdint>

namespace nnx {

// strict: IEEE float32. tf32, bfloat16: factors rounded to 10 or 7 bits of mantissa, on CUDA's tensor cores.
enum class Precision : int32_t { strict, tf32, bfloat16 };

}  // namespace nnx
