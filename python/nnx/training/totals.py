"""Sums that become loss and metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnx._types import NDArray
from nnx.metrics import Metric, Setting, WholeSet
from nnx.training.heads import Watched


def counted(metrics: Sequence[Metric]) -> list[Metric]:
    """Those that the core counts something for, batch by batch."""
    return [metric for metric in metrics if not isinstance(metric, WholeSet)]


def metric_specs(metrics: Sequence[Metric], what: Setting | Watched) -> list[dict[str, Any]]:
    """What the core is to count for these metrics, each thing once."""
    if isinstance(what, Watched):
        return what.specs()
    specs: list[dict[str, Any]] = []
    for metric in counted(metrics):
        spec = metric.spec(what)
        if spec not in specs:
            specs.append(spec)
    return specs


@dataclass
class Totals:
    """Sums over the samples of an epoch or an evaluation so far."""

    samples: int = 0
    steps: int = 0
    loss: float = 0.0  # of the batches, times their samples
    counts: list[NDArray] = field(default_factory=list)

    def add(self, result: dict[str, Any]) -> None:
        """Adds what one call of the core has summed up."""
        counts = [np.asarray(count, dtype=np.float64) for count in result["metrics"]]
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)] if self.counts else counts
        self.samples += result["samples"]
        self.steps += result["steps"]
        self.loss += result["loss_sum"]

    def plus(self, samples: int, steps: int, loss_sum: float, counts: list[list[float]]) -> Totals:
        """These sums and those of a call of the core that is still running."""
        so_far = Totals(self.samples, self.steps, self.loss, self.counts)
        so_far.add({"samples": samples, "steps": steps, "loss_sum": loss_sum, "metrics": counts})
        return so_far

    def start(self) -> dict[str, Any] | None:
        """What a call of the core that goes on with these sums begins with."""
        if not self.steps:
            return None
        return {"loss_sum": self.loss, "metrics": [count.tolist() for count in self.counts]}

    def gone_on(self, samples: int, steps: int, loss_sum: float, counts: list[list[float]]) -> Totals:
        """These sums after a call of the core that went on with them, to the last bit."""
        arrays = [np.asarray(count, dtype=np.float64) for count in counts]
        return Totals(self.samples + samples, self.steps + steps, loss_sum, arrays)

    def logs(self, metrics: Sequence[Metric], what: Setting | Watched) -> dict[str, Any]:
        """Loss and metrics by name."""
        logs: dict[str, Any] = {"loss": self.loss / self.samples if self.samples else math.nan}
        if isinstance(what, Watched):
            return logs | what.logs(self.counts, self.samples)
        by_spec = list(zip(metric_specs(metrics, what), self.counts, strict=True))
        for metric in counted(metrics):
            counts = next(counts for spec, counts in by_spec if spec == metric.spec(what))
            logs[metric.name] = metric.result(counts, self.samples, what) if self.samples else math.nan
        return logs
