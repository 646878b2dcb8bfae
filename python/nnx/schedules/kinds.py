"""Schedules that go by steps, boundaries and curves of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnx._checks import integer, number
from nnx.schedules.base import Per, Schedule, drawn, get
from nnx.schedules.meaning import says_what_it_means


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
        return drawn(1.25 * float(self.boundaries[-1]) if len(self.boundaries) else 30.0)


def PiecewiseConstantDecay(
    boundaries: Sequence[float], values: Sequence[float], name: str | None = None
) -> PiecewiseConstant:
    """Keras's: a `PiecewiseConstant` whose boundaries count steps. The name is not used."""
    return PiecewiseConstant(boundaries, values, per="step")


class CosineDecay(Schedule):
    """From `initial` down to `final` along half a cosine of `length`, then `final` (Loshchilov and Hutter 2017).

    With Keras's names, `CosineDecay(0.1, decay_steps=1000, alpha=0.01)`, it is Keras's: length counts steps, and
    final is alpha * initial.

    Args:
        initial: > 0.
        length: > 0.
        final: >= 0.
        per: what time and length count, "epoch" or "step".
    """

    @says_what_it_means(
        lambda length: length >= 100,
        "CosineDecay({0}, {1}): length counts epochs here, not steps as Keras's decay_steps; write "
        "decay_steps={1} for that, or length={1}",
        before_per=3,
    )
    def __init__(self, initial: float, length: float, final: float = 0.0, per: Per = "epoch") -> None:
        super().__init__(per)
        self.initial = number("CosineDecay", "initial", initial, closed="neither")
        self.length = number("CosineDecay", "length", length, closed="neither")
        self.final = number("CosineDecay", "final", final)

    @classmethod
    def _translate(cls, meant: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if "decay_steps" in meant:
            made = {"length": meant["decay_steps"], "per": "step"}
        if "alpha" in meant:
            initial = number("CosineDecay", "initial", given.get("initial"), closed="neither")
            made["final"] = number("CosineDecay", "alpha", meant["alpha"]) * initial
        return made

    def _rate(self, t: npt.NDArray[np.float64]) -> Any:
        done = np.clip(t / self.length, 0.0, 1.0)
        return self.final + (self.initial - self.final) * 0.5 * (1.0 + np.cos(np.pi * done))

    def _horizon(self) -> int:
        return drawn(1.1 * self.length)


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
