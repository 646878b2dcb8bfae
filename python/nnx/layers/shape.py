"""Layers that only give arrays another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import ops
from nnx.layers.base import Layer


class Flatten(Layer):
    """(N, ...) -> (N, product of the rest)."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.reshape`."""
        return ops.reshape(x, (-1,))


class Reshape(Layer):
    """(N, ...) -> (N, *target_shape); one extent may be -1."""

    def __init__(self, target_shape: Sequence[int], name: str | None = None) -> None:
        super().__init__(name)
        self.target_shape = tuple(int(n) for n in target_shape)
        if self.target_shape.count(-1) > 1 or any(n < 1 and n != -1 for n in self.target_shape):
            raise ValueError(
                "Reshape: argument 'target_shape' expected extents of at least 1, one may be -1, "
                f"got {self.target_shape}"
            )

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.reshape`."""
        return ops.reshape(x, self.target_shape)
