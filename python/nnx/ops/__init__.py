"""The functional interface: every op forward and backward, on NumPy arrays and Tensors.

Arrays are float32 or float64, not mixed within a call; images are NHWC; weights end in the axis that outputs
lie along. NumPy arrays (or lists) in give NumPy arrays out; one Tensor among the inputs makes the outputs
Tensors on its device. Backward functions take the gradient `dy` of a scalar by the op's output and return its
gradients by the op's inputs, in their order.

Inside a traced `Model.forward` the forward functions take and give Symbols.

A wrong dtype raises TypeError, a wrong shape or value ValueError; the message names the op, the argument, what
was expected and what came.
"""

from nnx._config import add_own
from nnx.ops.activation import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    step,
    step_backward,
    tanh,
    tanh_backward,
)
from nnx.ops.augment import (
    center_crop,
    center_crop_backward,
    random_contrast,
    random_contrast_backward,
    random_crop,
    random_crop_backward,
    random_flip,
    random_rotation,
    random_rotation_backward,
    random_translation,
    random_translation_backward,
)
from nnx.ops.conv2d import conv2d, conv2d_backward
from nnx.ops.dense import dense, dense_backward
from nnx.ops.dropout import dropout, dropout_mask, gaussian_noise, spatial_dropout2d
from nnx.ops.elementwise import add, concat, multiply, normalize, reshape
from nnx.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_backward,
    half_sum_squared_error,
    half_sum_squared_error_backward,
    huber,
    huber_backward,
    mean_absolute_error,
    mean_absolute_error_backward,
    mean_squared_error,
    mean_squared_error_backward,
    sigmoid_binary_cross_entropy,
    sigmoid_binary_cross_entropy_backward,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from nnx.ops.norm import batch_norm, batch_norm_backward, local_response_norm, local_response_norm_backward
from nnx.ops.optimizer import (
    adagrad_update,
    adam_update,
    average_update,
    clip_gradient,
    lion_update,
    penalty,
    rmsprop_update,
    sgd_update,
)
from nnx.ops.pool2d import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from nnx.ops.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

__all__ = [
    "adagrad_update",
    "adam_update",
    "add",
    "average_update",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "center_crop",
    "center_crop_backward",
    "clip_gradient",
    "concat",
    "conv2d",
    "conv2d_backward",
    "dense",
    "dense_backward",
    "dropout",
    "dropout_mask",
    "elu",
    "elu_backward",
    "gaussian_noise",
    "gelu",
    "gelu_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "half_sum_squared_error",
    "half_sum_squared_error_backward",
    "huber",
    "huber_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "lion_update",
    "local_response_norm",
    "local_response_norm_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mean_absolute_error",
    "mean_absolute_error_backward",
    "mean_squared_error",
    "mean_squared_error_backward",
    "multiply",
    "normalize",
    "penalty",
    "random_contrast",
    "random_contrast_backward",
    "random_crop",
    "random_crop_backward",
    "random_flip",
    "random_rotation",
    "random_rotation_backward",
    "random_translation",
    "random_translation_backward",
    "relu",
    "relu_backward",
    "reshape",
    "rmsprop_update",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_binary_cross_entropy",
    "sigmoid_binary_cross_entropy_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "softmax_cross_entropy_backward",
    "spatial_dropout2d",
    "step",
    "step_backward",
    "tanh",
    "tanh_backward",
]

add_own(globals()[name] for name in __all__)  # layers may be told to apply them
