"""Convolutions that look at every channel by itself."""

from __future__ import annotations

from typing import Any

from nnx import initializers, ops
from nnx._checks import integer
from nnx._types import NDArray, Padding, Pair, Shape
from nnx.graph.weight import Weight
from nnx.initializers import Initializer, InitializerLike
from nnx.layers.activation import ActivationLike, split
from nnx.layers.base import Layer
from nnx.layers.conv2d import channels_of, window_of
from nnx.regularizers import RegularizerLike


class DepthwiseConv2D(Layer):
    """A convolution of every channel by itself: (N, H, W, C) -> (N, OH, OW, C * depth_multiplier).

    Outputs c * depth_multiplier, ..., (c + 1) * depth_multiplier - 1 see channel c, as in Keras.

    Args:
        kernel_size: the window, an int or (down, across).
        strides: an int or (down, across).
        padding: "valid", "same", an int, (ph, pw), or ((top, bottom), (left, right)).
        depth_multiplier: how many outputs a channel has.
        dilation: the distance of the window's points, an int or (down, across).
        activation: a name ("relu", "sigmoid", ...), a layer or a function.
        use_bias: False leaves the bias out.
        kernel_initializer: for `kernel` (KH, KW, 1, C * depth_multiplier); fan_in and fan_out are those of Keras's
            kernel (KH, KW, C, depth_multiplier).
        bias_initializer: for `bias` (C * depth_multiplier,).
        name: for summaries and state dicts.
        kernel_regularizer: a penalty on the kernel that the loss includes, of `nnx.regularizers`: "l2", say.
        bias_regularizer: the same for the bias.
    """

    def __init__(
        self,
        kernel_size: Pair,
        strides: Pair = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        dilation: Pair = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        name: str | None = None,
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
    ) -> None:
        super().__init__(name)
        self.kernel_size = window_of("DepthwiseConv2D", kernel_size)
        self.strides = strides
        self.padding = padding
        self.depth_multiplier = integer("DepthwiseConv2D", "depth_multiplier", depth_multiplier)
        self.dilation = dilation
        self.activation = activation
        self.use_bias = use_bias
        self.check_initializers(kernel_initializer=kernel_initializer, bias_initializer=bias_initializer)
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer
        self.kernel: Weight | None = None
        self.bias: Weight | None = None
        self._fused, self._after = split("DepthwiseConv2D", activation)

    def build(self, input_shape: Shape) -> None:
        """Makes kernel (KH, KW, 1, C * depth_multiplier) and bias (C * depth_multiplier,)."""
        channels = channels_of("DepthwiseConv2D", input_shape)
        outputs = channels * self.depth_multiplier
        drawn = _DrawnAs((*self.kernel_size, channels, self.depth_multiplier), self.kernel_initializer)
        self.kernel = self.add_weight("kernel", (*self.kernel_size, 1, outputs), drawn)
        if self.use_bias:
            self.bias = self.add_weight("bias", (outputs,), self.bias_initializer)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.conv2d`."""
        y = ops.conv2d(
            x, self.kernel, self.bias, self.strides, self.padding, self.dilation, x.shape[-1], self._fused
        )
        return self._after(y) if self._after else y


class SeparableConv2D(Layer):
    """A depthwise convolution, then one with a window of 1 x 1 that mixes channels (Chollet 2017).

    (N, H, W, C) -> (N, OH, OW, filters)

    Args:
        filters: the number of output channels.
        kernel_size: the window, an int or (down, across).
        strides: an int or (down, across).
        padding: "valid", "same", an int, (ph, pw), or ((top, bottom), (left, right)).
        dilation: the distance of the window's points, an int or (down, across).
        depth_multiplier: how many outputs of the first convolution a channel has.
        activation: a name ("relu", "sigmoid", ...), a layer or a function.
        use_bias: False leaves the bias out; it comes last, there is none between the two.
        depthwise_initializer: for `depthwise` (KH, KW, 1, C * depth_multiplier), see `DepthwiseConv2D`.
        pointwise_initializer: for `pointwise` (1, 1, C * depth_multiplier, filters).
        bias_initializer: for `bias` (filters,).
        name: for summaries and state dicts.
        depthwise_regularizer: a penalty on that weight that the loss includes, of `nnx.regularizers`: "l2", say.
        pointwise_regularizer: the same for `pointwise`.
        bias_regularizer: the same for the bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Pair,
        strides: Pair = 1,
        padding: Padding = "valid",
        dilation: Pair = 1,
        depth_multiplier: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        name: str | None = None,
        depthwise_regularizer: RegularizerLike = None,
        pointwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
    ) -> None:
        super().__init__(name)
        self.filters = integer("SeparableConv2D", "filters", filters)
        self.kernel_size = window_of("SeparableConv2D", kernel_size)
        self.strides = strides
        self.padding = padding
        self.dilation = dilation
        self.depth_multiplier = integer("SeparableConv2D", "depth_multiplier", depth_multiplier)
        self.activation = activation
        self.use_bias = use_bias
        self.check_initializers(
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
        )
        self.depthwise_initializer = depthwise_initializer
        self.pointwise_initializer = pointwise_initializer
        self.bias_initializer = bias_initializer
        self.depthwise_regularizer = depthwise_regularizer
        self.pointwise_regularizer = pointwise_regularizer
        self.bias_regularizer = bias_regularizer
        self.depthwise: Weight | None = None
        self.pointwise: Weight | None = None
        self.bias: Weight | None = None
        self._fused, self._after = split("SeparableConv2D", activation)

    def build(self, input_shape: Shape) -> None:
        """Makes depthwise (KH, KW, 1, C * M), pointwise (1, 1, C * M, filters) and bias (filters,)."""
        channels = channels_of("SeparableConv2D", input_shape)
        inner = channels * self.depth_multiplier
        drawn = _DrawnAs((*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer)
        self.depthwise = self.add_weight("depthwise", (*self.kernel_size, 1, inner), drawn)
        self.pointwise = self.add_weight("pointwise", (1, 1, inner, self.filters), self.pointwise_initializer)
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.filters,), self.bias_initializer)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.conv2d`."""
        h = ops.conv2d(x, self.depthwise, None, self.strides, self.padding, self.dilation, x.shape[-1])
        y = ops.conv2d(h, self.pointwise, self.bias, activation=self._fused)
        return self._after(y) if self._after else y


class _DrawnAs(Initializer):
    """What another initializer draws for the shape that Keras's kernel has: of the same elements in that order."""

    def __init__(self, shape: Shape, initializer: InitializerLike) -> None:
        self.shape = shape
        self.initializer = initializers.get(initializer)

    def _fill(self, shape: Shape, seed: int, number: int, dtype: str) -> NDArray:
        return self.initializer(self.shape, seed=seed, number=number, dtype=dtype).reshape(shape)
