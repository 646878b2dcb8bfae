"""Dense (fully connected) layers."""

from __future__ import annotations

from typing import Any

from nnx import ops
from nnx._checks import integer
from nnx._types import Shape
from nnx.graph.weight import Weight
from nnx.initializers import InitializerLike
from nnx.layers.activation import ActivationLike, split
from nnx.layers.base import Layer
from nnx.regularizers import RegularizerLike


class Dense(Layer):
    """activation(x @ kernel + bias): (N, I) -> (N, units).

    Args:
        units: the number of outputs.
        activation: a name ("relu", "sigmoid", "softmax", ...), a layer or a function.
        use_bias: False leaves the bias out.
        kernel_initializer: for `kernel` (I, units).
        bias_initializer: for `bias` (units,).
        name: for summaries and state dicts.
        kernel_regularizer: a penalty on the kernel that the loss includes, of `nnx.regularizers`: "l2", say.
        bias_regularizer: the same for the bias.
    """

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        name: str | None = None,
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
    ) -> None:
        super().__init__(name)
        self.units = integer("Dense", "units", units)
        self.activation = activation
        self.use_bias = use_bias
        self.check_initializers(kernel_initializer=kernel_initializer, bias_initializer=bias_initializer)
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer
        self.kernel: Weight | None = None
        self.bias: Weight | None = None
        self._fused, self._after = split("Dense", activation)

    def build(self, input_shape: Shape) -> None:
        """Makes kernel (I, units) and bias (units,)."""
        if not input_shape:
            raise ValueError("Dense: expected inputs of shape (N, I), got (N,)")
        self.kernel = self.add_weight("kernel", (input_shape[-1], self.units), self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.units,), self.bias_initializer)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.dense`."""
        y = ops.dense(x, self.kernel, self.bias, self._fused)
        return self._after(y) if self._after else y
