"""Two-dimensional convolution."""

from __future__ import annotations

import math
from typing import Any

from nnx import ops
from nnx._checks import integer
from nnx._types import Padding, Pair, Shape
from nnx.graph.weight import Weight
from nnx.initializers import InitializerLike
from nnx.layers.activation import ActivationLike, split
from nnx.layers.base import Layer
from nnx.regularizers import RegularizerLike


class Conv2D(Layer):
    """A convolution of NHWC images: (N, H, W, C) -> (N, OH, OW, filters).

    Args:
        filters: the number of output channels.
        kernel_size: the window, an int or (down, across).
        strides: an int or (down, across).
        padding: "valid", "same", an int, (ph, pw), or ((top, bottom), (left, right)).
        dilation: the distance of the window's points, an int or (down, across).
        groups: cuts channels and filters into groups that do not see each other.
        activation: a name ("relu", "sigmoid", ...), a layer or a function.
        use_bias: False leaves the bias out.
        kernel_initializer: for `kernel` (KH, KW, C / groups, filters).
        bias_initializer: for `bias` (filters,).
        name: for summaries and state dicts.
        kernel_regularizer: a penalty on the kernel that the loss includes, of `nnx.regularizers`: "l2", say.
        bias_regularizer: the same for the bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Pair,
        strides: Pair = 1,
        padding: Padding = "valid",
        dilation: Pair = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        name: str | None = None,
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
    ) -> None:
        super().__init__(name)
        self.filters = integer("Conv2D", "filters", filters)
        self.kernel_size = window_of("Conv2D", kernel_size)
        self.strides = strides
        self.padding = padding
        self.dilation = dilation
        self.groups = integer("Conv2D", "groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"Conv2D: argument 'filters' expected a multiple of groups = {groups}, got {filters}"
            )
        self.activation = activation
        self.use_bias = use_bias
        self.check_initializers(kernel_initializer=kernel_initializer, bias_initializer=bias_initializer)
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer
        self.kernel: Weight | None = None
        self.bias: Weight | None = None
        self._fused, self._after = split("Conv2D", activation)

    def build(self, input_shape: Shape) -> None:
        """Makes kernel (KH, KW, C / groups, filters) and bias (filters,)."""
        channels = channels_of("Conv2D", input_shape)
        if channels % self.groups:
            raise ValueError(f"Conv2D: expected channels in {self.groups} groups, got {channels} channels")
        kernel_shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_weight("kernel", kernel_shape, self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.filters,), self.bias_initializer)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.conv2d`."""
        y = ops.conv2d(
            x, self.kernel, self.bias, self.strides, self.padding, self.dilation, self.groups, self._fused
        )
        return self._after(y) if self._after else y


def window_of(where: str, kernel_size: Pair) -> tuple[int, int]:
    """(down, across) of a window that is given as an int or a pair."""
    size = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
    if len(size) != 2:
        raise ValueError(f"{where}: argument 'kernel_size' expected an int or a pair, got {kernel_size}")
    return integer(where, "kernel_size", size[0]), integer(where, "kernel_size", size[1])


def channels_of(where: str, input_shape: Shape) -> int:
    """The channels of images (H, W, C); ValueError for what are none, with what to do about it."""
    if len(input_shape) == 3:
        return input_shape[-1]
    shape = ", ".join(map(str, ("N", *input_shape)))
    side = math.isqrt(input_shape[0]) if len(input_shape) == 1 else 0
    if side > 1 and side**2 == input_shape[0]:
        advice = f"; rows that are images: x.reshape(-1, {side}, {side}, 1), or Reshape(({side}, {side}, 1)) before it"
    elif len(input_shape) == 1:
        advice = "; rows of features want Dense, images their axes: x.reshape(-1, H, W, C)"
    else:
        advice = (
            "; images of one channel need a last axis of 1: x[..., None]" if len(input_shape) == 2 else ""
        )
    raise ValueError(f"{where}: expected images of shape (N, H, W, C), got ({shape}){advice}")
