"""Scaling by fixed numbers."""

from __future__ import annotations

import math
from typing import Any

from nnx import ops
from nnx._checks import number
from nnx.layers.base import Layer


class Rescaling(Layer):
    """x * scale + offset; as a model's first layer it takes images as they are (uint8, 0 to 255).

    Args:
        scale: a finite number: 1 / 255, say.
        offset: a finite number.
        name: for summaries and state dicts.
    """

    def __init__(self, scale: float, offset: float = 0.0, name: str | None = None) -> None:
        super().__init__(name)
        self.scale = number("Rescaling", "scale", scale, low=-math.inf, closed="neither")
        self.offset = number("Rescaling", "offset", offset, low=-math.inf, closed="neither")

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.multiply` and `nnx.ops.add`."""
        return ops.add(ops.multiply(x, self.scale), self.offset)
