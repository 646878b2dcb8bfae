"""Batch, layer and group normalisation, and local response normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx import _core
from nnx._types import Operand
from nnx.graph.symbol import Symbol
from nnx.ops._types import Array, Concrete


def batch_norm(
    x: Array,
    gamma: Operand,
    beta: Operand,
    running_mean: Operand,
    running_var: Operand,
    training: bool = False,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
) -> Any:
    """Gamma * (x - mean) / sqrt(variance + epsilon) + beta (Ioffe and Szegedy 2015), over all axes but the last.

    Args:
        x: (..., C), of rank 2 or more.
        gamma: (C,), like beta and the running statistics.
        beta: see `gamma`.
        running_mean: see `gamma`.
        running_var: see `gamma`.
        training: True takes mean and (biased) variance of this batch, False the running ones.
        momentum: running = momentum * running + (1 - momentum) * batch.
        epsilon: added to the variance, > 0.

    Returns:
        y, like x; with training=True (y, new_running_mean, new_running_var, saved_mean, saved_inverse).
        A Symbol gives a Symbol: the program knows whether it trains.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or a number is out of range.
    """
    if isinstance(x, Symbol):
        gamma_node, beta_node = x.parameter(gamma, "gamma"), x.parameter(beta, "beta")
        mean_node, var_node = (
            x.parameter(running_mean, "running_mean"),
            x.parameter(running_var, "running_var"),
        )
        graph = x.trace.graph
        return x.derive(
            graph.batch_norm(x.node, gamma_node, beta_node, mean_node, var_node, momentum, epsilon)
        )
    return _core.batch_norm(x, gamma, beta, running_mean, running_var, training, momentum, epsilon)


def batch_norm_backward(
    dy: Concrete, x: Concrete, gamma: Operand, saved_mean: Concrete, saved_inverse: Concrete
) -> tuple[Concrete, Concrete, Concrete]:
    """Gradients of `batch_norm(..., training=True)`, through the batch's statistics.

    Args:
        dy: (..., C).
        x: (..., C), the input of the forward pass.
        gamma: (C,).
        saved_mean: (C,), from the forward pass, like saved_inverse.
        saved_inverse: see `saved_mean`.

    Returns:
        dx (..., C), dgamma (C,), dbeta (C,).

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit.
    """
    return _core.batch_norm_backward(dy, x, gamma, saved_mean, saved_inverse)


def layer_norm(
    x: Array,
    gamma: Operand = None,
    beta: Operand = None,
    epsilon: float = 1e-5,
    axis: int | Sequence[int] = -1,
) -> Array:
    """Gamma * (x - mean) / sqrt(variance + epsilon) + beta, over the last axes of each sample (Ba et al. 2016).

    The (biased) variance is taken about the mean, in a second pass, and both are sums of float64: inputs far from
    zero lose nothing.

    Args:
        x: (N, ..., C), of rank 2 or more.
        gamma: of the shape that x has along `axis`, or None for ones.
        beta: like gamma, or None for zeros.
        epsilon: added to the variance, > 0.
        axis: the last axis, or several that are the last ones: (1, 2, 3) for whole images. Not the batch axis.

    Returns:
        An array like x.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, a number is out of range, or the axes are not the last ones.
    """
    axes = _last_axes("layer_norm", axis, x)
    if isinstance(x, Symbol):
        gamma_node, beta_node = x.parameter(gamma, "gamma"), x.parameter(beta, "beta")
        return x.derive(x.trace.graph.layer_norm(x.node, gamma_node, beta_node, axes, epsilon))
    return _core.layer_norm(x, gamma, beta, epsilon, axes)


def layer_norm_backward(
    dy: Concrete,
    x: Concrete,
    gamma: Operand = None,
    epsilon: float = 1e-5,
    axis: int | Sequence[int] = -1,
) -> tuple[Concrete, Concrete, Concrete]:
    """Gradients of `layer_norm`, through the statistics.

    Args:
        dy: (N, ..., C).
        x: (N, ..., C), the input of the forward pass.
        gamma: as given to `layer_norm`, like `epsilon` and `axis`.
        epsilon: see `gamma`.
        axis: see `gamma`.

    Returns:
        dx (N, ..., C), and dgamma and dbeta of the shape that x has along `axis`.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, a number is out of range, or the axes are not the last ones.
    """
    return _core.layer_norm_backward(dy, x, gamma, epsilon, _last_axes("layer_norm_backward", axis, x))


def _last_axes(where: str, axis: int | Sequence[int], x: Any) -> int:
    """How many of the last axes `axis` names."""
    rank = x.ndim if isinstance(x, Symbol) else len(getattr(x, "shape", np.shape(x)))
    axes: list[Any] = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if any(isinstance(a, bool) or not isinstance(a, (int, np.integer)) for a in axes):
        raise TypeError(f"{where}: argument 'axis' expected an int or a tuple of ints, got {axis!r}")
    found = sorted(int(a) + rank if a < 0 else int(a) for a in axes)
    if not found or found != list(range(rank - len(found), rank)) or found[0] == 0:
        raise ValueError(
            f"{where}: argument 'axis' expected the last axis of {rank}, or several that are the last ones, "
            f"got {axis!r}"
        )
    return len(found)


def group_norm(
    x: Array,
    groups: int,
    gamma: Operand = None,
    beta: Operand = None,
    epsilon: float = 1e-5,
) -> Array:
    """Gamma * (x - mean) / sqrt(variance + epsilon) + beta, over groups of channels of a sample (Wu and He 2018).

    The (biased) variance is taken about the mean, in a second pass, and both are sums of float64: inputs far from
    zero lose nothing.

    Args:
        x: (N, ..., C), of rank 2 or more.
        groups: C / groups neighbouring channels share a mean and a variance, at all pixels of the sample. C makes
            it instance normalisation. At most 65,536 channels are in a group.
        gamma: (C,), or None for ones.
        beta: (C,), or None for zeros.
        epsilon: added to the variance, > 0.

    Returns:
        An array like x.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or a number is out of range.
    """
    if isinstance(x, Symbol):
        gamma_node, beta_node = x.parameter(gamma, "gamma"), x.parameter(beta, "beta")
        return x.derive(x.trace.graph.group_norm(x.node, gamma_node, beta_node, groups, epsilon))
    return _core.group_norm(x, groups, gamma, beta, epsilon)


def group_norm_backward(
    dy: Concrete, x: Concrete, groups: int, gamma: Operand = None, epsilon: float = 1e-5
) -> tuple[Concrete, Concrete, Concrete]:
    """Gradients of `group_norm`, through the statistics.

    Args:
        dy: (N, ..., C).
        x: (N, ..., C), the input of the forward pass.
        groups: as given to `group_norm`, like `gamma` and `epsilon`.
        gamma: see `groups`.
        epsilon: see `groups`.

    Returns:
        dx (N, ..., C), dgamma (C,), dbeta (C,).

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or a number is out of range.
    """
    return _core.group_norm_backward(dy, x, groups, gamma, epsilon)


def local_response_norm(
    x: Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Array:
    """`x / (k + alpha * sum of x^2 over neighbouring channels)^beta` (Krizhevsky et al. 2012).

    As in the paper, alpha is not divided by `size`.

    Args:
        x: (..., C), C at most 65,536.
        size: the number of neighbouring channels, odd; cut at the first and last channel.
        alpha: >= 0.
        beta: the exponent.
        k: > 0.

    Returns:
        An array like x.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where a number is out of range.
    """
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.local_response_norm(x.node, size, alpha, beta, k))
    return _core.local_response_norm(x, size, alpha, beta, k)


def local_response_norm_backward(
    dy: Concrete, x: Concrete, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Concrete:
    """The gradient of `local_response_norm`, from dy and x (..., C) and the same settings."""
    return _core.local_response_norm_backward(dy, x, size, alpha, beta, k)
