"""Losses and their gradients by the first argument.

Every loss takes `reduction`: "mean" divides the sum by the number of elements (of rows for
softmax_cross_entropy), weights notwithstanding; "sum"; or "none". `sample_weight` (N,) multiplies each
sample's loss; `class_weight`, a dict or an array by class, multiplies into it by the sample's label. The
backward functions take the same arguments and return d(loss)/d(first argument); for reduction "none" that of the sum.

All raise TypeError where a dtype is not float32 or float64 or dtypes are mixed, and ValueError where shapes
differ, a label is out of range, or a number is.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from nnx import _core
from nnx._types import ClassWeight, Operand, Reduction
from nnx.ops._types import Concrete

Weights = npt.ArrayLike | None


def mean_squared_error(
    y: Concrete,
    t: Operand,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
) -> Any:
    """Mean over all elements of (y - t)^2; y and t (N, ...) of one shape.

    Returns:
        A scalar; y.shape for reduction "none".
    """
    return _core.mean_squared_error(y, t, reduction, sample_weight)


def mean_squared_error_backward(
    y: Concrete,
    t: Operand,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
) -> Concrete:
    """Gradient of `mean_squared_error` by y, like y."""
    return _core.mean_squared_error_backward(y, t, reduction, sample_weight)


def mean_absolute_error(
    y: Concrete,
    t: Operand,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
) -> Any:
    """Mean over all elements of |y - t|; y and t (N, ...) of one shape. The gradient at 0 is 0.

    Returns:
        A scalar; y.shape for reduction "none".
    """
    return _core.mean_absolute_error(y, t, reduction, sample_weight)


def mean_absolute_error_backward(
    y: Concrete,
    t: Operand,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
) -> Concrete:
    """Gradient of `mean_absolute_error` by y, like y."""
    return _core.mean_absolute_error_backward(y, t, reduction, sample_weight)


def huber(
    y: Concrete,
    t: Operand,
    delta: float = 1.0,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
) -> Any:
    """Mean of e^2 / 2 where |e| <= delta, else delta * (|e| - delta / 2), e = y - t (Huber 1964).

    Args:
        y: (N, ...).
        t: targets like y.
        delta: where the parabola turns into lines, > 0.
        reduction: "mean", "sum" or "none".
        sample_weight: (N,).

    Returns:
        A scalar; y.shape for reduction "none".
    """
    return _core.huber(y, t, delta, reduction, sample_weight)


def huber_backward(
    y: Concrete,
    t: Operand,
    delta: float = 1.0,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
) -> Concrete:
    """Gradient of `huber` by y, like y."""
    return _core.huber_backward(y, t, delta, reduction, sample_weight)


def half_sum_squared_error(
    y: Concrete,
    t: Operand,
    reduction: Reduction = "sum",
    sample_weight: Weights = None,
) -> Any:
    """E = 1/2 * sum of (t - y)^2 over outputs and samples; y and t (N, ...) of one shape.

    Returns:
        A scalar, for reduction "mean" the mean over samples; (N,) for reduction "none".
    """
    return _core.half_sum_squared_error(y, t, reduction, sample_weight)


def half_sum_squared_error_backward(
    y: Concrete,
    t: Operand,
    reduction: Reduction = "sum",
    sample_weight: Weights = None,
) -> Concrete:
    """Gradient of `half_sum_squared_error` by y, like y."""
    return _core.half_sum_squared_error_backward(y, t, reduction, sample_weight)


def binary_cross_entropy(
    p: Concrete,
    t: Operand,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
    class_weight: ClassWeight = None,
) -> Any:
    """Mean over all elements of -t log p - (1 - t) log(1 - p), p clamped to [1e-7, 1 - 1e-7].

    Args:
        p: probabilities (N, ...).
        t: targets in [0, 1], like p.
        reduction: "mean", "sum" or "none".
        sample_weight: (N,).
        class_weight: weights of class 0 and 1; an element is of class 1 where t > 0.5.

    Returns:
        A scalar; p.shape for reduction "none".
    """
    return _core.binary_cross_entropy(p, t, reduction, sample_weight, class_weight)


def binary_cross_entropy_backward(
    p: Concrete,
    t: Operand,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
    class_weight: ClassWeight = None,
) -> Concrete:
    """Gradient of `binary_cross_entropy` by p, like p."""
    return _core.binary_cross_entropy_backward(p, t, reduction, sample_weight, class_weight)


def sigmoid_binary_cross_entropy(
    z: Concrete,
    t: Operand,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
    class_weight: ClassWeight = None,
) -> Any:
    """`binary_cross_entropy` of sigmoid(z), computed as max(z, 0) - z t + log(1 + exp(-|z|)).

    Args:
        z: logits (N, ...), of any size.
        t: targets in [0, 1], like z.
        reduction: "mean", "sum" or "none".
        sample_weight: (N,).
        class_weight: weights of class 0 and 1; an element is of class 1 where t > 0.5.

    Returns:
        A scalar; z.shape for reduction "none".
    """
    return _core.sigmoid_binary_cross_entropy(z, t, reduction, sample_weight, class_weight)


def sigmoid_binary_cross_entropy_backward(
    z: Concrete,
    t: Operand,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
    class_weight: ClassWeight = None,
) -> Concrete:
    """Gradient of `sigmoid_binary_cross_entropy` by z, like z."""
    return _core.sigmoid_binary_cross_entropy_backward(z, t, reduction, sample_weight, class_weight)


def softmax_cross_entropy(
    z: Concrete,
    labels_or_onehot: Operand,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
    class_weight: ClassWeight = None,
) -> Any:
    """Mean over rows of -sum q log softmax(z), q = (1 - label_smoothing) * target + label_smoothing / K.

    Args:
        z: logits (N, K), of any size.
        labels_or_onehot: labels (N,), int32, int64 or uint8 in [0, K); or distributions (N, K), as z.
        label_smoothing: in [0, 1] (Szegedy et al. 2016).
        reduction: "mean", "sum" or "none".
        sample_weight: (N,).
        class_weight: weights by class; of a distribution counts the argmax.

    Returns:
        A scalar; (N,) for reduction "none".
    """
    return _core.softmax_cross_entropy(
        z, labels_or_onehot, label_smoothing, reduction, sample_weight, class_weight
    )


def softmax_cross_entropy_backward(
    z: Concrete,
    labels_or_onehot: Operand,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Weights = None,
    class_weight: ClassWeight = None,
) -> Concrete:
    """Gradient of `softmax_cross_entropy` by z, like z."""
    return _core.softmax_cross_entropy_backward(
        z, labels_or_onehot, label_smoothing, reduction, sample_weight, class_weight
    )
