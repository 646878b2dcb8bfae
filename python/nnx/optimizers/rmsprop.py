"""RMSprop."""

from __future__ import annotations

from nnx._checks import number
from nnx.optimizers.base import Optimizer
from nnx.schedules import Schedule


class RMSprop(Optimizer):
    """RMSprop (Hinton 2012): the gradient over the root of its square's moving average.

    s = rho * s + (1 - rho) * g^2,  p -= learning_rate * g / sqrt(s + epsilon). Centered (Graves 2013), the square
    of the gradient's own average is taken off: sqrt(s - m^2 + epsilon), where rounding leaves s - m^2 at least 0.
    With momentum v = momentum * v + learning_rate * g / sqrt(...), p -= v.

    As in Keras, epsilon stands under the root and a velocity keeps the learning rate of its time. PyTorch adds
    epsilon to the root, multiplies the velocity by the learning rate of now, and has alpha = 0.99 for rho and
    1e-8 for epsilon.

    Args:
        learning_rate: a number or a schedule.
        rho: decay of the averages, in [0, 1).
        momentum: in [0, 1].
        epsilon: added under the root, > 0.
        centered: estimates the gradient's variance instead of its mean square.
        weight_decay: added to the gradient, weight_decay * p, as PyTorch does; Keras decouples it.
        clip_norm: largest norm of the gradient of all weights together.
        clip_value: largest size of an element of the gradient; comes before `clip_norm`.
        ema: momentum of the weights' moving average, see `Optimizer`; 0 keeps none.
    """

    _kind = "rmsprop"
    _takes = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value, ema)
        self.rho = number(self._name, "rho", rho, 0.0, 1.0, closed="left")
        self.momentum = number(self._name, "momentum", momentum, 0.0, 1.0)
        self.epsilon = number(self._name, "epsilon", epsilon, closed="neither")
        self.centered = bool(centered)
