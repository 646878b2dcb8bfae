"""Pooling layers and their counterpart, NHWC."""

from __future__ import annotations

from typing import Any

from nnx import ops
from nnx._checks import integer
from nnx._types import Interpolation, Padding, Pair
from nnx.layers.base import Layer


class MaxPool2D(Layer):
    """Maxima over windows: (N, H, W, C) -> (N, OH, OW, C).

    Args:
        pool_size: the window, an int or (down, across).
        strides: an int or (down, across); None: the pool size.
        padding: "valid", "same", an int, (ph, pw), or ((top, bottom), (left, right)). It never wins.
        name: for summaries and state dicts.
        dilation: the distance of the window's points, an int or (down, across).
        ceil_mode: True adds a last window for points that are left over, by PyTorch's rule; see `nnx.ops.max_pool2d`.
    """

    def __init__(
        self,
        pool_size: Pair = 2,
        strides: Pair | None = None,
        padding: Padding = "valid",
        name: str | None = None,
        dilation: Pair = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(name)
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.max_pool2d`."""
        return ops.max_pool2d(x, self.pool_size, self.strides, self.padding, self.dilation, self.ceil_mode)[0]


class AvgPool2D(Layer):
    """Means over windows: (N, H, W, C) -> (N, OH, OW, C).

    Args:
        pool_size: the window, an int or (down, across).
        strides: an int or (down, across); None: the pool size.
        padding: "valid", "same", an int, (ph, pw), or ((top, bottom), (left, right)).
        count_include_pad: True counts the padding's points, as zeros.
        name: for summaries and state dicts.
        dilation: the distance of the window's points, an int or (down, across).
        ceil_mode: True adds a last window for points that are left over, by PyTorch's rule; see `nnx.ops.max_pool2d`.
    """

    def __init__(
        self,
        pool_size: Pair = 2,
        strides: Pair | None = None,
        padding: Padding = "valid",
        count_include_pad: bool = False,
        name: str | None = None,
        dilation: Pair = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(name)
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding
        self.count_include_pad = count_include_pad
        self.dilation = dilation
        self.ceil_mode = ceil_mode

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.avg_pool2d`."""
        return ops.avg_pool2d(
            x,
            self.pool_size,
            self.strides,
            self.padding,
            self.count_include_pad,
            self.dilation,
            self.ceil_mode,
        )


class GlobalAvgPool2D(Layer):
    """Means over whole images: (N, H, W, C) -> (N, C)."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.global_avg_pool2d`."""
        return ops.global_avg_pool2d(x)


class GlobalMaxPool2D(Layer):
    """Maxima over whole images: (N, H, W, C) -> (N, C)."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.global_max_pool2d`."""
        return ops.global_max_pool2d(x)


class UpSampling2D(Layer):
    """Images made larger by whole factors: (N, H, W, C) -> (N, H * size, W * size, C).

    Args:
        size: the factors, an int or (down, across).
        interpolation: "nearest" repeats each point, "bilinear" goes straight from centre to centre.
        name: for summaries and state dicts.
    """

    def __init__(
        self, size: Pair = 2, interpolation: Interpolation = "nearest", name: str | None = None
    ) -> None:
        super().__init__(name)
        factors = size if isinstance(size, (tuple, list)) else (size, size)
        if len(factors) != 2:
            raise ValueError(f"UpSampling2D: argument 'size' expected an int or a pair, got {size}")
        down, across = (integer("UpSampling2D", "size", n) for n in factors)
        self.size = (down, across)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                "UpSampling2D: argument 'interpolation' expected 'nearest' or 'bilinear', "
                f"got {interpolation!r}"
            )
        self.interpolation = interpolation

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.upsample2d`."""
        return ops.upsample2d(x, self.size, self.interpolation)
