"""What a schedule is: a learning rate as a pure function of time."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nnx import _html
from nnx._checks import number
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


def drawn(end: float) -> int:
    """A time as the end of a curve."""
    return math.ceil(min(max(end, 1.0), 1e15))


class Constant(Schedule):
    """Always `value`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = number("Constant", "value", value, closed="neither")

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        return self.value


def get(schedule: Schedule | float) -> Schedule:
    """A Schedule from a Schedule or a number."""
    return schedule if isinstance(schedule, Schedule) else Constant(schedule)
