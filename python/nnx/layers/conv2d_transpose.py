"""Transposed two-dimensional convolution."""

from __future__ import annotations

from typing import Any

from nnx import ops
from nnx._checks import integer
from nnx._types import Padding, Pair, Shape
from nnx.graph.weight import Weight
from nnx.initializers import InitializerLike
from nnx.layers.activation import ActivationLike, split
from nnx.layers.base import Layer
from nnx.layers.conv2d import channels_of, window_of
from nnx.regularizers import RegularizerLike


class Conv2DTranspose(Layer):
    """A transposed convolution of NHWC images, which makes them larger: (N, H, W, C) -> (N, OH, OW, filters).

    Args:
        filters: the number of output channels.
        kernel_size: the window, an int or (down, across).
        strides: an int or (down, across): how far the points of the input lie apart in the output.
        padding: what is cut off around: "valid", "same", an int, (ph, pw), or ((top, bottom), (left, right)).
            "same" makes OH = H * stride, "valid" OH = H * stride + max(window - stride, 0), as in Keras.
        output_padding: points added behind, an int or (down, across), below the strides; see
            `nnx.ops.conv2d_transpose`.
        dilation: the distance of the window's points, an int or (down, across).
        activation: a name ("relu", "sigmoid", ...), a layer or a function.
        use_bias: False leaves the bias out.
        kernel_initializer: for `kernel` (KH, KW, filters, C), as Keras lays it out.
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
        output_padding: Pair | None = None,
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
        self.filters = integer("Conv2DTranspose", "filters", filters)
        self.kernel_size = window_of("Conv2DTranspose", kernel_size)
        self.strides = strides
        self.padding = padding
        self.output_padding = output_padding
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
        self._fused, self._after = split("Conv2DTranspose", activation)

    def build(self, input_shape: Shape) -> None:
        """Makes kernel (KH, KW, filters, C) and bias (filters,)."""
        kernel_shape = (*self.kernel_size, self.filters, channels_of("Conv2DTranspose", input_shape))
        self.kernel = self.add_weight("kernel", kernel_shape, self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.filters,), self.bias_initializer)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.conv2d_transpose`."""
        y = ops.conv2d_transpose(
            x,
            self.kernel,
            self.bias,
            self.strides,
            self.padding,
            self.output_padding,
            self.dilation,
            self._fused,
        )
        return self._after(y) if self._after else y
