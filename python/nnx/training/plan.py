"""What `fit` is asked for, and what that makes of an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from nnx._types import ClassWeight
from nnx.training import sources
from nnx.training.sources import Batches, Source
from nnx.training.streams import warn_of_end


@dataclass
class Plan:
    """The arguments of `fit`."""

    batch_size: int
    epochs: int
    shuffle: bool
    validation_split: float
    validation_data: Any
    class_weight: ClassWeight
    sample_weight: npt.ArrayLike | None
    initial_epoch: int | None  # None: where the model stands
    resume: bool = False
    accumulate: int = 1  # batches to a step
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_freq: int | list[int] = 1
    validation_batch_size: int | None = None

    @property
    def compared(self) -> dict[str, Any]:
        """What has to be the same where a run is resumed."""
        same = (
            "batch_size",
            "shuffle",
            "accumulate",
            "steps_per_epoch",
            "validation_steps",
            "validation_freq",
        )
        return {
            **{name: getattr(self, name) for name in same},
            "validation_split": float(self.validation_split),
        }

    @property
    def validated_at_once(self) -> int:
        """Samples to a batch of validation."""
        return self.validation_batch_size or self.batch_size

    def validates(self, epoch: int) -> bool:
        """Whether there is validation after an epoch, counted from 0."""
        often = self.validation_freq
        return (epoch + 1) % often == 0 if isinstance(often, int) else epoch + 1 in often


def limited_epoch(source: Source, plan: Plan) -> tuple[int | None, int | None]:
    """The samples and the steps of an epoch, None where that is not known; batches are limited to them."""
    steps = plan.steps_per_epoch
    if isinstance(source, Batches):
        if steps is not None:
            sources.limited(source, steps * plan.accumulate, 1, "steps_per_epoch")
            source.goes_on = True
        return None, steps
    samples, step = source.samples, plan.batch_size * plan.accumulate
    there = math.ceil(samples / step)
    if steps is None or steps == there:
        return samples, there
    if steps > there:
        warn_of_end("x", "steps_per_epoch", steps, there)
        return samples, there
    if not plan.shuffle:
        raise ValueError(
            "fit: argument 'steps_per_epoch' expected None beside arrays that are not shuffled, got "
            f"{steps}: samples after the first {steps * step} would never be trained on"
        )
    return steps * step, steps
