"""Elementwise arithmetic, sums and means over axes, padding.

Elementwise functions take arrays and numbers that NumPy's rule of broadcasting brings to one shape. In a traced model
those that follow each other are computed in one pass over memory, forward and backward; on arrays `evaluate` does that
for a function of one's own.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx import _core
from nnx.graph import bounds
from nnx.graph.symbol import Symbol
from nnx.ops import _expressions
from nnx.ops._expressions import Term

Axis = int | Sequence[int] | None


def _unary(name: str, x: Any) -> Any:
    return _expressions.apply(name, lambda x: x.apply(name, (x,)), [x])


def _binary(name: str, a: Any, b: Any) -> Any:
    def function(a: Any, b: Any) -> Any:
        one = a if isinstance(a, (Symbol, Term)) else b
        return one.apply(name, (a, b))

    return _expressions.apply(name, function, [a, b])


def _alike(a: Any, b: Any) -> bool:
    """Whether they are arrays of one shape, which kernels of their own add and multiply."""
    return (
        isinstance(a, (np.ndarray, _core.Tensor)) and np.ndim(a) > 0 and a.shape == getattr(b, "shape", None)
    )


def add(a: Any, b: Any) -> Any:
    """A + b.

    Args:
        a: an array of any shape, or a number.
        b: an array whose shape broadcasts with a's, or a number; one of them is an array.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not broadcast.
    """
    return _core.add(a, b) if _alike(a, b) else _binary("add", a, b)


def subtract(a: Any, b: Any) -> Any:
    """A - b; shapes and errors as `add`."""
    return _binary("subtract", a, b)


def multiply(a: Any, b: Any) -> Any:
    """A * b element by element; shapes and errors as `add`."""
    return _core.multiply(a, b) if _alike(a, b) else _binary("multiply", a, b)


def divide(a: Any, b: Any) -> Any:
    """A / b; shapes and errors as `add`."""
    return _binary("divide", a, b)


def power(a: Any, b: Any) -> Any:
    """A to the power b; shapes and errors as `add`. Gradients: b a^(b-1), and a^b log(a), 0 where a is 0."""
    return _binary("power", a, b)


def maximum(a: Any, b: Any) -> Any:
    """The larger of a and b, NaN where one is NaN; shapes and errors as `add`.

    The gradient goes to the larger; equal ones get half each, and one that equals a number gets all.
    """
    return _binary("maximum", a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of a and b, NaN where one is NaN; shapes and errors as `add`, gradients as `maximum`."""
    return _binary("minimum", a, b)


def clip(x: Any, low: float | None, high: float | None) -> Any:
    """`x` within [low, high], None for no bound; the shape of x. The gradient is dy within and on the bounds, else 0.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where low is above high.
    """
    if low is not None and high is not None and not low <= high:
        raise ValueError(f"clip: argument 'low' expected at most high = {high}, got {low}")

    def function(x: Any) -> Any:
        x = x if low is None else maximum(x, low)
        return x if high is None else minimum(x, high)

    return _expressions.apply("clip", function, [x])


def absolute(x: Any) -> Any:
    """|x|, of any shape; its gradient at 0 is 0."""
    return _unary("absolute", x)


def negative(x: Any) -> Any:
    """-x, of any shape."""
    return _unary("negate", x)


def sign(x: Any) -> Any:
    """-1, 0 or 1, of any shape; its gradient is 0."""
    return _unary("sign", x)


def exp(x: Any) -> Any:
    """E to the power x, of any shape."""
    return _unary("exp", x)


def expm1(x: Any) -> Any:
    """exp(x) - 1, of any shape, exact for small x."""
    return _unary("expm1", x)


def log(x: Any) -> Any:
    """The natural logarithm, of any shape: -inf of 0, NaN of numbers below."""
    return _unary("log", x)


def log1p(x: Any) -> Any:
    """log(1 + x), of any shape, exact for small x."""
    return _unary("log1p", x)


def sqrt(x: Any) -> Any:
    """The square root, of any shape; NaN of numbers below 0."""
    return _unary("sqrt", x)


def square(x: Any) -> Any:
    """`x * x`, of any shape."""
    return _unary("square", x)


def reciprocal(x: Any) -> Any:
    """1 / x, of any shape."""
    return _unary("reciprocal", x)


def evaluate(function: Callable[..., Any], *arrays: Any) -> Any:
    """function(*arrays), an elementwise function of nnx.ops and operators, in one pass over memory.

    Args:
        function: takes as many arguments as there are arrays, and returns what the operators `+ - * / ** abs` and the
            elementwise functions of nnx.ops make of them.
        arrays: arrays of shapes that broadcast, eight at most, and numbers.

    Returns:
        An array of the broadcast shape.

    Raises:
        TypeError: where a dtype is not float32 or float64, dtypes are mixed, or the function does anything else.
        ValueError: where shapes do not broadcast, or the function takes more than some ninety operations.
    """
    if len(arrays) == 0:
        raise ValueError("evaluate: argument 'arrays' expected at least one array, got none")
    return _expressions.apply("evaluate", function, arrays)


def evaluate_backward(function: Callable[..., Any], dy: Any, *arrays: Any) -> Any:
    """The gradients by the arrays of `evaluate(function, *arrays)`, for dy of its shape; each of its array's shape.

    One array gives one gradient, several a tuple; errors as `evaluate`.
    """
    gradients = _expressions.apply_backward("evaluate_backward", function, dy, arrays)
    return gradients[0] if len(gradients) == 1 else tuple(gradients)


def _axes(where: str, axis: Axis) -> list[int]:
    if axis is None:
        return []
    try:
        axes = [operator.index(item) for item in (axis if isinstance(axis, Sequence) else (axis,))]
    except TypeError:
        raise TypeError(f"{where}: argument 'axis' expected an integer or several, got {axis!r}") from None
    if not axes:
        raise ValueError(f"{where}: argument 'axis' expected None or at least one axis, got none")
    return axes


def _share(shape: Sequence[int | None], axes: list[int]) -> float:
    """One over the number of elements that a mean is taken of; shape's None, a batch axis, is none of its axes."""
    taken = (
        [axis % len(shape) for axis in axes if -len(shape) <= axis < len(shape)]
        if axes
        else range(len(shape))
    )
    count = math.prod(extent for place, extent in enumerate(shape) if place in taken and extent is not None)
    return 1.0 / count if count else math.nan


def _sum(name: str, x: Any, axis: Axis, keepdims: bool, mean: bool) -> Any:
    axes = _axes(name, axis)
    if not hasattr(x, "shape"):
        x = np.asarray(x, np.float64)
    factor = _share(x.shape, axes) if mean else 1.0
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.sum(x.node, axes, keepdims, factor), within=x.bounds if mean else None)
    return _core.sum(name, x, axes, keepdims, factor)


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sums over axes, added up in float64.

    Args:
        x: any shape; in a traced model (N, ...), where the batch axis stays.
        axis: an axis or several, from the last where below 0; None: all (in a traced model all but the batch's).
        keepdims: whether the axes stay, with extent 1.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where an axis is out of range, named twice, or a traced model's batch axis.
    """
    return _sum("sum", x, axis, keepdims, mean=False)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The means over axes; shape, arguments and errors as `sum`."""
    return _sum("mean", x, axis, keepdims, mean=True)


def sum_backward(dy: Any, x_shape: Sequence[int], axis: Axis = None, keepdims: bool = False) -> Any:
    """The gradient of `sum` by x, of shape x_shape: dy, repeated over the axes; errors as `sum`."""
    return _core.sum_backward("sum_backward", dy, x_shape, _axes("sum_backward", axis), keepdims, 1.0)


def mean_backward(dy: Any, x_shape: Sequence[int], axis: Axis = None, keepdims: bool = False) -> Any:
    """The gradient of `mean` by x, of shape x_shape: dy over the number of elements; errors as `sum`."""
    axes = _axes("mean_backward", axis)
    return _core.sum_backward("mean_backward", dy, x_shape, axes, keepdims, _share(x_shape, axes))


def pad(x: Any, padding: Sequence[tuple[int, int]], value: float = 0.0) -> Any:
    """`x` (N, ...) between rows, columns, ... of `value`.

    Args:
        x: (N, ...).
        padding: how many elements come before and behind x along each axis but the first, as pairs.
        value: what they are.

    Raises:
        TypeError: where x is not float32 or float64, or padding does not consist of pairs of integers.
        ValueError: where there is not a pair for each axis, or one is below 0.
    """
    try:
        pairs = [(int(before), int(after)) for before, after in padding]
    except (TypeError, ValueError):
        raise TypeError(f"pad: argument 'padding' expected pairs of integers, got {padding!r}") from None
    if isinstance(x, Symbol):
        node = x.trace.graph.pad(x.node, pairs, float(value))
        return x.derive(node, within=bounds.joined([(value, value), x.bounds]))
    return _core.pad(x, [(0, 0), *pairs], float(value))
