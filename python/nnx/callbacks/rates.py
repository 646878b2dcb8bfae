"""Learning rates that callbacks set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnx.schedules import Schedule

if TYPE_CHECKING:
    from nnx.model import Model
    from nnx.optimizers import Optimizer


def fixed_rate(model: Model, where: str) -> tuple[Optimizer, float]:
    """The model's optimizer and its learning rate, a number; TypeError where a schedule gives it."""
    optimizer = model.optimizer
    assert optimizer is not None
    rate = optimizer.learning_rate
    if isinstance(rate, Schedule):
        raise TypeError(
            f"{where}: expected an optimizer whose learning_rate is a number, got the schedule {rate!r}"
        )
    return optimizer, rate
