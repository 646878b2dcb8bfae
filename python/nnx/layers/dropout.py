"""Dropout, and noise."""

from __future__ import annotations

from typing import Any

from nnx import ops
from nnx._checks import integer, number
from nnx.graph.symbol import may_train
from nnx.layers.base import Layer


class Dropout(Layer):
    """While training, sets the share `rate` of elements to 0 and scales the others by 1 / (1 - rate)."""

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: argument 'rate' expected a number in [0, 1), got {rate}")
        self.rate = float(rate)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.dropout`; arrays come back as they are, for nothing is being trained."""
        return ops.dropout(x, self.rate) if may_train(x) else x


class SpatialDropout2D(Layer):
    """While training, sets the share `rate` of each sample's channels to 0 and scales the others by 1 / (1 - rate).

    Args:
        rate: the share of channels of (N, H, W, C) that is dropped, in [0, 1).
        seed: an int in [0, 2^64); None: the model's.
        name: the layer's.
    """

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = number("SpatialDropout2D", "rate", rate, 0, 1, "left")
        self.seed = seed if seed is None else integer("SpatialDropout2D", "seed", seed, 0)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.spatial_dropout2d`; arrays come back as they are, for nothing is being trained."""
        return ops.spatial_dropout2d(x, self.rate, self.seed) if may_train(x) else x


class GaussianNoise(Layer):
    """While training, adds normal numbers of mean 0.

    Args:
        stddev: their standard deviation, at least 0.
        seed: an int in [0, 2^64); None: the model's.
        name: the layer's.
    """

    def __init__(self, stddev: float, seed: int | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.stddev = number("GaussianNoise", "stddev", stddev)
        self.seed = seed if seed is None else integer("GaussianNoise", "seed", seed, 0)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.gaussian_noise`; arrays come back as they are, for nothing is being trained."""
        return ops.gaussian_noise(x, self.stddev, self.seed) if may_train(x) else x
