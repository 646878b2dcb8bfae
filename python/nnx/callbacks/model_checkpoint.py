"""Models saved on the way."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnx._checks import integer, number
from nnx._checks import path as checked_path
from nnx.callbacks.base import Logs
from nnx.callbacks.monitor import Mode, Monitor, say

if TYPE_CHECKING:
    from pathlib import Path


class ModelCheckpoint(Monitor):
    """Saves the model after each epoch, or every so many steps; `fit(resume=True)` goes on from such a file.

        model.fit(x, y, epochs=50, validation_split=0.2, callbacks=[
            nnx.callbacks.ModelCheckpoint("best-{epoch:02d}-{val_loss:.3f}.safetensors", save_best_only=True)])

    Args:
        filepath: the file; `{epoch}`, from 1, and names of the logs are filled in, `{batch}` is the step within
            the epoch, from 1. Folders are made where they are missing.
        monitor: the quantity that `save_best_only` looks at.
        verbose: 1 prints what is saved.
        save_best_only: saves only where the quantity is better than before.
        save_weights_only: saves weights alone, by `save_weights`; nothing can be resumed from them.
        mode: "min", "max", or "auto" by the name.
        save_freq: "epoch", or a number of steps, counted over all epochs.
        initial_value_threshold: the value that the first one saved has to be better than.

    Raises:
        ValueError: from `fit`, where the path names no quantity of the logs.
        OSError: from `fit`, where the file cannot be written; before the first epoch as far as that can be told.
    """

    after_others = True  # what it saves has their states in it

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: Mode = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = checked_path("ModelCheckpoint", "filepath", filepath)
        self.verbose = verbose
        self.save_best_only = bool(save_best_only)
        self.save_weights_only = bool(save_weights_only)
        if save_freq != "epoch":
            save_freq = integer("ModelCheckpoint", "save_freq", save_freq)
        self.save_freq: Literal["epoch"] | int = save_freq
        if initial_value_threshold is not None:
            initial_value_threshold = number(
                "ModelCheckpoint", "initial_value_threshold", initial_value_threshold, low=-math.inf
            )
        self.initial_value_threshold = initial_value_threshold
        self.best = self.worst if initial_value_threshold is None else initial_value_threshold
        self._epoch = 0

    def wants_batches(self) -> bool:
        """Only where it saves by steps."""
        return self.save_freq != "epoch"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Makes the folder and sees that it can be written to, unless its name is known only later."""
        from pathlib import Path  # when it is needed: nnx is there sooner

        path = Path(self.filepath)
        if "{" not in str(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(f"{path}: expected a file, and it is a folder")
            if not os.access(path.parent, os.W_OK):
                raise PermissionError(f"{path}: the folder {path.parent} is write-protected")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remembers the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Saves where it is time."""
        if self.save_freq == "epoch":
            return
        optimizer = self.model.optimizer
        assert optimizer is not None
        if optimizer.iterations % self.save_freq == 0:
            self._save(self._epoch, {"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves where it is time."""
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: Logs) -> None:
        if self.save_best_only:
            numbers = {name: logs[name] for name in logs if name != "batch"}
            value = self.value(numbers, at_epoch_end=self.save_freq == "epoch")
            if value is None:
                return
            if not self.improves(value, self.best):
                text = f"epoch {epoch + 1}: {self.monitor} is no better than {self.best:.5g}, nothing saved"
                return say("ModelCheckpoint", self.verbose, text)
            self.best = value
        path = self._path(epoch, logs)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        say("ModelCheckpoint", self.verbose, f"epoch {epoch + 1}: saved {path}")

    def _path(self, epoch: int, logs: Logs) -> Path:
        """The path with all names filled in; its folder is there then."""
        numbers = {name: value for name, value in logs.items() if np.ndim(value) == 0}
        try:
            text = self.filepath.format(epoch=epoch + 1, **{"batch": 0, **numbers})
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            known = ", ".join(["epoch", "batch", *(name for name in numbers if name != "batch")])
            raise ValueError(
                f"ModelCheckpoint: argument 'filepath' expected names among {known} in braces, "
                f"got {self.filepath!r} ({error})"
            ) from None
        from pathlib import Path

        path = Path(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def get_state(self) -> dict[str, Any]:
        """The best value so far, and the epoch."""
        return {"best": self.best, "epoch": self._epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on with these."""
        self.best, self._epoch = state["best"], state["epoch"]
