"""Layers that join branches."""

from __future__ import annotations

import functools
from typing import Any

from nnx import ops
from nnx.graph.symbol import Symbol
from nnx.layers.base import Layer


class _Merge(Layer):
    def __call__(self, *inputs: Any) -> Any:
        """Joins the inputs, given one by one or as a list."""
        if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)):
            inputs = tuple(inputs[0])
        if len(inputs) < 2:
            raise ValueError(f"{type(self).__name__}: expected two or more inputs, got {len(inputs)}")
        if isinstance(inputs[0], Symbol):
            return inputs[0].trace.run(self, inputs[0].sample_shape, (inputs,), {})
        return self.forward(inputs)


class Add(_Merge):
    """The sum of two or more arrays of one shape: `Add()(a, b)` or `Add()([a, b])`."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.add`."""
        return functools.reduce(ops.add, x)


class Concat(_Merge):
    """Two or more arrays one after the other along `axis`, which counts the batch axis as 0."""

    def __init__(self, axis: int = -1, name: str | None = None) -> None:
        super().__init__(name)
        if axis == 0:
            raise ValueError("Concat: argument 'axis' expected an axis other than the batch's, got 0")
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.concat`."""
        return ops.concat(x, self.axis)
