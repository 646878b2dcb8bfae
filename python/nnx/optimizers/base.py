"""Optimizers: what a training step does with the gradients.

They hold settings and the number of updates done; velocities and moments lie with the weights, on their
device.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnx._checks import number
from nnx._config import Configured
from nnx.schedules import InverseTimeDecay, Schedule


class Optimizer(Configured):
    """What optimizers share: the learning rate, clipping of gradients, averages of weights.

    Args:
        learning_rate: a number >= 0, or a schedule; may be set while training.
        weight_decay: >= 0.
        clip_norm: scales the gradient of all weights together down to this norm where it is larger.
        clip_value: brings every element of the gradient into [-clip_value, clip_value], before `clip_norm`.
        ema: the momentum, in [0, 1), of an exponential moving average of the trained weights: after each step
            average = ema * average + (1 - ema) * w, after the first average = w. `evaluate`, validation and
            `predict` then compute with the averages, and `state_dict(averaged=True)` returns them. 0 keeps none.
    """

    _hidden = ("last_rate", "rates", "spec")
    _kind: str
    # The attributes, beside those that all have, that the core takes under the same name.
    _takes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: float | Schedule,
        weight_decay: float | None = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float = 0.0,
    ) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = 0.0 if weight_decay is None else number(self._name, "weight_decay", weight_decay)
        if clip_norm is not None:
            clip_norm = number(self._name, "clip_norm", clip_norm, closed="neither")
        self.clip_norm = clip_norm
        if clip_value is not None:
            clip_value = number(self._name, "clip_value", clip_value, closed="neither")
        self.clip_value = clip_value
        self.ema = number(self._name, "ema", ema, 0.0, 1.0, closed="left")
        self.iterations = 0  # updates done

    @classmethod
    def _translate(cls, meant: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        where, made = cls.__name__, dict[str, Any]()
        if meant.get("decay"):  # Keras 2: initial / (1 + decay * step)
            initial = given.pop("learning_rate", inspect.signature(cls).parameters["learning_rate"].default)
            if isinstance(initial, Schedule):
                raise TypeError(
                    f"{where}: argument 'decay' expected a learning_rate that is a number beside it"
                )
            made["learning_rate"] = InverseTimeDecay(
                initial, number(where, "decay", meant["decay"]), per="step"
            )
        if meant.get("use_ema"):
            made["ema"] = meant.get("ema_momentum", 0.99)
        if "betas" in meant:
            made["beta1"], made["beta2"] = meant["betas"]
        return made

    @property
    def learning_rate(self) -> float | Schedule:
        """The learning rate, or the schedule that gives it."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Schedule) -> None:
        if not isinstance(value, Schedule):
            value = number(self._name, "learning_rate", value)
        self._learning_rate: float | Schedule = value

    @property
    def lr(self) -> float | Schedule:
        """The same under its short name."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        self.learning_rate = value

    @property
    def has_averages(self) -> bool:
        """Whether there are averages of weights: with `ema`, once a step was done."""
        return self.ema > 0 and self.iterations > 0

    def rates(self, steps: int, epoch: int) -> npt.NDArray[np.float64]:
        """The learning rates of the next `steps` steps, or a single one for them all."""
        if isinstance(self._learning_rate, Schedule):
            return self._learning_rate.rates(self.iterations, steps, epoch)
        return np.array([self._learning_rate])

    def last_rate(self, epoch: int) -> float:
        """The learning rate of the last step that was done, in that epoch."""
        if isinstance(self._learning_rate, Schedule):
            return float(self._learning_rate.rates(self.iterations - 1, 1, epoch)[0])
        return self._learning_rate

    def spec(self) -> dict[str, Any]:
        """The optimizer as the core takes it."""
        names = ("weight_decay", "clip_norm", "clip_value", "ema", *self._takes)
        return {"kind": self._kind, **{name: getattr(self, name) for name in names}}

    @property
    def _name(self) -> str:
        return type(self).__name__
