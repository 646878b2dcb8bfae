"""Progress on stderr."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from nnx.callbacks.base import Callback, Logs


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
                leave=False,  # the epoch's line takes its place
                file=sys.stderr,
            )

    def on_train_progress(self, samples: int, logs: Logs | None = None) -> None:
        """Moves the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(numbers_line(logs or {}), refresh=False)
            self._bar.update(samples - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Puts the epoch's line in the place of the bar."""
        self._close()
        if self.verbose:
            print(f"{self._title(epoch)}: {numbers_line(logs or {})}", file=sys.stderr)

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


def numbers_line(logs: Logs) -> str:
    """Loss and metrics in a line."""
    short = {"learning_rate": "lr"}
    return ", ".join(
        f"{short.get(key, key)}={value:.4g}" for key, value in logs.items() if np.ndim(value) == 0
    )
