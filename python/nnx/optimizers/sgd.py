"""Gradient descent."""

from __future__ import annotations

from nnx._checks import number
from nnx.optimizers.base import Optimizer
from nnx.schedules import Schedule


class SGD(Optimizer):
    """Gradient descent with momentum: v = momentum * v - learning_rate * g, p += v.

    Args:
        learning_rate: a number or a schedule.
        momentum: in [0, 1].
        nesterov: look ahead along the velocity: p += momentum * v - learning_rate * g.
        weight_decay: added to the gradient, weight_decay * p.
        clip_norm: largest norm of the gradient of all weights together.
        clip_value: largest size of an element of the gradient; comes before `clip_norm`.
        ema: momentum of the weights' moving average, see `Optimizer`; 0 keeps none.
    """

    _kind = "sgd"
    _takes = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value, ema)
        self.momentum = number(self._name, "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)
