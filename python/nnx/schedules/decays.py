"""Schedules that fall by a rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nnx._checks import integer, number
from nnx.schedules.base import Per, Schedule, drawn
from nnx.schedules.meaning import says_what_it_means


class _Decay(Schedule):
    """What falls by a rate; with `every`, only every so many epochs or steps."""

    def __init__(self, initial: float, rate: float, per: Per, every: int | None) -> None:
        super().__init__(per)
        name = type(self).__name__
        self.initial = number(name, "initial", initial, closed="neither")
        self.rate = number(name, "rate", rate)
        self.every = None if every is None else integer(name, "every", every)

    @classmethod
    def _translate(cls, meant: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        where = cls.__name__
        if meant.keys() < {"decay_steps", "decay_rate"}:
            raise TypeError(f"{where}: arguments 'decay_steps' and 'decay_rate' go together")
        if "decay_steps" not in meant:
            raise TypeError(f"{where}: argument 'staircase' expected decay_steps and decay_rate beside it")
        steps = number(where, "decay_steps", meant["decay_steps"], closed="neither")
        made = {"rate": cls._rate_of(steps, meant["decay_rate"]), "per": "step"}
        if meant.get("staircase"):
            made["every"] = integer(where, "decay_steps", meant["decay_steps"])
        return made

    @classmethod
    def _rate_of(cls, steps: float, rate: Any) -> float:
        """The rate here of Keras's decay_steps and decay_rate."""
        raise NotImplementedError

    def _counted(self, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return t if self.every is None else np.floor(t / self.every) * self.every

    def _horizon(self) -> int:
        return drawn(3.0 / self.rate if self.rate else 30.0)


class ExponentialDecay(_Decay):
    """initial * exp(-rate * t).

    With Keras's names, `ExponentialDecay(0.1, decay_steps=1000, decay_rate=0.96)`, it is Keras's,
    0.1 * 0.96^(step / 1000), and with staircase=True 0.1 * 0.96^floor(step / 1000).

    Args:
        initial: > 0.
        rate: >= 0.
        per: what t counts, "epoch" or "step".
        every: t counts as the last multiple of this; None: as it is.
    """

    @says_what_it_means(
        lambda rate: 0.5 < rate <= 1,
        "ExponentialDecay({0}, {1}): the rate at epoch t is {0} * exp(-{1} * t) here, not {0} * {1}^(t / decay_steps) "
        "as in Keras; write decay_steps=..., decay_rate={1} for that, or rate={1}",
        before_per=2,
    )
    def __init__(
        self, initial: float, rate: float, per: Per | float = "epoch", every: int | None = None
    ) -> None:
        if isinstance(per, (int, float)):
            # three numbers are Keras's initial_learning_rate, decay_steps, decay_rate
            steps = number("ExponentialDecay", "decay_steps", rate, closed="neither")
            rate, per = self._rate_of(steps, per), "step"
        super().__init__(initial, rate, per, every)

    @classmethod
    def _rate_of(cls, steps: float, rate: Any) -> float:
        factor = number(cls.__name__, "decay_rate", rate, closed="neither", high=math.nextafter(1.0, 2.0))
        return -math.log(factor) / steps

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        return self.initial * np.exp(-self.rate * self._counted(t))


class InverseTimeDecay(_Decay):
    """initial / (1 + rate * t).

    With Keras's names, `InverseTimeDecay(0.1, decay_steps=1000, decay_rate=0.5)`, it is Keras's,
    0.1 / (1 + 0.5 * step / 1000), and with staircase=True that of floor(step / 1000).

    Args:
        initial: > 0.
        rate: >= 0.
        per: what t counts, "epoch" or "step".
        every: t counts as the last multiple of this; None: as it is.
    """

    def __init__(self, initial: float, rate: float, per: Per = "epoch", every: int | None = None) -> None:
        super().__init__(initial, rate, per, every)

    @classmethod
    def _rate_of(cls, steps: float, rate: Any) -> float:
        return number(cls.__name__, "decay_rate", rate) / steps

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        return self.initial / (1.0 + self.rate * self._counted(t))
