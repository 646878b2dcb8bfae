"""Concatenation, normalisation, reshaping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx import _core
from nnx._types import Operand
from nnx.graph import bounds
from nnx.graph.symbol import Symbol
from nnx.ops._types import Array


def concat(arrays: Sequence[Any], axis: int = -1) -> Any:
    """The arrays one after the other along an axis; they are equal in all others.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or there are no arrays.
    """
    if len(arrays) > 0 and isinstance(arrays[0], Symbol):
        first = arrays[0]
        node = first.trace.graph.concat([x.node for x in arrays], axis)
        return first.derive(node, within=bounds.joined(x.bounds for x in arrays))
    return _core.concat(list(arrays), axis)


def normalize(x: Array, mean: Operand, deviation: Operand) -> Array:
    """(x - mean) / deviation, per channel.

    Args:
        x: (..., C).
        mean: (C,).
        deviation: (C,).

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit.
    """
    if isinstance(x, Symbol):
        mean_node, deviation_node = x.parameter(mean, "mean"), x.parameter(deviation, "deviation")
        return x.derive(x.trace.graph.normalize(x.node, mean_node, deviation_node))
    return _core.normalize(x, mean, deviation)


def reshape(x: Any, shape: Sequence[int]) -> Any:
    """Every sample of x (N, ...) in another shape, given without the batch axis; one extent may be -1.

    Raises:
        ValueError: where the number of elements differs.
    """
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.reshape(x.node, tuple(shape)), x.activation, x.bounds)
    if isinstance(x, _core.Tensor):
        return _core.tensor(reshape(x.numpy(), shape), device=x.device)
    array = np.asarray(x)
    if -1 in shape and array.shape[0] == 0:
        known = -int(np.prod(shape))
        shape = [int(np.prod(array.shape[1:])) // known if extent == -1 else extent for extent in shape]
    return array.reshape((array.shape[0], *shape))
