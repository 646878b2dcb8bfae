"""Scaling by fixed numbers."""

from __future__ import annotations

import math
from typing import Any

from nnx import ops
from nnx._checks import number
from nnx._types import Shape
from nnx.graph.weight import Weight
from nnx.layers.base import Layer


class Rescaling(Layer):
    """x * scale + offset; as a model's first layer it takes images as they are (uint8, 0 to 255).

    Args:
        scale: a finite number other than 0: 1 / 255, say.
        offset: a finite number.
        name: for summaries and state dicts.
    """

    def __init__(self, scale: float, offset: float = 0.0, name: str | None = None) -> None:
        super().__init__(name)
        self.scale = number("Rescaling", "scale", scale, low=-math.inf, closed="neither")
        self.offset = number("Rescaling", "offset", offset, low=-math.inf, closed="neither")
        if self.scale == 0:
            raise ValueError("Rescaling: argument 'scale' expected a number other than 0, got 0")
        self._mean: Weight | None = None
        self._std: Weight | None = None

    def build(self, input_shape: Shape) -> None:
        """With an offset, makes the fixed weights mean and std, each (C,)."""
        if self.offset:
            channels = input_shape[-1:] or (1,)
            self._mean = self.add_weight("mean", channels, -self.offset / self.scale, trainable=False)
            self._std = self.add_weight("std", channels, 1.0 / abs(self.scale), trainable=False)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.normalize`."""
        if self._mean is None:
            return x * self.scale
        return ops.normalize(x, self._mean, self._std) * math.copysign(1.0, self.scale)
