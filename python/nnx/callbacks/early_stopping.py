"""The end of training that no longer helps."""

from __future__ import annotations

import math
from typing import Any

from nnx._checks import integer, number
from nnx._types import NDArray
from nnx.callbacks.base import Logs
from nnx.callbacks.monitor import Mode, Monitor, say


class EarlyStopping(Monitor):
    """Ends training once a quantity has not become better for some epochs, and gives the best weights back.

        model.fit(x, y, epochs=100, validation_split=0.2, callbacks=[nnx.callbacks.EarlyStopping(patience=5)])

    The best weights come back however training ends: by this, at the last epoch, by Ctrl-C or an exception. The
    optimizer's state and the clocks stay as they were at the end.

    Args:
        monitor: the quantity's name in the logs.
        min_delta: by how much a value has to be better to count.
        patience: how many epochs without a better value are waited for, >= 0.
        verbose: 1 prints what is done.
        mode: "min", "max", or "auto" by the name.
        baseline: a value that has to be reached for an epoch to count as better.
        restore_best_weights: False leaves the last weights.
        start_from_epoch: epochs before this one are not looked at.

    Attributes:
        stopped_epoch: the epoch that ended training; 0 where it was not ended.
        best: the best value so far.
        best_epoch: its epoch.

    Raises:
        ValueError: from `fit`, at the first epoch, where there is no such quantity; it names those there are.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: Mode = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = integer("EarlyStopping", "patience", patience, low=0)
        self.verbose = verbose
        if baseline is not None:
            baseline = number("EarlyStopping", "baseline", baseline, low=-math.inf)
        self.baseline = baseline
        self.restore_best_weights = bool(restore_best_weights)
        self.start_from_epoch = integer("EarlyStopping", "start_from_epoch", start_from_epoch, low=0)
        self._begin()

    def _begin(self) -> None:
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best = self.worst
        self.best_weights: list[NDArray] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begins anew."""
        self._begin()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Looks at the epoch's value, keeps the best weights, and ends training where it is time."""
        value = self.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self._weights(), epoch  # better than none
        self.wait += 1
        if self.improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self._weights()
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            say("EarlyStopping", self.verbose, f"epoch {epoch + 1}: no better {self.monitor}, training ends")

    def _weights(self) -> list[NDArray]:
        """Those that the epoch was judged by: of an optimizer with `ema` the averages."""
        optimizer = self.model.optimizer
        assert optimizer is not None
        return list(self.model.state_dict(averaged=optimizer.has_averages).values())

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Gives the best weights back."""
        if self.best_weights is not None:
            say("EarlyStopping", self.verbose, f"weights are those of the best epoch, {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)
            self.best_weights = None

    def get_state(self) -> dict[str, Any]:
        """The best value and weights, and how long they have been that."""
        return {
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on with these."""
        self.wait, self.stopped_epoch = state["wait"], state["stopped_epoch"]
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.best_weights = state["best_weights"]
