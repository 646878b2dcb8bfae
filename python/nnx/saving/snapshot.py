"""All that a model is beside its layers: how it was compiled, how far it has come, its optimizer's state."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from nnx._types import NDArray
from nnx.graph.inputs import InputShape
from nnx.optimizers import Optimizer
from nnx.training import devices
from nnx.training.learner import Learner
from nnx.training.state import RunState


@dataclass
class Snapshot:
    """What a learner holds, but for the layers and their weights; nothing in it lies on a device."""

    input_shape: InputShape | None
    optimizer: Optimizer | None
    loss: Any  # a Loss, or lists or dicts by output of them
    metrics: Any
    loss_weights: Any
    device: str
    precision: str
    run: RunState
    states: dict[str, dict[str, NDArray]]  # of the optimizer: by slot, by weight


def take(learner: Learner) -> Snapshot:
    """What a learner holds now; arrays are copies."""
    state = learner.state
    state.update()
    if learner.graphs.input_shape is not None:
        state.drawn_seed()  # weights that have no values yet get the same in both
    run = copy.copy(state)  # not running, see its __getstate__
    run.history, run.callbacks = list(state.history), list(state.callbacks)
    return Snapshot(
        learner.graphs.input_shape,
        learner.optimizer,
        learner.loss,
        learner.metrics,
        learner.loss_weights,
        learner.device,
        learner.precision,
        run,
        learner.graphs.states(),
    )


def restore(learner: Learner, snapshot: Snapshot, device: str | None = None) -> None:
    """Makes a learner hold that; its layers have their weights.

    On `device`, or where it was: on the CPU, with a warning, where such a device is not there.
    """
    place, precision = devices.nearest(snapshot.device, snapshot.precision, device)
    learner.optimizer, learner.loss, learner.metrics = snapshot.optimizer, snapshot.loss, snapshot.metrics
    learner.loss_weights = snapshot.loss_weights
    learner.device, learner.precision, learner.state = place, precision, snapshot.run
    learner.programs.clear()
    learner.graphs.restore(snapshot.input_shape, snapshot.states)
