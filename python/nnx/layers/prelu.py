"""A rectifier that learns its slope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import ops
from nnx._types import Shape
from nnx.graph.weight import Weight
from nnx.initializers import InitializerLike
from nnx.layers.base import Layer
from nnx.regularizers import RegularizerLike


class PReLU(Layer):
    """x where x > 0, else alpha * x, with an alpha that is trained (He et al. 2015).

    Args:
        alpha_initializer: for `alpha`, of the shape of a sample, (..., C).
        alpha_regularizer: a penalty on it, of `nnx.regularizers`.
        shared_axes: axes along which one number serves all, counted with the batch's as 0: (1, 2) for one a channel.
        name: for summaries and state dicts.

    Raises:
        ValueError: where shared_axes has the batch axis, or one that the inputs do not have.
    """

    def __init__(
        self,
        alpha_initializer: InitializerLike = "zeros",
        alpha_regularizer: RegularizerLike = None,
        shared_axes: Sequence[int] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.check_initializers(alpha_initializer=alpha_initializer)
        self.alpha_initializer = alpha_initializer
        self.alpha_regularizer = alpha_regularizer
        self.shared_axes = None if shared_axes is None else tuple(int(axis) for axis in shared_axes)
        self.alpha: Weight | None = None

    def build(self, input_shape: Shape) -> None:
        """Makes alpha, of the shape of a sample, with extents of 1 along shared axes."""
        if not input_shape:
            raise ValueError("PReLU: expected inputs of shape (N, ..., C), got (N,)")
        shape = list(input_shape)
        for axis in self.shared_axes or ():
            if not 1 <= axis <= len(shape):
                raise ValueError(
                    f"PReLU: argument 'shared_axes' expected axes in [1, {len(shape)}], got {axis}"
                )
            shape[axis - 1] = 1
        self.alpha = self.add_weight("alpha", tuple(shape), self.alpha_initializer)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.prelu`."""
        return ops.prelu(x, self.alpha)
