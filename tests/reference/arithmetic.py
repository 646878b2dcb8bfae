import numpy as np

from .arrays import wide

__all__ = [
    "absolute",
    "add",
    "clip",
    "divide",
    "evaluate",
    "evaluate_backward",
    "exp",
    "expm1",
    "exponential",
    "gelu_tanh",
    "hard_sigmoid",
    "hard_silu",
    "log",
    "log1p",
    "log_sigmoid",
    "maximum",
    "mean",
    "mean_backward",
    "minimum",
    "mish",
    "multiply",
    "negative",
    "pad",
    "power",
    "prelu",
    "reciprocal",
    "relu6",
    "selu",
    "sign",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "subtract",
    "sum",
    "sum_backward",
]


def quietly(function):
    """Results as IEEE has them, without NumPy's warnings."""

    def call(*args, **kwargs):
        with np.errstate(all="ignore"):
            return function(*map(wide, args), **kwargs)

    return call


def add(a, b):
    return quietly(np.add)(a, b)


def subtract(a, b):
    return quietly(np.subtract)(a, b)


def multiply(a, b):
    return quietly(np.multiply)(a, b)


def divide(a, b):
    return quietly(np.divide)(a, b)


def power(a, b):
    return quietly(np.power)(a, b)


def maximum(a, b):
    return np.maximum(wide(a), wide(b))


def minimum(a, b):
    return np.minimum(wide(a), wide(b))


def clip(x, low, high):
    return np.clip(wide(x), low, high)


def absolute(x):
    return np.abs(wide(x))


def negative(x):
    return -wide(x)


def sign(x):
    return np.sign(wide(x))


def exp(x):
    return quietly(np.exp)(x)


def expm1(x):
    return quietly(np.expm1)(x)


def log(x):
    return quietly(np.log)(x)


def log1p(x):
    return quietly(np.log1p)(x)


def sqrt(x):
    return quietly(np.sqrt)(x)


def square(x):
    return quietly(np.square)(x)


def reciprocal(x):
    return quietly(np.reciprocal)(x)


def exponential(x):
    return exp(x)


def softplus(x):
    """log(1 + exp(x))"""
    return np.logaddexp(wide(x), 0.0)


def log_sigmoid(x):
    return -np.logaddexp(-wide(x), 0.0)


def selu(x):
    x = wide(x)
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def mish(x):
    return wide(x) * np.tanh(softplus(x))


def prelu(x, alpha):
    return np.where(wide(x) > 0, wide(x), wide(alpha) * wide(x))


def softsign(x):
    return wide(x) / (1.0 + np.abs(wide(x)))


def hard_sigmoid(x):
    return np.clip(wide(x) / 6.0 + 0.5, 0.0, 1.0)


def hard_silu(x):
    return wide(x) * hard_sigmoid(x)


def relu6(x):
    return np.clip(wide(x), 0.0, 6.0)


def gelu_tanh(x):
    x = wide(x)
    # x (1 + tanh(u)) / 2 = x / (1 + exp(-2 u)), where 1 + tanh(u) would lose all digits
    with np.errstate(over="ignore"):
        return x / (1.0 + np.exp(-2.0 * np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


def sum(x, axis=None, keepdims=False):
    return np.sum(wide(x), axis=axis, keepdims=keepdims)


def mean(x, axis=None, keepdims=False):
    return np.mean(wide(x), axis=axis, keepdims=keepdims)


def sum_backward(dy, x_shape, axis=None, keepdims=False):
    """Every element of x is in one sum."""
    dx = np.zeros(x_shape)
    axes = range(dx.ndim) if axis is None else [a % dx.ndim for a in np.atleast_1d(axis)]
    for place in np.ndindex(*x_shape):
        kept = tuple(0 if a in axes else i for a, i in enumerate(place))
        dropped = tuple(i for a, i in enumerate(place) if a not in axes)
        dx[place] = wide(dy)[kept if keepdims else dropped]
    return dx


def mean_backward(dy, x_shape, axis=None, keepdims=False):
    dx = sum_backward(dy, x_shape, axis, keepdims)
    axes = range(dx.ndim) if axis is None else [a % dx.ndim for a in np.atleast_1d(axis)]
    return dx / np.prod([x_shape[a] for a in axes])


def pad(x, padding, value=0.0):
    return np.pad(wide(x), [(0, 0), *padding], constant_values=value)


def evaluate(function, *arrays):
    return function(*map(wide, arrays))


def evaluate_backward(function, dy, *arrays):
    """By central differences, an element at a time."""
    arrays = [wide(a) for a in arrays]
    gradients = []
    for place, array in enumerate(arrays):
        gradient = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            step = 1e-6 * max(1.0, abs(array[i]))
            sides = []
            for moved in (array[i] + step, array[i] - step):
                other = array.copy()
                other[i] = moved
                sides.append(np.sum(wide(dy) * function(*arrays[:place], other, *arrays[place + 1 :])))
            gradient[i] = (sides[0] - sides[1]) / (2 * step)
        gradients.append(gradient)
    return gradients[0] if len(gradients) == 1 else tuple(gradients)
