"""Adam and AdamW."""

from __future__ import annotations

from nnx._checks import number
from nnx.optimizers.base import Optimizer
from nnx.schedules import Schedule


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), bias-corrected.

    Args:
        learning_rate: a number or a schedule.
        beta1: decay of the gradient's average, in [0, 1).
        beta2: decay of the squared gradient's average, in [0, 1).
        epsilon: added to its root, > 0.
        weight_decay: added to the gradient, weight_decay * p.
        clip_norm: largest norm of the gradient of all weights together.
        clip_value: largest size of an element of the gradient; comes before `clip_norm`.
        ema: momentum of the weights' moving average, see `Optimizer`; 0 keeps none.
    """

    _kind = "adam"
    _takes = ("beta1", "beta2", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value, ema)
        self.beta1 = number(self._name, "beta1", beta1, 0.0, 1.0, closed="left")
        self.beta2 = number(self._name, "beta2", beta2, 0.0, 1.0, closed="left")
        self.epsilon = number(self._name, "epsilon", epsilon, closed="neither")


class AdamW(Adam):
    """Adam with decoupled weight decay, p -= learning_rate * weight_decay * p (Loshchilov and Hutter 2019)."""

    _kind = "adamw"

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, clip_value, ema)
