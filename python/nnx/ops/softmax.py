"""softmax and log-softmax, shifted by the maximum so that nothing overflows."""

from __future__ import annotations

from nnx import _core
from nnx.graph.symbol import Symbol
from nnx.ops._types import Array, Concrete


def _check_last(x: Symbol, axis: int) -> None:
    if axis not in (-1, x.ndim - 1):
        raise ValueError(f"argument 'axis' expected the last axis in a traced model, got {axis}")


def softmax(x: Array, axis: int = -1) -> Array:
    """`exp(x - max) / sum of exp(x - max)`, along one axis; any shape.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where there is no such axis.
    """
    if isinstance(x, Symbol):
        _check_last(x, axis)
        return x.derive(x.trace.graph.softmax(x.node), "softmax")
    return _core.softmax(x, axis)


def log_softmax(x: Array, axis: int = -1) -> Array:
    """`x - max - log(sum of exp(x - max))`, along one axis; any shape.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where there is no such axis.
    """
    if isinstance(x, Symbol):
        _check_last(x, axis)
        return x.derive(x.trace.graph.log_softmax(x.node), "log_softmax")
    return _core.log_softmax(x, axis)


def softmax_backward(dy: Concrete, y: Concrete, axis: int = -1) -> Concrete:
    """`dx = y * (dy - sum(dy * y))` along the axis; dy and y = softmax(x) have one shape and dtype."""
    return _core.softmax_backward(dy, y, axis)


def log_softmax_backward(dy: Concrete, y: Concrete, axis: int = -1) -> Concrete:
    """`dx = dy - exp(y) * sum(dy)` along the axis; dy and y = log_softmax(x) have one shape and dtype."""
    return _core.log_softmax_backward(dy, y, axis)
