"""Activations composed of elementwise operations: any shape in, the same out, in one pass over memory."""

from __future__ import annotations

import math
from typing import Any

from nnx.ops import _expressions
from nnx.ops.arithmetic import absolute, exp, expm1, log1p, maximum, minimum

# Klambauer et al. 2017: the fixed point of mean 0 and variance 1.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_TANH_SCALE = math.sqrt(2.0 / math.pi)


def _relu(x: Any) -> Any:
    return x.apply("relu", (x,))


def _tanh(x: Any) -> Any:
    return x.apply("tanh", (x,))


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), of any shape, without overflow (Dugas et al. 2001).

    Raises:
        TypeError: where x is not float32 or float64.
    """

    def function(x: Any) -> Any:
        size = absolute(x)
        return (0.5 * x + 0.5 * size) + log1p(exp(-size))  # x above 0, and a gradient of 1/2 at 0

    return _expressions.apply("softplus", function, [x])


def selu(x: Any) -> Any:
    """Scale * x where x > 0, else scale * alpha * (exp(x) - 1), of any shape (Klambauer et al. 2017).

    Raises:
        TypeError: where x is not float32 or float64.
    """

    def function(x: Any) -> Any:
        above = _relu(x)
        return _SELU_SCALE * above + (_SELU_SCALE * _SELU_ALPHA) * expm1(x - above)

    return _expressions.apply("selu", function, [x])


def mish(x: Any) -> Any:
    """`x * tanh(softplus(x))`, of any shape (Misra 2019).

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _expressions.apply("mish", lambda x: x * _tanh(softplus(x)), [x])


def softsign(x: Any) -> Any:
    """X / (1 + |x|), of any shape.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _expressions.apply("softsign", lambda x: x / (1.0 + absolute(x)), [x])


def hard_sigmoid(x: Any) -> Any:
    """`x / 6 + 1/2`, within 0 and 1, of any shape, as Keras 3 and PyTorch have it (Howard et al. 2019).

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _expressions.apply("hard_sigmoid", lambda x: minimum(maximum(x + 3.0, 0.0), 6.0) / 6.0, [x])


def hard_silu(x: Any) -> Any:
    """`x * hard_sigmoid(x)`, of any shape, also called hard swish (Howard et al. 2019).

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _expressions.apply("hard_silu", lambda x: x * hard_sigmoid(x), [x])


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), of any shape.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _expressions.apply("relu6", lambda x: minimum(_relu(x), 6.0), [x])


def log_sigmoid(x: Any) -> Any:
    """-log(1 + exp(-x)), of any shape, without overflow.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return _expressions.apply("log_sigmoid", lambda x: -softplus(-x), [x])


def exponential(x: Any) -> Any:
    """exp(x), of any shape: Keras's name for it as an activation.

    Raises:
        TypeError: where x is not float32 or float64.
    """
    return exp(x)


def gelu_tanh(x: Any) -> Any:
    """`x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`, of any shape: Hendrycks and Gimpel's form of `gelu`.

    Raises:
        TypeError: where x is not float32 or float64.
    """

    def function(x: Any) -> Any:
        # (1 + tanh(u)) / 2 = sigmoid(2 u), without the difference of numbers that are nearly equal.
        inner = (2.0 * _TANH_SCALE) * x * (1.0 + 0.044715 * (x * x))
        return x * inner.apply("sigmoid", (inner,))

    return _expressions.apply("gelu_tanh", function, [x])


def prelu(x: Any, alpha: Any) -> Any:
    """`x` where x > 0, else alpha * x, of shapes that broadcast (He et al. 2015).

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not broadcast.
    """

    def function(x: Any, alpha: Any) -> Any:
        above = _relu(x)
        return above + (x - above) * alpha

    return _expressions.apply("prelu", function, [x, alpha])
