"""Gradients in hand: computed, looked at or changed, and applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nnx import _core
from nnx._types import NDArray
from nnx.graph.tracing import Traced
from nnx.graph.weight import listed
from nnx.training import sources
from nnx.training.learner import Learner


def gradients(
    learner: Learner, x: Any, y: Any, sample_weight: npt.ArrayLike | None
) -> tuple[float, dict[str, NDArray]]:
    """Loss and gradients of one batch; see `Model.gradients`."""
    optimizer, _ = learner.expect_compiled()
    part = sources.batch(learner, x, y, sample_weight)
    traced = learner.graph(part.shape)
    program = learner.program("gradients", traced, part.samples, part.kind)
    loss = program.train_step(*part.fed, 0.0, optimizer.iterations)
    return loss, {
        name: _store(traced).get(index, "gradient") for name, index in _trained(learner, traced).items()
    }


def apply_gradients(learner: Learner, given: Mapping[str, npt.ArrayLike | None]) -> None:
    """One step of the optimizer with these gradients; see `Model.apply_gradients`."""
    optimizer, _ = learner.expect_compiled()
    traced = learner.bound()
    store, trained = _store(traced), _trained(learner, traced)
    arrays = _checked(given, trained, learner)
    program = learner.applying_program(traced)
    rate = float(optimizer.rates(1, learner.state.epoch)[0])
    for name, array in arrays.items():
        store.set(trained[name], np.ascontiguousarray(array, dtype=store.dtype), "gradient")
    program.apply(rate, optimizer.iterations, optimizer)
    learner.state.count_step()


def _store(traced: Traced) -> _core.Parameters:
    assert traced.store is not None
    return traced.store


def _trained(learner: Learner, traced: Traced) -> dict[str, int]:
    """The places of the weights that training changes, by name, in the order of `state_dict`."""
    store = _store(traced)
    places = {name: index for index, name in enumerate(store.names) if store.trainable[index]}
    return {name: places[name] for name in learner.graphs.named_weights() if name in places}


def _checked(
    given: Mapping[str, npt.ArrayLike | None], trained: dict[str, int], learner: Learner
) -> dict[str, NDArray]:
    """Gradients for all trained weights; ValueError lists what is missing, unexpected or of another shape."""
    if not isinstance(given, Mapping):
        raise TypeError(
            f"apply_gradients: argument 'gradients' expected a dict by names of weights, got {type(given).__name__}"
        )
    named = learner.graphs.named_weights()
    there = {name: gradient for name, gradient in given.items() if gradient is not None}
    problems = {
        "missing": [name for name in trained if name not in there],
        "unexpected": [str(name) for name in there if name not in named],
    }
    if text := listed(problems):
        raise ValueError(f"apply_gradients: argument 'gradients' {text}")
    checked = {name: named[name].checked(there[name]) for name in trained}
    with np.errstate(over="ignore"):  # told below
        arrays = {name: array.astype(learner.dtype) for name, array in checked.items()}
    for name, array in arrays.items():
        if not np.all(np.isfinite(array)):
            what = "NaN or infinity" if not np.all(np.isfinite(checked[name])) else "larger ones"
            raise ValueError(
                f"apply_gradients: argument 'gradients' expected finite numbers that {learner.dtype} holds, "
                f"got {what} in '{name}'"
            )
    return arrays
