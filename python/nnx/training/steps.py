"""Training step by step, for loops of one's own."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from nnx.training import sources
from nnx.training.learner import Learner


def train_step(learner: Learner, x: Any, y: Any, sample_weight: npt.ArrayLike | None) -> float:
    """One step on one batch; see `Model.train_step`."""
    optimizer, _ = learner.expect_compiled()
    part = sources.arrays(learner, x, y, sample_weight)
    sources.expect_samples("x", part)
    traced = learner.graph(part.x.shape[1:])
    program = learner.program("train", traced, part.samples, part.kind)
    rate = float(optimizer.rates(1, learner.state.epoch)[0])
    loss = program.train_step(part.x, part.y, part.weight, rate, optimizer.iterations)
    optimizer.iterations += 1
    return loss
