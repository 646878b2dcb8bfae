"""What is told on the way: sums that become loss and metrics, and the callbacks' hooks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx import programs
from nnx._types import NDArray
from nnx.callbacks import CallbackList
from nnx.metrics import Setting

if TYPE_CHECKING:
    from nnx.model import Model

INTERVAL = 0.1  # seconds between reports


@dataclass
class Totals:
    """Sums over the samples of an epoch or an evaluation so far."""

    samples: int = 0
    steps: int = 0
    loss: float = 0.0  # times samples
    counts: list[NDArray] = field(default_factory=list)

    def add(self, result: dict[str, Any]) -> None:
        """Adds what one call of the core has summed up."""
        counts = [np.asarray(count, dtype=np.float64) for count in result["metrics"]]
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)] if self.counts else counts
        self.samples += result["samples"]
        self.steps += result["steps"]
        if result["samples"]:  # of none the loss is nan
            self.loss += result["loss"] * result["samples"]

    def plus(self, samples: int, steps: int, loss: float, counts: list[list[float]]) -> Totals:
        """These sums and those of a call of the core that is still running."""
        so_far = Totals(self.samples, self.steps, self.loss, self.counts)
        so_far.add({"samples": samples, "steps": steps, "loss": loss, "metrics": counts})
        return so_far

    def logs(self, model: Model, what: Setting) -> dict[str, Any]:
        """Loss and metrics by name."""
        logs: dict[str, Any] = {"loss": self.loss / self.samples if self.samples else math.nan}
        by_spec = list(zip(programs.metric_specs(model, what), self.counts, strict=True))
        for metric in model.metrics:
            counts = next(counts for spec, counts in by_spec if spec == metric.spec(what))
            logs[metric.name] = metric.result(counts, self.samples, what) if self.samples else math.nan
        return logs


class Reporter:
    """Turns the core's reports into hooks of callbacks."""

    def __init__(self, hooks: CallbackList, kind: str) -> None:
        self.hooks = hooks
        self.kind = kind  # "train", "test" or "predict"
        begin, end = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
        self.per_step = hooks.overrides(begin, end)
        self.interval = 0.0 if self.per_step else INTERVAL
        self._last = time.monotonic()

    def batch_begin(self, batch: int) -> None:
        """Before a step."""
        if self.per_step:
            self.hooks.call(f"on_{self.kind}_batch_begin", batch, None)

    def report(
        self, steps: int, samples: int, logs: Callable[[], dict[str, Any]], final: bool, begin_next: bool
    ) -> None:
        """After `steps` steps, or some time; the next step begins with this call where `begin_next`."""
        now = time.monotonic()
        due = self.kind == "train" and (final or now - self._last >= INTERVAL / 2)
        if not (self.per_step or due):
            return
        values = logs()
        if self.per_step:
            self.hooks.call(f"on_{self.kind}_batch_end", steps - 1, values)
        if due:
            self._last = now
            self.hooks.call("on_train_progress", samples, values)
        if begin_next and not (self.kind == "train" and self.hooks.model.stop_training):
            self.batch_begin(steps)
