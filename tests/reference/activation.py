import math

import numpy as np

from .arithmetic import gelu_tanh
from .arrays import wide

__all__ = [
    "activate",
    "elu",
    "elu_backward",
    "erfc",
    "gelu",
    "gelu_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "step",
    "step_backward",
    "tanh",
    "tanh_backward",
]


def erfc(x):
    return np.vectorize(math.erfc, otypes=[np.float64])(x)


def step(x):
    """1 where x >= 0: the perceptron's. NaN stays NaN."""
    x = wide(x)
    return np.where(np.isnan(x), x, x >= 0)


def step_backward(dy, y):
    return np.zeros_like(wide(dy))


def sigmoid(x):
    x = wide(x)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def sigmoid_backward(dy, y):
    dy, y = wide(dy), wide(y)
    return dy * y * (1 - y)


def tanh(x):
    return np.tanh(wide(x))


def tanh_backward(dy, y):
    dy, y = wide(dy), wide(y)
    return dy * (1 - y * y)


def relu(x):
    x = wide(x)
    return np.where(x <= 0, 0, x)  # a NaN is not <= 0 and stays


def relu_backward(dy, y):
    dy, y = wide(dy), wide(y)
    return np.where(y > 0, dy, 0)


def leaky_relu(x, negative_slope=0.01):
    x = wide(x)
    return np.where(x <= 0, negative_slope * x, x)


def leaky_relu_backward(dy, y, negative_slope=0.01):
    dy, y = wide(dy), wide(y)
    return np.where(y > 0, dy, negative_slope * dy)


def elu(x, alpha=1.0):
    x = wide(x)
    return np.where(x <= 0, alpha * np.expm1(np.minimum(x, 0)), x)


def elu_backward(dy, y, alpha=1.0):
    """exp(x) alpha = y + alpha on the negative side"""
    dy, y = wide(dy), wide(y)
    return np.where(y > 0, dy, dy * (y + alpha))


def gelu(x, approximate=False):
    """x times the standard normal distribution function at x"""
    x = wide(x)
    if approximate:
        return gelu_tanh(x)
    return x * (erfc(-x / math.sqrt(2)) / 2)


def gelu_backward(dy, x):
    dy, x = wide(dy), wide(x)
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return dy * (erfc(-x / math.sqrt(2)) / 2 + x * density)


def silu(x):
    return wide(x) * sigmoid(x)


def silu_backward(dy, x):
    dy, x, s = wide(dy), wide(x), sigmoid(x)
    return dy * (s + x * s * (1 - s))


def activate(x, name):
    """The activation argument of dense and conv2d."""
    return x if name is None else globals()[name](x)
