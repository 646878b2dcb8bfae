"""The numbers of each epoch."""

from __future__ import annotations

from typing import Any

from nnx.callbacks.base import Callback, Logs
from nnx.callbacks.diagnostics import by_quantity


class History(Callback):
    """What `fit` returns: `history`, a dict of lists with one value per epoch, and `epoch`, their numbers.

    `diagnostics` has the numbers by layer and quantity where the `Diagnostics` callback was there.

    Keys: "loss", each metric, both again as "val_..." where there is validation, and "learning_rate".
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.diagnostics: dict[str, dict[str, list[float]]] = {}

    def restore(self, epochs: list[tuple[int, dict[str, Any]]]) -> None:
        """Takes the epochs of a run that is resumed."""
        self.history, self.epoch = {}, []
        for epoch, logs in epochs:
            History.on_epoch_end(self, epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Appends the epoch's numbers."""
        self.epoch.append(epoch)
        self.diagnostics = by_quantity(self.model.diagnostics)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)

    def plot(self, ax: Any = None) -> Any:
        """Draws loss and metrics over epochs; returns matplotlib axes. See `nnx.plots.curves`."""
        from nnx import plots

        return plots.curves(self, ax)
