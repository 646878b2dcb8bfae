// Batch normalisation and local response normalisation.
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

struct BatchNormGradients {
  Tensor dx, dgamma, dbeta;
};
BatchNormGradients batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma,
                                       const Tensor& saved_mean, const Tensor& saved_inverse);

Tensor local_response_norm(const Tensor& x, int64_t size, double alpha, double beta, double k);
Tensor local_response_norm_backward(const Tensor& dy, const Tensor& x, int64_t size, double alpha,
                                    double beta, double k);

}  // namespace nnx::ops
