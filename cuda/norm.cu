#include "group_norm.cuh"
#include "local_response_norm.cuh"
#include "table.h"

namespace nnx::cuda {

// What the second pass of a batch norm combines, (4, channels) in the workspace, made by the end of the
// first.
constexpr int kApplied = 4;

static int64_t batch_norm_workspace(const BatchNormShape& shape) {
  return kApplied * static_cast<int64_t>(sizeof(double)) * shape.channels;
}

template <class T, int W>
struct AppliedPacks {
  Pack<T, W> vector[kApplied];
};

template <int W, class T>
__device__ __forceinline__ AppliedPacks<T, W> load_applied(const T* applied, int64_t channels, int64_t col) {
  AppliedPacks<T, W> packs;
#pragma unroll
  for (int i = 0; i < kApplied; ++i) packs.vector[i] = load_pack<W>(applied + i * channels + col);
  return packs;
}

// The centres of W columns, in double.
template <int W, class T>
__device__ __forceinline__ Pack<double, W> wide(const T* centres) {
  const Pack<T, W> values = load_pack<W>(centres);
  Pack<double, W> centre;
#pragma unroll
  for (int k = 0; k < W; ++k) centre.at[k] = static_cast<double>(values.at[k]);
  return centre;
}

// Sums of x - x0 and its square, x0 the first row: one pass, and no cancellation where the mean is far from
// zero.
template <class T>
struct Moments {
  const T* x;
  template <int W>
  __device__ Pack<double, W> columns(int64_t col, int64_t) const {
    return wide<W>(x + col);
  }
  template <int W>
  __device__ void add(int64_t at, const Pack<double, W>& centre, double (&parts)[2 * W]) const {
    const Pack<T, W> values = load_pack<W>(x + at);
#pragma unroll
    for (int k = 0; k < W; ++k) {
      const double offset = static_cast<double>(values.at[k]) - centre.at[k];
      parts[2 * k] += offset;
      parts[2 * k + 1] += offset * offset;
    }
  }
};

template <class T>
struct FinishMoments {
  int64_t channels;
  double count, epsilon, momentum;
  const T *x, *gamma, *beta;
  T *running_mean, *running_variance, *saved_mean, *saved_inverse, *applied;
  const StepState* guard;

  __device__ void operator()(int64_t c, const double (&sums)[2]) const {
    const double offset = sums[0] / count, spread = sums[1] / count - offset * offset;
    const double mean = static_cast<double>(x[c]) + offset, variance = spread < 0.0 ? 0.0 : spread;
    const double inverse = 1.0 / sqrt(variance + epsilon);
    saved_mean[c] = static_cast<T>(mean);
    saved_inverse[c] = static_cast<T>(inverse);
    const bool held = guard != nullptr && (guard->halted != 0 || guard->fault.found != 0);
    if (running_mean != nullptr && !held) {
      running_mean[c] = static_cast<T>(momentum * running_mean[c] + (1.0 - momentum) * mean);
    }
    if (running_variance != nullptr && !held) {
      running_variance[c] = static_cast<T>(momentum * running_variance[c] + (1.0 - momentum) * variance);
    }
    // The mean in two parts: its rounding error may be large beside the deviation.
    const T high = static_cast<T>(mean);
    applied[c] = high;
    applied[channels + c] = static_cast<T>((static_cast<double>(x[c]) - static_cast<double>(high)) + offset);
    applied[2 * channels + c] = static_cast<T>(gamma[c] * inverse);
    applied[3 * channels + c] = beta[c];
  }
};

template <class T>
struct ApplyMoments {
  int64_t channels;
  const T *x, *applied;
  T* y;
  template <int W>
  __device__ AppliedPacks<T, W> columns(int64_t col) const {
    return load_applied<W>(applied, channels, col);
  }
  template <int W>
  __device__ void element(int64_t at, const AppliedPacks<T, W>& given) const {
    Pack<T, W> values = load_pack<W>(x + at);
    const auto& v = given.vector;
#pragma unroll
    for (int k = 0; k < W; ++k) {
      values.at[k] = ((values.at[k] - v[0].at[k]) - v[1].at[k]) * v[2].at[k] + v[3].at[k];
    }
    store_pack(y + at, values);
  }
};

template <class T>
__global__ void no_statistics_kernel(int64_t channels, T* saved_mean, T* saved_inverse) {
  begin_kernel();
  for (int64_t c = thread_of_grid(); c < channels; c += threads_of_grid())
    saved_mean[c] = saved_inverse[c] = T(0);
}

template <class T>
static void batch_norm_train(Context& context, const BatchNormShape& shape, const T* x, const T* gamma,
                             const T* beta, double epsilon, double momentum, T* running_mean,
                             T* running_variance, T* y, T* saved_mean, T* saved_inverse,
                             const StepState* guard) {
  const char* name = "batch_norm_train";
  const int64_t rows = shape.rows, channels = shape.channels;
  if (rows == 0) {
    launch(context, name, no_statistics_kernel<T>, dim3(blocks_for(channels, kThreads)), dim3(kThreads), 0,
           channels, saved_mean, saved_inverse);
    return;
  }
  T* const applied = static_cast<T*>(context.workspace);
  const FinishMoments<T> finish{
      channels,     static_cast<double>(rows), epsilon,    momentum,      x,       gamma, beta,
      running_mean, running_variance,          saved_mean, saved_inverse, applied, guard};
  column_sums<2>(context, name, rows, channels, aligned(x), Moments<T>{x}, finish);
  for_rows(context, name, rows, channels, aligned(x, y, applied), ApplyMoments<T>{channels, x, applied, y});
}

template <class T>
struct Infer {
  const T *x, *gamma, *beta, *mean, *variance;
  T epsilon;
  T* y;
  template <int W>
  struct Given {
    Pack<T, W> mean, scale, beta;
  };
  template <int W>
  __device__ Given<W> columns(int64_t col) const {
    Given<W> given{load_pack<W>(mean + col), load_pack<W>(gamma + col), load_pack<W>(beta + col)};
    const Pack<T, W> spread = load_pack<W>(variance + col);
#pragma unroll
    for (int k = 0; k < W; ++k) given.scale.at[k] /= sqrt(spread.at[k] + epsilon);
    return given;
  }
  template <int W>
  __device__ void element(int64_t at, const Given<W>& given) const {
    Pack<T, W> values = load_pack<W>(x + at);
#pragma unroll
    for (int k = 0; k < W; ++k) {
      values.at[k] = (values.at[k] - given.mean.at[k]) * given.scale.at[k] + given.beta.at[k];
    }
    store_pack(y + at, values);
  }
};

template <class T>
static void batch_norm_infer(Context& context, const BatchNormShape& shape, const T* x, const T* gamma,
                             const T* beta, const T* mean, const T* variance, double epsilon, T* y) {
  for_rows(context, "batch_norm_infer", shape.rows, shape.channels,
           aligned(x, gamma, beta, mean, variance, y),
           Infer<T>{x, gamma, beta, mean, variance, static_cast<T>(epsilon), y});
}

// Sums of dy and of dy (x - mean).
template <class T>
struct SlopeMoments {
  const T *dy, *x, *mean;
  template <int W>
  __device__ Pack<double, W> columns(int64_t col, int64_t) const {
    return wide<W>(mean + col);
  }
  template <int W>
  __device__ void add(int64_t at, const Pack<double, W>& centre, double (&parts)[2 * W]) const {
    const Pack<T, W> slopes = load_pack<W>(dy + at), values = load_pack<W>(x + at);
#pragma unroll
    for (int k = 0; k < W; ++k) {
      const double slope = static_cast<double>(slopes.at[k]);
      parts[2 * k] += slope;
      parts[2 * k + 1] += slope * (static_cast<double>(values.at[k]) - centre.at[k]);
    }
  }
};

template <class T>
struct FinishSlopes {
  int64_t channels;
  double count;
  const T *gamma, *mean, *inverses;
  Policy policy;
  T *dgamma, *dbeta, *applied;

  __device__ void operator()(int64_t c, const double (&sums)[2]) const {
    const double inverse = static_cast<double>(inverses[c]), scale = gamma[c] * inverse;
    put(dbeta + c, static_cast<T>(sums[0]), policy);
    put(dgamma + c, static_cast<T>(sums[1] * inverse), policy);
    applied[c] = mean[c];
    applied[channels + c] = static_cast<T>(scale);
    applied[2 * channels + c] = static_cast<T>(-scale * inverse * inverse * sums[1] / count);
    applied[3 * channels + c] = static_cast<T>(-scale * sums[0] / count);
  }
};

template <class T>
struct ApplySlopes {
  int64_t channels;
  const T *dy, *x, *applied;
  Policy policy;
  T* dx;
  template <int W>
  __device__ AppliedPacks<T, W> columns(int64_t col) const {
    return load_applied<W>(applied, channels, col);
  }
  template <int W>
  __device__ void element(int64_t at, const AppliedPacks<T, W>& given) const {
    Pack<T, W> slopes = load_pack<W>(dy + at);
    const Pack<T, W> values = load_pack<W>(x + at);
    const auto& v = given.vector;
#pragma unroll
    for (int k = 0; k < W; ++k) {
      slopes.at[k] = slopes.at[k] * v[1].at[k] + ((values.at[k] - v[0].at[k]) * v[2].at[k] + v[3].at[k]);
    }
    put_pack(dx + at, slopes, policy);
  }
};

template <class T>
static void batch_norm_backward(Context& context, const BatchNormShape& shape, const T* dy, const T* x,
                                const T* gamma, const T* saved_mean, const T* saved_inverse, Policy policy_x,
                                T* dx, Policy policy_parameters, T* dgamma, T* dbeta) {
  const char* name = "batch_norm_backward";
  const int64_t rows = shape.rows, channels = shape.channels;
  T* const applied = static_cast<T*>(context.workspace);
  const FinishSlopes<T> finish{channels,      static_cast<double>(std::max<int64_t>(rows, 1)),
                               gamma,         saved_mean,
                               saved_inverse, policy_parameters,
                               dgamma,        dbeta,
                               applied};
  column_sums<2>(context, name, rows, channels, aligned(dy, x, saved_mean),
                 SlopeMoments<T>{dy, x, saved_mean}, finish);
  if (dx == nullptr) return;
  for_rows(context, name, rows, channels, aligned(dy, x, dx, applied),
           ApplySlopes<T>{channels, dy, x, applied, policy_x, dx});
}

template <class T>
void fill(kernels::NormKernels<T>& table) {
  table.batch_norm_workspace = batch_norm_workspace;
  table.batch_norm_train = batch_norm_train<T>;
  table.batch_norm_infer = batch_norm_infer<T>;
  table.batch_norm_backward = batch_norm_backward<T>;
  table.group_norm_workspace = group_norm_workspace;
  table.group_norm = group_norm<T>;
  table.group_norm_backward = group_norm_backward<T>;
  table.local_response_norm = local_response_norm<T>;
  table.local_response_norm_backward = local_response_norm_backward<T>;
}

template void fill(kernels::NormKernels<float>&);
template void fill(kernels::NormKernels<double>&);

}  // namespace nnx::cuda
