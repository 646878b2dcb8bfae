"""What callbacks share that watch a quantity from epoch to epoch."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np

from nnx._checks import number
from nnx.callbacks.base import Callback, Logs

Mode: TypeAlias = Literal["auto", "min", "max"]

# Of these more is better; of everything else, losses and errors, less.
_MORE = ("acc", "accuracy", "precision", "recall", "f1", "top_k", "auc", "r2")


class Monitor(Callback):
    """The base of callbacks that watch a quantity of the epochs' logs.

    Args:
        monitor: its name in the logs: "loss", "val_loss", "val_accuracy", ...
        mode: "min" where less is better, "max" where more is; "auto" tells by the name.
        min_delta: by how much a value has to be better to count as better, >= 0.
    """

    def __init__(self, monitor: str, mode: Mode, min_delta: float = 0.0) -> None:
        self._where = type(self).__name__
        if not isinstance(monitor, str):
            raise TypeError(
                f"{self._where}: argument 'monitor' expected a name, got {type(monitor).__name__}"
            )
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{self._where}: argument 'mode' expected 'auto', 'min' or 'max', got {mode!r}")
        self.monitor = monitor
        self.mode: Mode = mode
        self.min_delta = abs(number(self._where, "min_delta", min_delta, low=-math.inf))

    @property
    def more_is_better(self) -> bool:
        """Whether larger values are better."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        return name in _MORE or name.endswith(("accuracy", "auc", *(f"_{more}" for more in _MORE)))

    @property
    def worst(self) -> float:
        """The value that any other is better than."""
        return -math.inf if self.more_is_better else math.inf

    def value(self, logs: Logs | None, at_epoch_end: bool = True) -> float | None:
        """The quantity in an epoch's logs; ValueError names those that are there.

        None for a quantity of the validation after an epoch that `validation_freq` has none for.
        """
        logs = logs or {}
        if at_epoch_end and self.monitor.startswith("val_") and without_validation(self, logs):
            return None
        if self.monitor not in logs:
            raise ValueError(
                f"{self._where}: argument 'monitor' expected one of {', '.join(logs) or 'none'}, "
                f"got {self.monitor!r}{self._hint()}"
            )
        if np.ndim(logs[self.monitor]) != 0:
            raise ValueError(
                f"{self._where}: argument 'monitor' expected a number, and {self.monitor!r} is none"
            )
        return float(logs[self.monitor])

    def _hint(self) -> str:
        more = "; there is no validation: give fit validation_data or validation_split"
        return more if self.monitor.startswith("val_") else ""

    def improves(self, value: float, best: float) -> bool:
        """Whether a value is better than the best so far; NaN never is."""
        return value > best + self.min_delta if self.more_is_better else value < best - self.min_delta


def without_validation(callback: Callback, logs: Logs) -> bool:
    """Whether an epoch ended without validation, and others do not."""
    sometimes = getattr(callback, "params", {}).get("validation_freq") not in (None, 1)
    return sometimes and not any(name.startswith("val_") for name in logs)


def say(where: str, verbose: Any, text: str) -> None:
    """Prints a line about what a callback did, where it is wanted."""
    if verbose:
        print(f"{where}: {text}")
