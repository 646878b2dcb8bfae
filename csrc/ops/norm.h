// Batch, group and layer normalisation, and local response normalisation.
#pragma once

#include "core/tensor.h"
#include "kernels/norm.h"

namespace nnx::ops {

// x (..., C): rows are all axes but the last. x has rank 2 or more.
BatchNormShape batch_norm_shape(const char* where, const Shape& x);
void check_batch_norm(const char* where, double momentum, double epsilon);
// x (..., C)
LocalResponseNormShape local_response_norm_shape(const char* where, const Shape& x, int64_t size,
                                                 double alpha, double beta, double k);

// gamma, beta and all statistics: (C)
struct BatchNormTraining {
  Tensor y, running_mean, running_variance, saved_mean, saved_inverse;
};
BatchNormTraining batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                   const Tensor& running_mean, const Tensor& running_variance,
                                   double momentum, double epsilon);
Tensor batch_norm_infer(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                        const Tensor& variance, double epsilon);

struct NormGradients {
  Tensor dx, dgamma, dbeta;
};
NormGradients batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma,
                                  const Tensor& saved_mean, const Tensor& saved_inverse);

// x (N, ..., C) in groups of C / groups channels.
GroupNormShape group_norm_shape(const char* where, const Shape& x, int64_t groups);
// x with its statistics over the last `axes` axes, of which one must not be the first.
GroupNormShape layer_norm_shape(const char* where, const Shape& x, int64_t axes);

// gamma and beta as long as a sample's channels (group_norm: (C); layer_norm: the last axes of x), or
// undefined.
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& gamma, const Tensor& beta, double epsilon);
Tensor layer_norm(const Tensor& x, int64_t axes, const Tensor& gamma, const Tensor& beta, double epsilon);
NormGradients group_norm_backward(const Tensor& dy, const Tensor& x, int64_t groups, const Tensor& gamma,
                                  double epsilon);
NormGradients layer_norm_backward(const Tensor& dy, const Tensor& x, int64_t axes, const Tensor& gamma,
                                  double epsilon);

Tensor local_response_norm(const Tensor& x, int64_t size, double alpha, double beta, double k);
Tensor local_response_norm_backward(const Tensor& dy, const Tensor& x, int64_t size, double alpha,
                                    double beta, double k);

}  // namespace nnx::ops
