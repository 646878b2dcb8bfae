"""Batch normalisation and local response normalisation."""

from __future__ import annotations

from typing import Any

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
