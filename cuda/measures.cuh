// Norms of gradients and updates, by layer. A grid has a row for each part, of kMeasuredChunks blocks.
#pragma once

#include "kernels/optimizer.h"
#include "reduce.cuh"
#include "rules.cuh"

namespace nnx::cuda {

__device__ __forceinline__ bool skips(Sampling sampling, const StepState* guard) {
  return *sampling.step % sampling.every != 0 || held_back(guard);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    keep_kernel(Sampling sampling, const StepState* guard, const MeasuredPart<T>* parts) {
  begin_kernel();
  if (skips(sampling, guard)) return;
  const MeasuredPart<T> part = parts[blockIdx.y];
  for (int64_t i = thread_of_grid(); i < part.count; i += threads_of_grid()) part.before[i] = part.p[i];
}

inline dim3 grid_of(int64_t parts) {
  return dim3(static_cast<unsigned>(kMeasuredChunks), static_cast<unsigned>(parts));
}

template <class T>
void keep(Context& context, Sampling sampling, const StepState* guard, int64_t parts,
          const MeasuredPart<T>* part) {
  launch(context, "keep", keep_kernel<T>, grid_of(parts), dim3(kThreads), 0, sampling, guard, part);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    measure_kernel(Sampling sampling, const StepState* guard, const MeasuredPart<T>* parts, double* to) {
  begin_kernel();
  if (skips(sampling, guard)) return;
  const MeasuredPart<T> part = parts[blockIdx.y];
  double sums[3] = {};
  for (int64_t i = thread_of_grid(); i < part.count; i += threads_of_grid()) {
    const double g = static_cast<double>(part.g[i]), before = static_cast<double>(part.before[i]);
    const double step = static_cast<double>(part.p[i]) - before;
    sums[0] += g * g;
    sums[1] += step * step;
    sums[2] += before * before;
  }
  block_sums(sums, shared_storage<BlockSums<3>>());
  if (threadIdx.x == 0) {
    double* const own = to + 3 * (static_cast<int64_t>(blockIdx.y) * kMeasuredChunks + blockIdx.x);
    for (int k = 0; k < 3; ++k) own[k] = sums[k];
  }
}

// A block for each layer.
template <class T>
__global__ void measure_totals_kernel(Sampling sampling, const StepState* guard, int64_t parts,
                                      const MeasuredPart<T>* part, const double* sums, double* totals) {
  begin_kernel();
  if (skips(sampling, guard)) return;
  double squares[3] = {};
  for (int64_t i = 0; i < parts; ++i) {
    if (part[i].layer != static_cast<int64_t>(blockIdx.x)) continue;
    for (int64_t chunk = 0; chunk < kMeasuredChunks; ++chunk) {
      for (int k = 0; k < 3; ++k) squares[k] += sums[3 * (i * kMeasuredChunks + chunk) + k];
    }
  }
  double* const to = totals + 4 * static_cast<int64_t>(blockIdx.x);
  const double norm = sqrt(squares[0]);
  to[0] += norm;
  to[1] = norm > to[1] ? norm : to[1];
  to[2] += squares[2] > 0.0 ? sqrt(squares[1] / squares[2]) : 0.0;
  to[3] += 1.0;
}

template <class T>
void measure(Context& context, Sampling sampling, const StepState* guard, int64_t layers, int64_t parts,
             const MeasuredPart<T>* part, double* sums, double* totals) {
  launch(context, "measure", measure_kernel<T>, grid_of(parts), dim3(kThreads), sizeof(BlockSums<3>),
         sampling, guard, part, sums);
  launch(context, "measure_totals", measure_totals_kernel<T>, dim3(static_cast<unsigned>(layers)), dim3(1), 0,
         sampling, guard, parts, part, sums, totals);
}

}  // namespace nnx::cuda
