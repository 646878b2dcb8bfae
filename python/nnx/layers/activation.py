"""Activations as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nnx import ops
from nnx._config import nearest, our_string
from nnx.layers.base import Layer
from nnx.ops.activation import FUSED

# Activations by name, beside those that layers compute on their way out.
NAMED: dict[str, Callable[[Any], Any]] = {
    "softmax": ops.softmax,
    "log_softmax": ops.log_softmax,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "selu": ops.selu,
    "mish": ops.mish,
    "hard_sigmoid": ops.hard_sigmoid,
    "hard_silu": ops.hard_silu,
    "exponential": ops.exponential,
    "relu6": ops.relu6,
    "log_sigmoid": ops.log_sigmoid,
    "gelu_tanh": ops.gelu_tanh,
}

ActivationLike: TypeAlias = str | Callable[[Any], Any] | None


class Step(Layer):
    """1 where x >= 0, else 0. Its gradient is 0: nothing in front of it learns."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.step`."""
        return ops.step(x)


class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.sigmoid`."""
        return ops.sigmoid(x)


class Tanh(Layer):
    """The hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.tanh`."""
        return ops.tanh(x)


class ReLU(Layer):
    """max(x, 0)."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.relu`."""
        return ops.relu(x)


class LeakyReLU(Layer):
    """x where x > 0, else negative_slope * x."""

    def __init__(self, negative_slope: float = 0.01, name: str | None = None) -> None:
        super().__init__(name)
        self.negative_slope = float(negative_slope)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.leaky_relu`."""
        return ops.leaky_relu(x, self.negative_slope)


class ELU(Layer):
    """x where x > 0, else alpha * (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.alpha = float(alpha)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.elu`."""
        return ops.elu(x, self.alpha)


class GELU(Layer):
    """x * (1 + erf(x / sqrt(2))) / 2; `approximate`: the form with tanh, `nnx.ops.gelu_tanh`."""

    def __init__(self, approximate: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.approximate = bool(approximate)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.gelu`."""
        return ops.gelu(x, self.approximate)


class SiLU(Layer):
    """x * sigmoid(x)."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.silu`."""
        return ops.silu(x)


class Softmax(Layer):
    """exp(x) / sum of exp(x) along the last axis."""

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.softmax`."""
        return ops.softmax(x)


class Activation(Layer):
    """An activation that is given by name, or a function of `nnx.ops`.

    Args:
        activation: as for `Dense`: "relu", "softmax", a layer, a function.
        name: for summaries and state dicts.
    """

    def __init__(self, activation: ActivationLike, name: str | None = None) -> None:
        super().__init__(name)
        self.activation = activation
        named, function = split("Activation", activation)
        self._function: Callable[[Any], Any] | None = getattr(ops, named) if named else function

    def forward(self, x: Any) -> Any:
        """The activation of x."""
        return x if self._function is None else self._function(x)


def split(where: str, activation: ActivationLike) -> tuple[str | None, Callable[[Any], Any] | None]:
    """A layer's `activation`, as the name its op takes and a function to call after the op.

    `activation` is a name (Keras's "linear" and "softmax" among them), a layer, or a function of `nnx.ops`.
    """
    if activation is None or activation in ("linear", "identity"):
        return None, None
    if isinstance(activation, str):
        activation = our_string("activation", activation)
        if activation in NAMED:
            return None, NAMED[activation]
        if activation not in FUSED:
            known = ", ".join([*FUSED, *NAMED])
            near = nearest(activation, [*FUSED, *NAMED])
            raise ValueError(
                f"{where}: argument 'activation' expected one of {known}, got {activation!r}{near}"
            )
        return activation, None
    if not callable(activation):
        raise TypeError(
            f"{where}: argument 'activation' expected a name or a function, got {type(activation).__name__}"
        )
    return None, activation
