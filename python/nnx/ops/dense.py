"""Dense (fully connected) layers."""

from __future__ import annotations

from nnx import _core
from nnx._types import Operand
from nnx.graph.symbol import Symbol
from nnx.ops._types import Array, Concrete
from nnx.ops.activation import fused, our_name


def dense(x: Array, w: Operand, b: Operand = None, activation: str | None = None) -> Array:
    """activation(x @ w + b).

    Args:
        x: (N, I).
        w: (I, O).
        b: (O,), or None for no bias.
        activation: None, or "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu" or "silu".

    Returns:
        (N, O).

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or the activation is unknown.
    """
    if isinstance(x, Symbol):
        kind, alpha = fused(activation)
        node = x.trace.graph.dense(x.node, x.parameter(w, "w"), x.parameter(b, "b"), kind, alpha)
        return x.derive(node, kind)
    return _core.dense(x, w, b, our_name(activation))


def dense_backward(
    dy: Concrete, x: Concrete, w: Operand, need_dx: bool = True
) -> tuple[Concrete | None, Concrete, Concrete]:
    """Gradients of `dense` without activation: dx = dy @ w.T, dw = x.T @ dy, db = sum of dy over the batch.

    Args:
        dy: (N, O).
        x: (N, I).
        w: (I, O).
        need_dx: False leaves dx out (None), as the first layer of a network may.

    Returns:
        dx (N, I), dw (I, O), db (O,).

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit.
    """
    return _core.dense_backward(dy, x, w, need_dx)
