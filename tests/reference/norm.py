import numpy as np

from .arrays import wide

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "local_response_norm",
    "local_response_norm_backward",
]


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


def standardized(x, axes, epsilon):
    """(x - mean) / sqrt(variance + epsilon) and 1 / sqrt(variance + epsilon), statistics over `axes`"""
    inverse = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)
    return (x - x.mean(axis=axes, keepdims=True)) * inverse, inverse


def standardized_backward(dy, x, axes, epsilon):
    """The gradient of x, from that of `standardized`."""
    normal, inverse = standardized(x, axes, epsilon)
    means = [(dy * factor).mean(axis=axes, keepdims=True) for factor in (1, normal)]
    return inverse * (dy - means[0] - normal * means[1])


def last_axes(x, axis):
    return tuple(sorted(a % x.ndim for a in (axis if isinstance(axis, (tuple, list)) else [axis])))


def layer_norm(x, gamma=None, beta=None, epsilon=1e-5, axis=-1):
    """x (N, ..., C), gamma and beta of the axes -> like x"""
    x = wide(x)
    y, _ = standardized(x, last_axes(x, axis), epsilon)
    return y * (1 if gamma is None else wide(gamma)) + (0 if beta is None else wide(beta))


def layer_norm_backward(dy, x, gamma=None, epsilon=1e-5, axis=-1):
    """dy (N, ..., C) -> dx (N, ..., C), dgamma and dbeta of the axes"""
    dy, x = wide(dy), wide(x)
    axes = last_axes(x, axis)
    rows = tuple(range(x.ndim - len(axes)))
    normal, _ = standardized(x, axes, epsilon)
    dx = standardized_backward(dy * (1 if gamma is None else wide(gamma)), x, axes, epsilon)
    return dx, (dy * normal).sum(axis=rows), dy.sum(axis=rows)


def in_groups(x, groups):
    """(N, pixels, groups, C / groups)"""
    return x.reshape(x.shape[0], int(np.prod(x.shape[1:-1])), groups, x.shape[-1] // groups)


def group_norm(x, groups, gamma=None, beta=None, epsilon=1e-5):
    """x (N, ..., C), gamma and beta (C) -> like x"""
    x = wide(x)
    y = standardized(in_groups(x, groups), (1, 3), epsilon)[0].reshape(x.shape)
    return y * (1 if gamma is None else wide(gamma)) + (0 if beta is None else wide(beta))


def group_norm_backward(dy, x, groups, gamma=None, epsilon=1e-5):
    """dy (N, ..., C) -> dx (N, ..., C), dgamma (C), dbeta (C)"""
    dy, x = wide(dy), wide(x)
    rows = tuple(range(x.ndim - 1))
    weighted = in_groups(dy * (1 if gamma is None else wide(gamma)), groups)
    dx = standardized_backward(weighted, in_groups(x, groups), (1, 3), epsilon).reshape(x.shape)
    normal = standardized(in_groups(x, groups), (1, 3), epsilon)[0].reshape(x.shape)
    return dx, (dy * normal).sum(axis=rows), dy.sum(axis=rows)


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
