"""Metrics of a whole evaluated set: targets and outputs, kept until all are there."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx._types import NDArray
from nnx.graph.tracing import Traced
from nnx.metrics import WholeSet


class WholeSets:
    """What such metrics of a model need of an evaluation; without any, nothing."""

    def __init__(self, metrics: Any) -> None:
        given = metrics if isinstance(metrics, list) else []
        self._metrics = [metric for metric in given if isinstance(metric, WholeSet)]
        self._targets: list[NDArray] = []
        self._outputs: list[NDArray] = []

    def add(self, learner: Any, traced: Traced, part: Any, batch: int) -> None:
        """Keeps the targets of a part, and computes its outputs.

        Raises:
            ValueError: for a model of several outputs.
        """
        if not self._metrics:
            return
        if traced.layout.several:
            raise ValueError(
                f"metric '{self._metrics[0].name}' expected a model of one output, got {len(traced.outputs)}: call it "
                "on what predict gives"
            )
        self._targets.append(np.asarray(part.y))
        self._outputs.append(learner.prediction_program(traced, batch).predict(part.fed[0], batch))

    def logs(self) -> dict[str, Any]:
        """The metrics by name."""
        if not self._metrics:
            return {}
        y, outputs = np.concatenate(self._targets), np.concatenate(self._outputs)
        return {metric.name: metric(y, outputs) for metric in self._metrics}
