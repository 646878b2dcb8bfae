"""Callbacks: code that runs while a model trains. The hooks have Keras's names."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from nnx.model import Model

Logs: TypeAlias = dict[str, Any]


class Callback:
    """The base of all callbacks: override what you need.

    `self.model` is the model that trains, `self.params` a dict with "epochs", "steps" (None where unknown),
    "samples" and "verbose". `self.model.stop_training = True` ends training after the current epoch, from
    `on_train_batch_end` after the current step. Overriding a hook that runs for each batch makes Python run
    between steps; `on_train_progress`, a few times a second, costs nothing that can be measured.
    """

    model: Model
    params: dict[str, Any]

    def set_model(self, model: Model) -> None:
        """Called with the model before anything else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called with what `fit` is going to do."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, also where an exception or Ctrl-C ends training."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; a learning rate set here holds for it."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; `logs` as in `History`."""

    def on_train_progress(self, samples: int, logs: Logs | None = None) -> None:
        """A few times a second within an epoch: samples seen, and the means over them."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each step."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each step, with the means over the epoch so far."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation, validation included."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation, with its result."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each batch of an evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each batch of a prediction."""


class CallbackList:
    """Several callbacks as one."""

    def __init__(self, callbacks: Iterable[Callback], model: Model, params: dict[str, Any]) -> None:
        self.model = model
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"argument 'callbacks' expected Callback objects, got {type(callback).__name__}"
                )
            callback.set_model(model)
            callback.set_params(params)

    def overrides(self, *hooks: str) -> bool:
        """Whether a callback has code of its own for one of these hooks."""
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for callback in self.callbacks
            for hook in hooks
        )

    def call(self, hook: str, *arguments: Any) -> None:
        """Calls a hook of every callback, in order."""
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)


class History(Callback):
    """What `fit` returns: `history`, a dict of lists with one value per epoch, and `epoch`, their numbers.

    Keys: "loss", each metric, both again as "val_..." where there is validation, and "learning_rate".
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Appends the epoch's numbers."""
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)

    def plot(self, ax: Any = None) -> Any:
        """Draws loss and metrics over epochs; returns matplotlib axes. See `nnx.plots.curves`."""
        from nnx import plots

        return plots.curves(self, ax)


class ProgressBar(Callback):
    """Progress on stderr: `verbose` 1 draws a bar per epoch, 2 prints a line per epoch."""

    def __init__(self, verbose: int = 1) -> None:
        self.verbose = verbose
        self._bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Opens the epoch's bar."""
        if self.verbose == 1:
            from tqdm import tqdm  # type: ignore[import-untyped]

            self._bar = tqdm(
                total=self.params["samples"],
                desc=self._title(epoch),
                unit=" samples",
                unit_scale=True,
                dynamic_ncols=True,
                file=sys.stderr,
            )

    def on_train_progress(self, samples: int, logs: Logs | None = None) -> None:
        """Moves the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(_line(logs or {}), refresh=False)
            self._bar.update(samples - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Finishes the bar, or prints the line."""
        if self._bar is not None:
            self._bar.set_postfix_str(_line(logs or {}))
            self._close()
        elif self.verbose == 2:
            print(f"{self._title(epoch)}: {_line(logs or {})}", file=sys.stderr)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes a bar that was interrupted."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _title(self, epoch: int) -> str:
        epochs = self.params["epochs"]
        return f"Epoch {epoch + 1:{len(str(epochs))}}/{epochs}"


def verbosity(verbose: int | str) -> int:
    """0, 1 or 2; "auto" is 1 on a terminal or in a notebook, else 2."""
    if verbose == "auto":
        return 1 if sys.stderr.isatty() or "ipykernel" in sys.modules else 2
    if verbose not in (0, 1, 2):
        raise ValueError(f"argument 'verbose' expected 0, 1, 2 or 'auto', got {verbose!r}")
    return int(verbose)


def _line(logs: Logs) -> str:
    short = {"learning_rate": "lr"}
    return ", ".join(
        f"{short.get(key, key)}={value:.4g}" for key, value in logs.items() if np.ndim(value) == 0
    )
