"""Learning rates as pure functions of time: nothing is counted inside, so resuming is exact.

`schedule(t)` is the rate at time t, a number or an array of them; t counts epochs or steps from 0, as `per`
says. Given as `learning_rate=` to an optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nnx import _html
from nnx._checks import integer, number
from nnx._config import Configured

Per: TypeAlias = Literal["epoch", "step"]
_SHOWN = 300  # points of a curve, at most


class Schedule(Configured):
    """A learning rate that changes. Subclasses define `_rate` on an array of times."""

    def __init__(self, per: Per = "epoch") -> None:
        if per not in ("epoch", "step"):
            raise ValueError(f"argument 'per' expected 'epoch' or 'step', got {per!r}")
        self.per: Per = per

    def __call__(self, t: npt.ArrayLike) -> Any:
        """The rate at time t: a float for a number, an array for an array."""
        times = np.asarray(t, dtype=np.float64)
        rates = np.broadcast_to(self._rate(times), times.shape)
        return float(rates) if times.ndim == 0 else rates.copy()

    def rates(self, first_step: int, steps: int, epoch: int) -> npt.NDArray[np.float64]:
        """The rates of `steps` steps of one epoch: one number for each, or a single one for all."""
        if self.per == "epoch":
            return np.array([self(epoch)], dtype=np.float64)
        return np.asarray(self(np.arange(first_step, first_step + steps)), dtype=np.float64)

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        """The arguments as a table, for notebooks, and the rate as a curve."""
        end = self._horizon()
        times = np.linspace(0.0, end, min(end + 1, _SHOWN))
        curve = _html.curves(
            "learning rate", times.tolist(), {"rate": np.asarray(self(times)).tolist()}, f"{self.per}s"
        )
        return _html.block(super()._repr_html_(), curve)

    def _horizon(self) -> int:
        """How far the curve of the rate is drawn."""
        return 30


class Constant(Schedule):
    """Always `value`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = number("Constant", "value", value, closed="neither")

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        return self.value


class StepDecay(Schedule):
    """initial * factor^floor(t / every)."""

    def __init__(self, initial: float, factor: float = 0.5, every: int = 5, per: Per = "epoch") -> None:
        super().__init__(per)
        self.initial = number("StepDecay", "initial", initial, closed="neither")
        self.factor = number("StepDecay", "factor", factor, closed="neither")
        self.every = integer("StepDecay", "every", every)

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        return self.initial * self.factor ** np.floor(t / self.every)

    def _horizon(self) -> int:
        return 6 * self.every


class ExponentialDecay(Schedule):
    """initial * exp(-rate * t)."""

    def __init__(self, initial: float, rate: float, per: Per = "epoch") -> None:
        super().__init__(per)
        self.initial = number("ExponentialDecay", "initial", initial, closed="neither")
        self.rate = number("ExponentialDecay", "rate", rate)

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        return self.initial * np.exp(-self.rate * t)

    def _horizon(self) -> int:
        return _drawn(3.0 / self.rate if self.rate else 30.0)


class InverseTimeDecay(Schedule):
    """initial / (1 + rate * t)."""

    def __init__(self, initial: float, rate: float, per: Per = "epoch") -> None:
        super().__init__(per)
        self.initial = number("InverseTimeDecay", "initial", initial, closed="neither")
        self.rate = number("InverseTimeDecay", "rate", rate)

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        return self.initial / (1.0 + self.rate * t)

    def _horizon(self) -> int:
        return _drawn(3.0 / self.rate if self.rate else 30.0)


class PiecewiseConstant(Schedule):
    """values[0] up to and including t = boundaries[0], values[1] up to boundaries[1], ..., the last after it.

    As in Keras there is one value more than boundaries, and a boundary still belongs to the value before it.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], per: Per = "epoch") -> None:
        super().__init__(per)
        self.boundaries = np.array(boundaries, dtype=np.float64)
        self.values = np.array([number("PiecewiseConstant", "values", v, closed="neither") for v in values])
        if self.boundaries.ndim != 1 or np.any(~(np.diff(self.boundaries) > 0)):
            raise ValueError(
                f"PiecewiseConstant: argument 'boundaries' expected growing numbers, got {boundaries}"
            )
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstant: argument 'values' expected {len(self.boundaries) + 1} numbers, "
                f"one more than boundaries, got {len(self.values)}"
            )

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        return self.values[np.searchsorted(self.boundaries, t, side="left")]

    def _horizon(self) -> int:
        return _drawn(1.25 * float(self.boundaries[-1]) if len(self.boundaries) else 30.0)


class CosineDecay(Schedule):
    """From `initial` down to `final` along half a cosine of `length`, then `final` (Loshchilov and Hutter 2017)."""

    def __init__(self, initial: float, length: float, final: float = 0.0, per: Per = "epoch") -> None:
        super().__init__(per)
        self.initial = number("CosineDecay", "initial", initial, closed="neither")
        self.length = number("CosineDecay", "length", length, closed="neither")
        self.final = number("CosineDecay", "final", final)

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        done = np.clip(t / self.length, 0.0, 1.0)
        return self.final + (self.initial - self.final) * 0.5 * (1.0 + np.cos(np.pi * done))

    def _horizon(self) -> int:
        return _drawn(1.1 * self.length)


class Warmup(Schedule):
    """`schedule`, scaled by (step + 1) / steps over the first `steps` steps. Time counts steps."""

    def __init__(self, schedule: Schedule | float, steps: int) -> None:
        super().__init__("step")
        self.schedule = get(schedule)
        self.steps = integer("Warmup", "steps", steps)

    def __call__(self, t: npt.ArrayLike, epoch: int = 0) -> Any:
        """The rate at step t; a schedule per epoch is taken at `epoch`."""
        step = np.asarray(t, dtype=np.float64)
        rate = self.schedule(step) if self.schedule.per == "step" else self.schedule(epoch)
        warm = rate * np.minimum(1.0, (step + 1.0) / self.steps)
        return float(warm) if step.ndim == 0 else warm

    def rates(self, first_step: int, steps: int, epoch: int) -> npt.NDArray[np.float64]:
        """The rates of `steps` steps of one epoch."""
        warm = np.minimum(1.0, np.arange(first_step + 1, first_step + steps + 1) / self.steps)
        return self.schedule.rates(first_step, steps, epoch) * warm

    def _horizon(self) -> int:
        inner = self.schedule._horizon() if self.schedule.per == "step" else 0
        return max(2 * self.steps, inner)


def _drawn(end: float) -> int:
    """A time as the end of a curve."""
    return math.ceil(min(max(end, 1.0), 1e15))


def get(schedule: Schedule | float) -> Schedule:
    """A Schedule from a Schedule or a number."""
    return schedule if isinstance(schedule, Schedule) else Constant(schedule)
