"""Layers that normalise each sample by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import ops
from nnx._checks import integer, number
from nnx._types import Shape
from nnx.graph.weight import Weight
from nnx.layers.base import Layer


class LayerNorm(Layer):
    """Zero mean and unit variance over the last axes of each sample, then `gamma` and `beta` (Ba et al. 2016).

    Training and prediction are the same.

    Args:
        axis: the last axis, or several that are the last ones: (1, 2, 3) for whole images.
        epsilon: added to the variance, > 0.
        center: False leaves `beta` out.
        scale: False leaves `gamma` out.
        name: for summaries and state dicts.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        given = axis if isinstance(axis, (list, tuple)) else [axis]
        axes = tuple(integer("LayerNorm", "axis", a, -(2**31)) for a in given)
        if not axes:
            raise ValueError("LayerNorm: argument 'axis' expected at least one axis, got none")
        self.axis = axes if isinstance(axis, (list, tuple)) else axes[0]
        self.epsilon = number("LayerNorm", "epsilon", epsilon, closed="neither")
        self.center = center
        self.scale = scale
        self.gamma: Weight | None = None
        self.beta: Weight | None = None

    def build(self, input_shape: Shape) -> None:
        """Makes gamma and beta, of the shape that inputs have along `axis`."""
        count = len(self.axis) if isinstance(self.axis, tuple) else 1
        if count > len(input_shape):
            raise ValueError(
                f"LayerNorm: expected inputs of shape (N, ..., C) with {count} axes behind the batch's, "
                f"got {(None, *input_shape)}"
            )
        shape = tuple(input_shape[-count:])
        if self.scale:
            self.gamma = self.add_weight("gamma", shape, "ones")
        if self.center:
            self.beta = self.add_weight("beta", shape, "zeros")

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.layer_norm`."""
        return ops.layer_norm(x, self.gamma, self.beta, self.epsilon, self.axis)


class GroupNorm(Layer):
    """Zero mean and unit variance over groups of channels of each sample, then `gamma` and `beta` (Wu and He 2018).

    Training and prediction are the same.

    Args:
        groups: the number of groups: C / groups neighbouring channels share a mean and a variance.
        epsilon: added to the variance, > 0.
        center: False leaves `beta` out.
        scale: False leaves `gamma` out.
        name: for summaries and state dicts.
    """

    def __init__(
        self,
        groups: int = 32,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.groups = integer("GroupNorm", "groups", groups)
        self.epsilon = number("GroupNorm", "epsilon", epsilon, closed="neither")
        self.center = center
        self.scale = scale
        self.gamma: Weight | None = None
        self.beta: Weight | None = None

    def build(self, input_shape: Shape) -> None:
        """Makes gamma and beta (C,)."""
        if not input_shape:
            raise ValueError("GroupNorm: expected inputs of shape (N, ..., C), got (N,)")
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"GroupNorm: argument 'groups' expected a divisor of the {input_shape[-1]} channels of inputs of "
                f"shape {(None, *input_shape)}, got {self.groups}"
            )
        shape = (input_shape[-1],)
        if self.scale:
            self.gamma = self.add_weight("gamma", shape, "ones")
        if self.center:
            self.beta = self.add_weight("beta", shape, "zeros")

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.group_norm`."""
        return ops.group_norm(x, self.groups, self.gamma, self.beta, self.epsilon)
