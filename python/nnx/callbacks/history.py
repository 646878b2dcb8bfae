"""The numbers of each epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx import _html
from nnx.callbacks.base import Callback, Logs
from nnx.callbacks.diagnostics import by_quantity

_ROWS = 12  # of the table in a notebook, at most


class History(Callback):
    """What `fit` returns: `history`, a dict of lists with one value per epoch, and `epoch`, their numbers.

    Values of the validation are there for the epochs in `validated`, which with `validation_freq` are not all.
    `diagnostics` has the numbers by layer and quantity where the `Diagnostics` callback was there.

    Keys: "loss", each metric, both again as "val_..." where there is validation, and "learning_rate".
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.validated: list[int] = []
        self.diagnostics: dict[str, dict[str, list[float]]] = {}

    def restore(self, epochs: list[tuple[int, dict[str, Any]]]) -> None:
        """Takes the epochs of a run that is resumed."""
        self.history, self.epoch, self.validated = {}, [], []
        for epoch, logs in epochs:
            self._append(epoch, logs)
        self.diagnostics = by_quantity(self.model.diagnostics)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Appends the epoch's numbers."""
        self._append(epoch, logs or {})
        self.diagnostics = by_quantity(self.model.diagnostics)

    def _append(self, epoch: int, logs: Logs) -> None:
        self.epoch.append(epoch)
        if any(name.startswith("val_") for name in logs):
            self.validated.append(epoch)
        for key, value in logs.items():
            self.history.setdefault(key, []).append(value)

    def plot(self, ax: Any = None) -> Any:
        """Draws loss and metrics over epochs; returns matplotlib axes. See `nnx.plots.curves`."""
        from nnx import plots

        return plots.curves(self, ax)

    def __repr__(self) -> str:
        if not self.epoch:
            return "History(no epochs)"
        last = (f"{name} {values[-1]:.4g}" for name, values in self._numbers().items())
        count = len(self.epoch)
        return f"History({count} epoch{'s' if count > 1 else ''}; last: {', '.join(last)})"

    def _repr_html_(self) -> str:
        """Curves of loss and metrics, and a table of the first and last epochs, for notebooks."""
        numbers = self._numbers()
        names = [name for name in numbers if not name.startswith("val_") and name != "learning_rate"]
        epochs = [epoch + 1.0 for epoch in self.epoch]
        curves = []
        for name in names if self.epoch else []:
            parts = {"training": numbers[name]}
            if f"val_{name}" in numbers:
                parts["validation"] = numbers[f"val_{name}"]
            curves.append(_html.curves(name, epochs, parts, "epoch"))
        lines = [
            (epoch + 1, *(f"{values[at]:.4g}" for values in numbers.values()))
            for at, epoch in enumerate(self.epoch)
        ]
        if len(lines) > _ROWS:
            lines = [*lines[:2], ("...",) * (len(numbers) + 1), *lines[3 - _ROWS :]]
        table = _html.table(("epoch", *numbers), lines, range(len(numbers) + 1))
        return _html.block("<b>History</b>", _html.block(*curves), table)

    def _numbers(self) -> dict[str, list[float]]:
        """What has one number for each epoch; a metric that a callback left out of some is not shown."""
        return {
            name: [float(value) for value in values]
            for name, values in self.history.items()
            if len(values) == len(self.epoch) and all(_is_number(value) for value in values)
        }

    def __dir__(self) -> list[str]:
        hidden = ("on_", "get_state", "set_", "restore")
        return [name for name in super().__dir__() if not name.startswith(hidden)]


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and isinstance(value, (int, float, np.integer, np.floating))
