"""Layers that join branches."""

from __future__ import annotations

import functools
from typing import Any

from nnx import ops
from nnx.graph.symbol import Symbol
from nnx.layers.base import Layer
from nnx.layers.keras_calls import AsItRuns


class _Merge(Layer):
    def __call__(  # type: ignore[override]
        self, *inputs: Any, training: bool | AsItRuns | None = None
    ) -> Any:
        """Joins the inputs, given one by one or as a list."""
        if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)):
            inputs = tuple(inputs[0])
        if len(inputs) < 2:
            raise ValueError(f"{type(self).__name__}: expected two or more inputs, got {len(inputs)}")
        if isinstance(inputs[0], Symbol):
            return inputs[0].trace.run(self, inputs[0].sample_shape, (inputs,), {})
        return self.forward(inputs)


class Add(_Merge):
    """The sum of two or more arrays: `Add()(a, b)` or `Add()([a, b])`; shapes broadcast as NumPy's do."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.add`."""
        return functools.reduce(ops.add, x)


class Multiply(_Merge):
    """The product of two or more arrays, element by element: `Multiply()(a, b)` or `Multiply()([a, b])`."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.multiply`."""
        return functools.reduce(ops.multiply, x)


class Subtract(_Merge):
    """The first of two arrays less the second: `Subtract()(a, b)` or `Subtract()([a, b])`."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.subtract`."""
        if len(x) != 2:
            raise ValueError(f"Subtract: expected two inputs, got {len(x)}")
        return ops.subtract(x[0], x[1])


class Average(_Merge):
    """The mean of two or more arrays, element by element: `Average()(a, b)` or `Average()([a, b])`."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.add`."""
        return functools.reduce(ops.add, x) * (1.0 / len(x))


class Maximum(_Merge):
    """The largest of two or more arrays, element by element: `Maximum()(a, b)` or `Maximum()([a, b])`."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.maximum`."""
        return functools.reduce(ops.maximum, x)


class Minimum(_Merge):
    """The smallest of two or more arrays, element by element: `Minimum()(a, b)` or `Minimum()([a, b])`."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.minimum`."""
        return functools.reduce(ops.minimum, x)


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
