import numpy as np

from .arrays import wide

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]


def log_softmax(x, axis=-1):
    x = wide(x)
    if x.size == 0:
        return x
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def softmax(x, axis=-1):
    x = wide(x)
    if x.size == 0:
        return x
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def softmax_backward(dy, y, axis=-1):
    dy, y = wide(dy), wide(y)
    return y * (dy - (dy * y).sum(axis=axis, keepdims=True))


def log_softmax_backward(dy, y, axis=-1):
    dy, y = wide(dy), wide(y)
    return dy - np.exp(y) * dy.sum(axis=axis, keepdims=True)
