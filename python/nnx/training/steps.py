"""Training step by step, for loops of one's own."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from nnx._types import ClassWeight
from nnx.training import sources
from nnx.training.learner import Learner
from nnx.training.totals import Totals


def train_step(learner: Learner, x: Any, y: Any, sample_weight: npt.ArrayLike | None) -> float:
    """One step on one batch; see `Model.train_step`."""
    optimizer, _ = learner.expect_compiled()
    part = sources.batch(learner, x, y, sample_weight)
    traced = learner.graph(part.shape)
    program = learner.program("train", traced, part.samples, part.kind)
    rate = float(optimizer.rates(1, learner.state.epoch)[0])
    loss = program.train_step(*part.fed, rate, optimizer.iterations, optimizer)
    learner.state.count_step()
    return loss


def train_on_batch(
    learner: Learner, x: Any, y: Any, sample_weight: npt.ArrayLike | None, class_weight: ClassWeight
) -> dict[str, Any]:
    """One step on one batch, with its metrics; see `Model.train_on_batch`."""
    optimizer, _ = learner.expect_compiled()
    part = sources.batch(learner, x, y, sample_weight, class_weight)
    traced = learner.graph(part.shape)
    program = learner.program("train", traced, part.samples, part.kind)
    rates = optimizer.rates(1, learner.state.epoch)
    totals = Totals()
    first = optimizer.iterations
    totals.add(program.train_epoch(*part.fed, None, part.samples, rates, first, counter=optimizer))
    learner.state.count_step()
    return totals.logs(learner.metrics_of(traced), learner.setting(traced, part.kind))
