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


def rmsprop_update(
    p: Operand,
    g: Operand,
    square: Operand,
    mean: Operand | None,
    velocity: Operand | None,
    learning_rate: float,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """One step of RMSprop (Hinton 2012); p, square, mean and velocity are changed.

    With g' = g + weight_decay * p:  square = rho * square + (1 - rho) * g'^2,
    velocity = momentum * velocity + learning_rate * g' / sqrt(square + epsilon),  p -= velocity; with a mean,
    mean = rho * mean + (1 - rho) * g', max(square - mean^2, 0) stands for square under the root.

    Args:
        p: parameters, any shape; a writable, contiguous array or a Tensor.
        g: their gradient, of the same shape and dtype.
        square: as p.
        mean: as p, or None: not centered.
        velocity: as p, or None where momentum is 0.
        learning_rate: >= 0.
        rho: in [0, 1).
        momentum: in [0, 1].
        epsilon: > 0.
        weight_decay: >= 0.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes differ, an array cannot be written, or a number is out of range.
    """
    _core.rmsprop_update(p, g, square, mean, velocity, learning_rate, rho, momentum, epsilon, weight_decay)


def adagrad_update(
    p: Operand,
    g: Operand,
    sum: Operand,
    learning_rate: float,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """One step of Adagrad (Duchi et al. 2011); p and sum are changed.

    With g' = g + weight_decay * p:  sum += g'^2,  p -= learning_rate * g' / sqrt(sum + epsilon).

    Args:
        p: parameters, any shape; a writable, contiguous array or a Tensor.
        g: their gradient, of the same shape and dtype.
        sum: as p.
        learning_rate: >= 0.
        epsilon: > 0.
        weight_decay: >= 0.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes differ, an array cannot be written, or a number is out of range.
    """
    _core.adagrad_update(p, g, sum, learning_rate, epsilon, weight_decay)


def lion_update(
    p: Operand,
    g: Operand,
    m: Operand,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> None:
    """One step of Lion (Chen et al. 2023); p and m are changed.

    p -= learning_rate * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p),  m = beta2 * m + (1 - beta2) * g.

    Args:
        p: parameters, any shape; a writable, contiguous array or a Tensor.
        g: their gradient, of the same shape and dtype.
        m: as p.
        learning_rate: >= 0.
        beta1: in [0, 1).
        beta2: in [0, 1).
        weight_decay: >= 0.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes differ, an array cannot be written, or a number is out of range.
    """
    _core.lion_update(p, g, m, learning_rate, beta1, beta2, weight_decay)


def average_update(average: Operand, p: Operand, step: int, momentum: float = 0.99) -> None:
    """Average = momentum * average + (1 - momentum) * p, in place; in step 0 average = p.

    Args:
        average: any shape; a writable, contiguous array or a Tensor.
        p: parameters, of the same shape and dtype.
        step: the number of updates done before this one.
        momentum: in [0, 1].

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes differ, an array cannot be written, or a number is out of range.
    """
    _core.average_update(average, p, step, momentum)


def clip_gradient(g: Operand, clip_value: float) -> None:
    """Brings the elements of g into [-clip_value, clip_value], in place; NaN stays.

    Args:
        g: any shape; a writable, contiguous array or a Tensor.
        clip_value: > 0.

    Raises:
        TypeError: where the dtype is not float32 or float64.
        ValueError: where the array cannot be written, or the number is out of range.
    """
    _core.clip_gradient(g, clip_value)


def penalty(w: Operand, l1: float = 0.0, l2: float = 0.0, g: Operand | None = None) -> float:
    """l1 * sum |w| + l2 * sum w^2; its gradient, l1 * sign(w) + 2 * l2 * w, is added to g where that is given.

    Args:
        w: weights, any shape; a contiguous array or a Tensor.
        l1: >= 0.
        l2: >= 0.
        g: of the same shape and dtype, or None.

    Returns:
        The penalty, summed in double precision.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes differ, an array cannot be written, or a number is out of range.
    """
    return _core.penalty(w, l1, l2, g)
