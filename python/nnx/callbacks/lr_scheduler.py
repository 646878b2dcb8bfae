"""A learning rate for each epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nnx._checks import number
from nnx.callbacks.base import Callback, Logs
from nnx.callbacks.monitor import say
from nnx.callbacks.rates import fixed_rate
from nnx.schedules import Schedule


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch by a function: `schedule(epoch, learning_rate) -> learning rate`.

    Args:
        schedule: a function of the epoch's number, from 0, and the rate so far, or of the number alone; a
            schedule of `nnx.schedules` is one. As in Keras, a second argument gets the rate even where it has
            a default.
        verbose: 1 prints the rate of each epoch.

    Raises:
        TypeError: where `schedule` is no function, or, from `fit`, gives no number, or where the optimizer has a
            schedule of its own.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler: argument 'schedule' expected a function, got {type(schedule).__name__}"
            )
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Refuses an optimizer that has a schedule."""
        fixed_rate(self.model, "LearningRateScheduler")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Sets the epoch's rate."""
        optimizer, rate = fixed_rate(self.model, "LearningRateScheduler")
        wanted = self.schedule(epoch, rate) if self._takes_rate else self.schedule(epoch)
        optimizer.learning_rate = number("LearningRateScheduler", "schedule", wanted)
        say(
            "LearningRateScheduler",
            self.verbose,
            f"epoch {epoch + 1}: the learning rate is {optimizer.learning_rate:.6g}",
        )


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether a function takes the rate, too, as a second positional argument."""
    if isinstance(function, Schedule):
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
