"""Lion."""

from __future__ import annotations

from nnx._checks import number
from nnx.optimizers.base import Optimizer
from nnx.schedules import Schedule


class Lion(Optimizer):
    """Lion (Chen et al. 2023, algorithm 2): the sign of the gradient mixed with its moving average.

    p -= learning_rate * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p),  m = beta2 * m + (1 - beta2) * g.
    Every weight moves by the learning rate, so it wants to be 3 to 10 times smaller than Adam's.

    As in Keras and the paper; PyTorch has no Lion.

    Args:
        learning_rate: a number or a schedule.
        beta1: how much of the average goes into a step, in [0, 1).
        beta2: decay of the average, in [0, 1).
        weight_decay: decoupled, as AdamW's: p -= learning_rate * weight_decay * p.
        clip_norm: largest norm of the gradient of all weights together.
        clip_value: largest size of an element of the gradient; comes before `clip_norm`.
        ema: momentum of the weights' moving average, see `Optimizer`; 0 keeps none.
    """

    _kind = "lion"
    _takes = ("beta1", "beta2")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value, ema)
        self.beta1 = number(self._name, "beta1", beta1, 0.0, 1.0, closed="left")
        self.beta2 = number(self._name, "beta2", beta2, 0.0, 1.0, closed="left")
