"""Losses: values per element or row, then weights, then the reduction.

The mean divides the weighted sum by the number of elements (of rows for cross-entropies and half_sum_squared_error),
whatever the weights.
"""

import numpy as np

from .activation import sigmoid
from .arrays import wide
from .softmax import log_softmax

CLAMP = 1e-7


def mean_squared_error_values(y, t):
    return (y - t) ** 2, 2 * (y - t)


def mean_absolute_error_values(y, t):
    return np.abs(y - t), np.sign(y - t)


def huber_values(y, t, delta=1.0):
    error = y - t
    near = np.abs(error) <= delta
    value = np.where(near, error**2 / 2, delta * (np.abs(error) - delta / 2))
    return value, np.where(near, error, delta * np.sign(error))


def half_sum_squared_error_values(y, t):
    return (t - y) ** 2 / 2, y - t


def binary_cross_entropy_values(p, t):
    inside = np.clip(p, CLAMP, 1 - CLAMP)
    value = -t * np.log(inside) - (1 - t) * np.log1p(-inside)
    return value, (inside - t) / (inside * (1 - inside))


def sigmoid_binary_cross_entropy_values(z, t):
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))), sigmoid(z) - t


def class_targets(z, target):
    """Labels (N,) as one-hot rows (N, K); distributions as they are."""
    target = np.asarray(target)
    return np.eye(z.shape[1])[target] if target.ndim == 1 else wide(target)


def weights_of(rows, sample_weight, class_weight, classes_of):
    """(N,) weights: sample weights times the weight of each row's class."""
    weight = np.ones(rows) if sample_weight is None else wide(sample_weight)
    if class_weight is None:
        return weight
    if isinstance(class_weight, dict):
        factors = [class_weight.get(int(c), 1.0) for c in classes_of()]
    else:
        factors = wide(class_weight)[classes_of()]
    return weight * factors


def reduce(values, count, reduction):
    if reduction == "none":
        return values
    total = values.sum()
    return total if reduction == "sum" else total / max(count, 1)


def factors_of(t, sample_weight, class_weight):
    """t (N, ...) -> the weight of every element; a binary target's class is t > 0.5."""
    factors = np.ones(t.shape)
    if isinstance(class_weight, dict):
        factors = np.where(t > 0.5, class_weight.get(1, 1.0), class_weight.get(0, 1.0))
    elif class_weight is not None:
        factors = wide(class_weight)[(t > 0.5).astype(int)]
    if sample_weight is not None:
        factors = factors * wide(sample_weight).reshape(-1, *[1] * (t.ndim - 1))
    return factors


def pointwise(values_and_slopes, sums_rows=False, default="mean"):
    """A loss and its gradient, from value and slope per element."""

    def loss(y, t, reduction=default, sample_weight=None, class_weight=None, **options):
        y, t = wide(y), wide(t)
        values = values_and_slopes(y, t, **options)[0] * factors_of(t, sample_weight, class_weight)
        if sums_rows:
            values = values.sum(axis=tuple(range(1, values.ndim)))
        return reduce(values, values.size, reduction)

    def backward(y, t, reduction=default, sample_weight=None, class_weight=None, **options):
        y, t = wide(y), wide(t)
        gradient = values_and_slopes(y, t, **options)[1] * factors_of(t, sample_weight, class_weight)
        count = len(y) if sums_rows else y.size
        return gradient / max(count, 1) if reduction == "mean" else gradient

    return loss, backward


mean_squared_error, mean_squared_error_backward = pointwise(mean_squared_error_values)
mean_absolute_error, mean_absolute_error_backward = pointwise(mean_absolute_error_values)
huber, huber_backward = pointwise(huber_values)
half_sum_squared_error, half_sum_squared_error_backward = pointwise(
    half_sum_squared_error_values, sums_rows=True, default="sum"
)
binary_cross_entropy, binary_cross_entropy_backward = pointwise(binary_cross_entropy_values)
sigmoid_binary_cross_entropy, sigmoid_binary_cross_entropy_backward = pointwise(
    sigmoid_binary_cross_entropy_values
)


def softmax_cross_entropy(
    z, target, label_smoothing=0.0, reduction="mean", sample_weight=None, class_weight=None
):
    """z (N, K) logits, target (N,) labels or (N, K) distributions -> -sum q log softmax(z)"""
    z = wide(z)
    one_hot = class_targets(z, target)
    q = (1 - label_smoothing) * one_hot + label_smoothing / z.shape[1]
    weight = weights_of(len(z), sample_weight, class_weight, lambda: one_hot.argmax(axis=1))
    return reduce(-(q * log_softmax(z)).sum(axis=1) * weight, len(z), reduction)


def softmax_cross_entropy_backward(
    z, target, label_smoothing=0.0, reduction="mean", sample_weight=None, class_weight=None
):
    """(N, K): softmax(z) sum(q) - q"""
    z = wide(z)
    one_hot = class_targets(z, target)
    q = (1 - label_smoothing) * one_hot + label_smoothing / z.shape[1]
    weight = weights_of(len(z), sample_weight, class_weight, lambda: one_hot.argmax(axis=1))
    gradient = (np.exp(log_softmax(z)) * q.sum(axis=1, keepdims=True) - q) * weight[:, None]
    return gradient / max(len(z), 1) if reduction == "mean" else gradient


__all__ = [
    name + suffix
    for name in (
        "mean_squared_error",
        "mean_absolute_error",
        "huber",
        "half_sum_squared_error",
        "binary_cross_entropy",
        "sigmoid_binary_cross_entropy",
        "softmax_cross_entropy",
    )
    for suffix in ("", "_backward")
]
