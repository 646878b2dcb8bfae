import numpy as np

from .arrays import wide

__all__ = ["batch_norm", "batch_norm_backward", "local_response_norm", "local_response_norm_backward"]


def batch_norm(x, gamma, beta, running_mean, running_var, training=False, momentum=0.9, epsilon=1e-5):
    """x (..., C), the rest (C) -> y, and in training: new running mean and variance, batch mean, 1 / deviation"""
    x, gamma, beta, mean, var = (wide(a) for a in (x, gamma, beta, running_mean, running_var))
    if not training:
        return gamma * (x - mean) / np.sqrt(var + epsilon) + beta
    rows = tuple(range(x.ndim - 1))
    batch_mean, batch_var = x.mean(axis=rows), x.var(axis=rows)
    inverse = 1 / np.sqrt(batch_var + epsilon)
    y = gamma * (x - batch_mean) * inverse + beta
    mean = momentum * mean + (1 - momentum) * batch_mean
    var = momentum * var + (1 - momentum) * batch_var
    return y, mean, var, batch_mean, inverse


def batch_norm_backward(dy, x, gamma, saved_mean, saved_inverse):
    """dy (..., C) -> dx (..., C), dgamma (C), dbeta (C): through the batch's mean and variance"""
    dy, x, gamma, mean, inverse = (wide(a) for a in (dy, x, gamma, saved_mean, saved_inverse))
    rows = tuple(range(x.ndim - 1))
    normal = (x - mean) * inverse
    dgamma, dbeta = (dy * normal).sum(axis=rows), dy.sum(axis=rows)
    count = x.size // x.shape[-1]
    dx = gamma * inverse * (dy - dbeta / count - normal * dgamma / count)
    return dx, dgamma, dbeta


def neighbours(values, size):
    """Sum over channels i - size // 2 .. i + size // 2."""
    channels, reach = values.shape[-1], size // 2
    sums = np.zeros_like(values)
    for i in range(channels):
        sums[..., i] = values[..., max(i - reach, 0) : i + reach + 1].sum(axis=-1)
    return sums


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0):
    """x (..., C) -> x / (k + alpha * sum of neighbouring squares)^beta"""
    x = wide(x)
    return x / (k + alpha * neighbours(x * x, size)) ** beta


def local_response_norm_backward(dy, x, size=5, alpha=1e-4, beta=0.75, k=2.0):
    dy, x = wide(dy), wide(x)
    base = k + alpha * neighbours(x * x, size)
    return dy / base**beta - 2 * alpha * beta * x * neighbours(dy * x / base ** (beta + 1), size)
