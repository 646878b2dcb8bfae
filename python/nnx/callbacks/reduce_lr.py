"""Smaller learning rates where progress stops."""

from __future__ import annotations

from typing import Any

from nnx._checks import integer, number
from nnx.callbacks.base import Logs
from nnx.callbacks.monitor import Mode, Monitor, say
from nnx.callbacks.rates import fixed_rate


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` once a quantity has not become better for some epochs.

    Args:
        monitor: the quantity's name in the logs.
        factor: in (0, 1).
        patience: how many epochs without a better value are waited for, >= 0.
        verbose: 1 prints what is done.
        mode: "min", "max", or "auto" by the name.
        min_delta: by how much a value has to be better to count.
        cooldown: epochs after a reduction that are not counted, >= 0.
        min_lr: the rate below which it does not fall, >= 0.

    Raises:
        ValueError: from `fit`, where there is no such quantity.
        TypeError: from `fit`, where the optimizer has a schedule.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = number("ReduceLROnPlateau", "factor", factor, high=1.0, closed="neither")
        self.patience = integer("ReduceLROnPlateau", "patience", patience, low=0)
        self.verbose = verbose
        self.cooldown = integer("ReduceLROnPlateau", "cooldown", cooldown, low=0)
        self.min_lr = number("ReduceLROnPlateau", "min_lr", min_lr)
        self._begin()

    def _begin(self) -> None:
        self.wait, self.cooldown_counter, self.best = 0, 0, self.worst

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begins anew."""
        fixed_rate(self.model, "ReduceLROnPlateau")
        self._begin()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Looks at the epoch's value, and reduces the rate where it is time."""
        value = self.value(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer, rate = fixed_rate(self.model, "ReduceLROnPlateau")
        if rate <= self.min_lr:
            return
        optimizer.learning_rate = max(rate * self.factor, self.min_lr)
        say(
            "ReduceLROnPlateau",
            self.verbose,
            f"epoch {epoch + 1}: the learning rate is {optimizer.learning_rate:.6g} now",
        )
        self.cooldown_counter, self.wait = self.cooldown, 0

    def get_state(self) -> dict[str, Any]:
        """The best value, and how long it has been that."""
        return {"wait": self.wait, "cooldown_counter": self.cooldown_counter, "best": self.best}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on with these."""
        self.wait, self.cooldown_counter, self.best = state["wait"], state["cooldown_counter"], state["best"]
