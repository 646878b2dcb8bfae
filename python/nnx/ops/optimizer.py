"""Parameter updates, in place."""

from __future__ import annotations

from nnx import _core
from nnx._types import Operand


def sgd_update(
    p: Operand,
    g: Operand,
    velocity: Operand,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """One step of gradient descent; p and velocity are changed.

    With g' = g + weight_decay * p:  v = momentum * v - learning_rate * g',  p += v; with nesterov
    p += momentum * v - learning_rate * g' (Sutskever et al. 2013).

    Args:
        p: parameters, any shape; a writable, contiguous array or a Tensor.
        g: their gradient, of the same shape and dtype.
        velocity: as p, or None where momentum is 0.
        learning_rate: >= 0.
        momentum: in [0, 1].
        nesterov: look ahead along the velocity.
        weight_decay: >= 0.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes differ, an array cannot be written, or a number is out of range.
    """
    _core.sgd_update(p, g, velocity, learning_rate, momentum, nesterov, weight_decay)


def adam_update(
    p: Operand,
    g: Operand,
    m: Operand,
    v: Operand,
    step: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """One step of Adam (Kingma and Ba 2015), or AdamW (Loshchilov and Hutter 2019); p, m and v are changed.

    m and v are moving averages of g and g^2, corrected for their start with t = step + 1:
    p -= learning_rate * m^ / (sqrt(v^) + epsilon).

    Args:
        p: parameters, any shape; a writable, contiguous array or a Tensor.
        g: their gradient, of the same shape and dtype.
        m: as p, like v.
        v: see `m`.
        step: the number of updates done before this one.
        learning_rate: >= 0.
        beta1: in [0, 1).
        beta2: in [0, 1).
        epsilon: > 0.
        weight_decay: >= 0; added to the gradient, or, decoupled, p -= learning_rate * weight_decay * p.
        decoupled: True for AdamW.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes differ, an array cannot be written, or a number is out of range.
    """
    _core.adam_update(p, g, m, v, step, learning_rate, beta1, beta2, epsilon, weight_decay, decoupled)
