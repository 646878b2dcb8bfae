"""Adagrad."""

from __future__ import annotations

from nnx._checks import number
from nnx.optimizers.base import Optimizer
from nnx.schedules import Schedule


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011): the gradient over the root of the sum of its squares.

    s += g^2,  p -= learning_rate * g / sqrt(s + epsilon); s begins at initial_accumulator_value.

    As in Keras, the sum begins at 0.1 and epsilon stands under the root. PyTorch begins at 0, adds its epsilon of
    1e-10 to the root, has a learning rate of 0.01 and can let it decay.

    Args:
        learning_rate: a number or a schedule.
        initial_accumulator_value: what the sums begin with, >= 0.
        epsilon: added under the root, > 0.
        weight_decay: added to the gradient, weight_decay * p, as PyTorch does; Keras decouples it.
        clip_norm: largest norm of the gradient of all weights together.
        clip_value: largest size of an element of the gradient; comes before `clip_norm`.
        ema: momentum of the weights' moving average, see `Optimizer`; 0 keeps none.
    """

    _kind = "adagrad"
    _takes = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value, ema)
        self.initial_accumulator_value = number(
            self._name, "initial_accumulator_value", initial_accumulator_value
        )
        self.epsilon = number(self._name, "epsilon", epsilon, closed="neither")
