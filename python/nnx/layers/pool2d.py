"""Pooling layers, NHWC."""

from __future__ import annotations

from typing import Any

from nnx import ops
from nnx._types import Padding, Pair
from nnx.layers.base import Layer


class MaxPool2D(Layer):
    """Maxima over windows: (N, H, W, C) -> (N, OH, OW, C); `strides` None means the pool size."""

    def __init__(
        self,
        pool_size: Pair = 2,
        strides: Pair | None = None,
        padding: Padding = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.max_pool2d`."""
        return ops.max_pool2d(x, self.pool_size, self.strides, self.padding)[0]


class AvgPool2D(Layer):
    """Means over windows: (N, H, W, C) -> (N, OH, OW, C); `strides` None means the pool size."""

    def __init__(
        self,
        pool_size: Pair = 2,
        strides: Pair | None = None,
        padding: Padding = "valid",
        count_include_pad: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding
        self.count_include_pad = count_include_pad

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.avg_pool2d`."""
        return ops.avg_pool2d(x, self.pool_size, self.strides, self.padding, self.count_include_pad)


class GlobalAvgPool2D(Layer):
    """Means over whole images: (N, H, W, C) -> (N, C)."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.global_avg_pool2d`."""
        return ops.global_avg_pool2d(x)
