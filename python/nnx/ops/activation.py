"""Element-wise activations: any shape in, the same shape out."""

from __future__ import annotations

from typing import Any

from nnx import _core
from nnx._config import our_string
from nnx.graph.symbol import Symbol
from nnx.ops._expressions import Term
from nnx.ops._types import Array, Concrete
from nnx.ops.compositions import gelu_tanh

# What dense and conv2d can do on their way out, with each activation's default parameter.
FUSED = {
    "identity": 0.0,
    "step": 0.0,
    "sigmoid": 0.0,
    "tanh": 0.0,
    "relu": 0.0,
    "leaky_relu": 0.01,
    "elu": 1.0,
    "gelu": 0.0,
    "silu": 0.0,
}


def our_name(activation: str | None) -> str | None:
    """An activation's name as the core has it."""
    return our_string("activation", activation) if isinstance(activation, str) else activation


def fused(name: str | None) -> tuple[str, float]:
    """Kind and parameter of an activation that is given by name; ValueError for a name unknown."""
    name = our_name(name) or "identity"
    if name not in FUSED:
        raise ValueError(f"argument 'activation' expected None or one of {', '.join(FUSED)}, got {name!r}")
    return name, FUSED[name]


def _apply(x: Array, kind: str, *arguments: float) -> Array:
    """The activation of a Symbol, of the term of an expression, or of an array."""
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.activation(x.node, kind, *arguments), kind)
    result: Array = _term(x, kind, *arguments) if isinstance(x, Term) else getattr(_core, kind)(x, *arguments)
    return result


def _term(x: Any, kind: str, alpha: float = 0.0) -> Any:
    if kind in ("sigmoid", "tanh", "relu"):
        return x.apply(kind, (x,))
    if kind == "step":
        return x.apply("greater_equal", (x, 0.0))
    if kind == "silu":
        return x * x.apply("sigmoid", (x,))
    if kind == "gelu":
        raise TypeError(
            "gelu: an elementwise function expected nnx.ops.gelu_tanh, the exact form is no part of one"
        )
    above = x.apply("relu", (x,))
    below = x - above
    return above + alpha * (below if kind == "leaky_relu" else below.apply("expm1", (below,)))


def step(x: Array) -> Array:
    """1 where x >= 0, else 0: the perceptron's threshold (Rosenblatt 1958).

    x: any shape; the result has the same.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _apply(x, "step")


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow for any x.

    x: any shape; the result has the same.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _apply(x, "sigmoid")


def tanh(x: Array) -> Array:
    """The hyperbolic tangent.

    x: any shape; the result has the same.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _apply(x, "tanh")


def relu(x: Array) -> Array:
    """max(x, 0) (Nair and Hinton 2010); NaN stays NaN.

    x: any shape; the result has the same.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _apply(x, "relu")


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """`x` where x > 0, else negative_slope * x (Maas et al. 2013).

    x: any shape; the result has the same.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where negative_slope is not finite.
    """
    return _apply(x, "leaky_relu", negative_slope)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """`x` where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016).

    x: any shape; the result has the same.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where alpha is not finite.
    """
    return _apply(x, "elu", alpha)


def gelu(x: Array, approximate: bool = False) -> Array:
    """`x * (1 + erf(x / sqrt(2))) / 2` (Hendrycks and Gimpel 2016), the exact form; `approximate`: `gelu_tanh`.

    x: any shape; the result has the same.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    if approximate:
        result: Array = gelu_tanh(x)
        return result
    return _apply(x, "gelu")


def silu(x: Array) -> Array:
    """`x * sigmoid(x)` (Elfwing et al. 2018), also called swish.

    x: any shape; the result has the same.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _apply(x, "silu")


def step_backward(dy: Concrete, y: Concrete) -> Concrete:
    """The gradient of `step`: 0 everywhere. dy and y = step(x) have one shape.

    dy and the saved array have any one shape; so has the result.
    """
    return _core.step_backward(dy, y)


def sigmoid_backward(dy: Concrete, y: Concrete) -> Concrete:
    """`dx = dy * y * (1 - y)`. dy and y = sigmoid(x) have one shape and dtype."""
    return _core.sigmoid_backward(dy, y)


def tanh_backward(dy: Concrete, y: Concrete) -> Concrete:
    """`dx = dy * (1 - y^2)`. dy and y = tanh(x) have one shape and dtype."""
    return _core.tanh_backward(dy, y)


def relu_backward(dy: Concrete, y: Concrete) -> Concrete:
    """`dx = dy` where y > 0, else 0. dy and y = relu(x) have one shape and dtype."""
    return _core.relu_backward(dy, y)


def leaky_relu_backward(dy: Concrete, y: Concrete, negative_slope: float = 0.01) -> Concrete:
    """`dx = dy` where y > 0, else negative_slope * dy. dy and y = leaky_relu(x) have one shape and dtype."""
    return _core.leaky_relu_backward(dy, y, negative_slope)


def elu_backward(dy: Concrete, y: Concrete, alpha: float = 1.0) -> Concrete:
    """`dx = dy` where y > 0, else dy * (y + alpha). dy and y = elu(x) have one shape and dtype."""
    return _core.elu_backward(dy, y, alpha)


def gelu_backward(dy: Concrete, x: Concrete) -> Concrete:
    """The gradient of `gelu`, from its input x: dy * (Phi(x) + x * phi(x)), Phi and phi of the standard normal.

    dy and the saved array have any one shape; so has the result.
    """
    return _core.gelu_backward(dy, x)


def silu_backward(dy: Concrete, x: Concrete) -> Concrete:
    """The gradient of `silu`, from its input x: dy * s * (1 + x * (1 - s)), s = sigmoid(x).

    dy and the saved array have any one shape; so has the result.
    """
    return _core.silu_backward(dy, x)
