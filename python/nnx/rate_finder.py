"""A learning rate to begin with, found by trying a range of them (Smith 2017)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnx import data
from nnx._checks import integer, number
from nnx._types import NDArray
from nnx.model import Model
from nnx.training.several import is_several, samples_of

_PAST = 0.9  # its weight in the smoothed loss


@dataclass(frozen=True, repr=False)
class LearningRates:
    """What `lr_finder` found: losses of steps whose learning rates grow."""

    learning_rates: NDArray  # of the steps done
    losses: NDArray  # of their batches
    smoothed: NDArray  # an exponential average of those, bias-corrected

    @property
    def suggestion(self) -> float | None:
        """The rate, before that of the smallest smoothed loss, at which it falls fastest; None without a fall."""
        first = len(self.smoothed) // 10  # before that it is as noisy as single batches
        last = first + int(np.argmin(self.smoothed[first:])) + 1 if len(self.smoothed) else 0
        rates, smoothed = self.learning_rates[first:last], self.smoothed[first:last]
        if len(smoothed) < 4:
            return None
        slope = np.gradient(smoothed, np.log10(rates))
        steepest = int(np.argmin(slope))
        return float(rates[steepest]) if slope[steepest] < 0 else None

    def __repr__(self) -> str:
        steps, suggestion = len(self.losses), self.suggestion
        return f"LearningRates({steps} steps, suggestion={suggestion if suggestion is None else f'{suggestion:.3g}'})"

    def plot(self, ax: Any = None) -> Any:
        """Draws the loss over the learning rate; returns matplotlib axes. See `nnx.plots.learning_rates`."""
        from nnx import plots

        return plots.learning_rates(self, ax)


def lr_finder(
    model: Model,
    x: Any,
    y: Any = None,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    batch_size: int = 32,
    sample_weight: npt.ArrayLike | None = None,
    stop_factor: float = 4.0,
) -> LearningRates:
    """Trains a copy of the model with a learning rate that grows, step by step (Smith 2017).

    The model itself is left as it is: weights, optimizer, clocks.

    Args:
        model: a compiled model.
        x: inputs (N, ...), or an iterable of batches, as in `fit`.
        y: targets.
        lowest: the learning rate of the first step, > 0.
        highest: that of the last one; in between it grows by a constant factor.
        steps: how many, at least 4; the samples are gone through as often as it takes.
        batch_size: samples per step.
        sample_weight: (N,).
        stop_factor: ends where the smoothed loss is so many times the smallest one since a tenth of the steps,
            or not finite.

    Returns:
        Learning rates, losses, and a suggestion; that is None where the loss does not fall, of a model that has
        learned already, say.

    Raises:
        ValueError, TypeError: naming the argument that does not fit; where the model is not compiled.
    """
    lowest = number("lr_finder", "lowest", lowest, closed="neither")
    highest = number("lr_finder", "highest", highest, closed="neither")
    if highest <= lowest:
        raise ValueError(f"lr_finder: argument 'highest' expected more than lowest = {lowest}, got {highest}")
    steps = integer("lr_finder", "steps", steps, low=4)
    size = integer("lr_finder", "batch_size", batch_size)
    stop_factor = number("lr_finder", "stop_factor", stop_factor, low=1.0)
    if model.optimizer is None or model.loss is None:
        raise ValueError("lr_finder: argument 'model' expected a compiled model with a loss")
    trial = copy.deepcopy(model)
    assert trial.optimizer is not None
    rates = np.geomspace(lowest, highest, steps)
    losses: list[float] = []
    smoothed: list[float] = []
    average = 0.0
    for rate, (inputs, targets, weight) in zip(rates, _batches(x, y, sample_weight, size), strict=False):
        trial.optimizer.learning_rate = float(rate)
        loss = trial.train_step(inputs, targets, weight)
        average = _PAST * average + (1 - _PAST) * loss
        now = average / (1 - _PAST ** (len(losses) + 1))
        if not math.isfinite(now):
            break
        losses.append(loss)
        smoothed.append(now)
        if len(smoothed) > steps // 10 and now > stop_factor * min(smoothed[steps // 10 :]):
            break  # the first steps are as noisy as single batches
    return LearningRates(rates[: len(losses)], np.array(losses), np.array(smoothed))


def _batches(x: Any, y: Any, sample_weight: Any, size: int) -> Iterator[tuple[Any, Any, Any]]:
    """Batches without end."""
    if y is None and data.is_batches(x):
        while True:
            none = True
            for batch in x:
                none = False
                yield data.unpack(batch)
            if none:
                return
    if y is None:
        raise ValueError("lr_finder: argument 'y' expected targets beside an array x, got None")
    several = any(isinstance(part, dict) or is_several(part) for part in (x, y, sample_weight))
    if several:
        inputs, targets, weight = x, y, sample_weight
    else:
        inputs, targets = data.features(x), data.as_array(y, "y")
        if len(inputs) != len(targets):
            raise ValueError(f"x and y expected one length, got {len(inputs)} and {len(targets)}")
        weight = None if sample_weight is None else data.sample_weights(sample_weight, len(inputs))
    samples = samples_of(inputs)
    chance = np.random.default_rng(0)
    while True:
        order = chance.permutation(samples)
        for start in range(0, samples, size):
            rows = order[start : start + size]
            yield _rows(inputs, rows), _rows(targets, rows), _rows(weight, rows)


def _rows(part: Any, rows: NDArray) -> Any:
    """Some rows of an array, or of each of several."""
    if isinstance(part, dict):
        return {name: _rows(item, rows) for name, item in part.items()}
    if isinstance(part, (list, tuple)):
        return [_rows(item, rows) for item in part]
    return None if part is None else part[rows]
