// Batch normalisation (Ioffe and Szegedy 2015), group normalisation (Wu and He 2018), of which layer
// normalisation (Ba et al. 2016) is the case of one group and one pixel, and local response normalisation
// (Krizhevsky et al. 2012).
#pragma once

#include "kernels/optimizer.h"

namespace nnx {

struct BatchNormShape {
  int64_t rows, channels;  // rows = every axis but the last
};

struct LocalResponseNormShape {
  int64_t pixels, channels;
  int64_t size;  // odd: channels i - size / 2 .. i + size / 2, cut at the ends
  double alpha, beta, k;
};

// Statistics are those of the channels / groups channels of a group at all pixels of a sample.
struct GroupNormShape {
  int64_t samples, pixels, channels;
  int64_t groups;  // divides channels
};

namespace kernels {

template <class T>
struct NormKernels {
  // Bytes of Context::workspace that the batch-norm passes may use.
  int64_t (*batch_norm_workspace)(const BatchNormShape&);
  // Batch statistics: saved_mean, saved_inverse (channels) = mean, 1 / sqrt(biased variance + epsilon);
  // y (rows, channels) = gamma (x - mean) * inverse + beta;
  // running = momentum * running + (1 - momentum) * batch (mean and biased variance), where not null, and
  // where `guard` is null or knows of no reason to leave the step undone.
  void (*batch_norm_train)(Context&, const BatchNormShape&, const T* x, const T* gamma, const T* beta,
                           double epsilon, double momentum, T* running_mean, T* running_variance, T* y,
                           T* saved_mean, T* saved_inverse, const StepState* guard);
  // y = gamma (x - mean) / sqrt(variance + epsilon) + beta
  void (*batch_norm_infer)(Context&, const BatchNormShape&, const T* x, const T* gamma, const T* beta,
                           const T* mean, const T* variance, double epsilon, T* y);
  // Gradients through batch statistics; policy_x for dx, policy_parameters for dgamma and dbeta (channels).
  // dx may be null.
  void (*batch_norm_backward)(Context&, const BatchNormShape&, const T* dy, const T* x, const T* gamma,
                              const T* saved_mean, const T* saved_inverse, Policy policy_x, T* dx,
                              Policy policy_parameters, T* dgamma, T* dbeta);

  // Bytes of Context::workspace that group_norm_backward may use.
  int64_t (*group_norm_workspace)(const GroupNormShape&);
  // y (samples, pixels, channels) = gamma (x - mean) / sqrt(biased variance + epsilon) + beta; gamma and beta
  // (channels), null: ones and zeros. statistics (samples, groups, 2) = mean, 1 / sqrt(variance + epsilon),
  // may be null.
  void (*group_norm)(Context&, const GroupNormShape&, const T* x, const T* gamma, const T* beta,
                     double epsilon, T* y, double* statistics);
  // Gradients through the statistics; each of dx, dgamma and dbeta (channels) may be null.
  void (*group_norm_backward)(Context&, const GroupNormShape&, const T* dy, const T* x, const T* gamma,
                              const double* statistics, Policy policy_x, T* dx, Policy policy_gamma,
                              T* dgamma, Policy policy_beta, T* dbeta);

  // y = x / (k + alpha * sum of x^2 over neighbouring channels)^beta; y may not be x
  void (*local_response_norm)(Context&, const LocalResponseNormShape&, const T* x, T* y);
  void (*local_response_norm_backward)(Context&, const LocalResponseNormShape&, const T* dy, const T* x,
                                       Policy, T* dx);
};

}  // namespace kernels
}  // namespace nnx
