"""Formulas of losses, for symbols and arrays alike: targets and predictions (N, ..., K) -> (N, ...), or (N, ..., K).

Each is Keras's function of that name, unless it says otherwise.
"""

from __future__ import annotations

import math
from typing import Any

from nnx import ops

_EPSILON = 1e-7  # Keras's


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 * mean of |t - y| / max(|t|, 1e-7) over the last axis: (N, ..., K) -> (N, ...)."""
    size = ops.maximum(ops.absolute(y_true), _EPSILON)
    return 100.0 * ops.mean(ops.absolute(ops.subtract(y_true, y_pred)) / size, axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of (log(1 + y) - log(1 + t))^2 over the last axis, numbers below 1e-7 raised to it: (N, ..., K) -> (N, ...)."""
    difference = ops.log1p(ops.maximum(y_pred, _EPSILON)) - ops.log1p(ops.maximum(y_true, _EPSILON))
    return ops.mean(ops.square(difference), axis=-1)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of max(1 - t y, 0) over the last axis, for targets -1 and 1: (N, ..., K) -> (N, ...)."""
    return ops.mean(ops.maximum(1.0 - y_true * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of max(1 - t y, 0)^2 over the last axis, for targets -1 and 1: (N, ..., K) -> (N, ...)."""
    return ops.mean(ops.square(ops.maximum(1.0 - y_true * y_pred, 0.0)), axis=-1)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Sum of t log(t / y) over the last axis, both within 1e-7 and 1: (N, ..., K) -> (N, ...) (Kullback, Leibler 1951)."""
    target, prediction = ops.clip(y_true, _EPSILON, 1.0), ops.clip(y_pred, _EPSILON, 1.0)
    return ops.sum(target * ops.log(target / prediction), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """Mean of y - t log(y + 1e-7) over the last axis: (N, ..., K) -> (N, ...)."""
    return ops.mean(y_pred - y_true * ops.log(y_pred + _EPSILON), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """Mean of log(cosh(y - t)) over the last axis, without overflow: (N, ..., K) -> (N, ...)."""
    error = ops.subtract(y_pred, y_true)
    return ops.mean(error + ops.softplus(-2.0 * error) - math.log(2.0), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any) -> Any:
    """Minus the cosine of the angle between t and y along the last axis: (N, ..., K) -> (N, ...), -1 where they agree."""

    def unit(x: Any) -> Any:
        return x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-12))

    return -ops.sum(unit(y_true) * unit(y_pred), axis=-1)


def _power(base: Any, gamma: float) -> Any:
    return 1.0 if gamma == 0 else ops.power(base, gamma)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float | None = None,
    gamma: float = 2.0,
    from_logits: bool = False,
) -> Any:
    """Mean of a (1 - p)^gamma * -log(p) over the last axis, p of the right answer (Lin et al. 2017): (N, ..., K) -> (N, ...).

    alpha: the weight a of answers 1, where 1 - alpha is that of answers 0; None: 1 for both.
    """
    if from_logits:
        entropy = ops.softplus(y_pred) - y_true * y_pred
        probability = 1.0 / (1.0 + ops.exp(-y_pred))
    else:
        probability = ops.clip(y_pred, _EPSILON, 1.0 - _EPSILON)
        entropy = -(y_true * ops.log(probability) + (1.0 - y_true) * ops.log(1.0 - probability))
    right = y_true * probability + (1.0 - y_true) * (1.0 - probability)
    loss = _power(1.0 - right, gamma) * entropy
    if alpha is not None:
        loss = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * loss
    return ops.mean(loss, axis=-1)


def categorical_focal_crossentropy(
    y_true: Any, y_pred: Any, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False
) -> Any:
    """Sum of -alpha (1 - p)^gamma t log(p) over the last axis (Lin et al. 2017): (N, ..., K) -> (N, ...)."""
    probability = ops.softmax(y_pred) if from_logits else y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
    probability = ops.clip(probability, _EPSILON, 1.0 - _EPSILON)
    return ops.sum(-alpha * _power(1.0 - probability, gamma) * y_true * ops.log(probability), axis=-1)
