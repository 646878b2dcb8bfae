// What <cuda_runtime.h> gives a kernel and its host code, for g++: qualifiers, vector types, arithmetic, the
// built-in variables, and the runtime calls (runtime_api.h).
#pragma once

#include "device_math.h"
#include "runtime_api.h"
#include "vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) alignas(n)
#define __launch_bounds__(...)
#define __grid_constant__
#define __constant__ static const
// There is no __shared__: shared memory is shared_storage() (portability.h).

// Of the thread that runs; the machine sets them at every switch (machine.cpp).
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;
