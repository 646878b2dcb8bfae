"""Layers that put a border around images, or take one away."""

from __future__ import annotations

from typing import Any, TypeAlias

from nnx import ops
from nnx._checks import integer
from nnx.layers.base import Layer

Border: TypeAlias = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
Sides: TypeAlias = tuple[tuple[int, int], tuple[int, int]]


def _sides(where: str, argument: str, border: Any) -> Sides:
    """((top, bottom), (left, right)) of n, (h, w) or the four."""
    try:
        height, width = (border, border) if not isinstance(border, (tuple, list)) else border
        pairs = [
            (side, side) if not isinstance(side, (tuple, list)) else tuple(side) for side in (height, width)
        ]
        (top, bottom), (left, right) = pairs
    except (TypeError, ValueError):
        raise ValueError(
            f"{where}: argument '{argument}' expected n, (h, w) or ((top, bottom), (left, right)), got {border!r}"
        ) from None
    top, bottom, left, right = (integer(where, argument, n, low=0) for n in (top, bottom, left, right))
    return (top, bottom), (left, right)


def _expect_images(where: str, x: Any) -> None:
    if len(x.shape) != 4:
        raise ValueError(f"{where}: expected images of shape (N, H, W, C), got {tuple(x.shape)}")


class ZeroPadding2D(Layer):
    """Zeros around images: (N, H, W, C) -> (N, top + H + bottom, left + W + right, C).

    Args:
        padding: n, (h, w) or ((top, bottom), (left, right)).
        name: for summaries and state dicts.
    """

    def __init__(self, padding: Border = 1, name: str | None = None) -> None:
        super().__init__(name)
        self.padding = padding
        self._sides = _sides("ZeroPadding2D", "padding", padding)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.pad`."""
        _expect_images("ZeroPadding2D", x)
        return ops.pad(x, [*self._sides, (0, 0)])


class Cropping2D(Layer):
    """Images without their border: (N, H, W, C) -> (N, H - top - bottom, W - left - right, C).

    Args:
        cropping: n, (h, w) or ((top, bottom), (left, right)).
        name: for summaries and state dicts.

    Raises:
        ValueError: where nothing is left of an image.
    """

    def __init__(self, cropping: Border = 0, name: str | None = None) -> None:
        super().__init__(name)
        self.cropping = cropping
        self._sides = _sides("Cropping2D", "cropping", cropping)

    def forward(self, x: Any) -> Any:
        """The pixels in the middle."""
        _expect_images("Cropping2D", x)
        (top, bottom), (left, right) = self._sides
        height, width = x.shape[1], x.shape[2]
        if top + bottom >= height or left + right >= width:
            raise ValueError(
                f"Cropping2D: argument 'cropping' expected less than the image, {height} x {width}, got {self.cropping}"
            )
        return x[:, top : height - bottom, left : width - right]
