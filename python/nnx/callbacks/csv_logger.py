"""The numbers of each epoch in a file."""

from __future__ import annotations

import csv
import os
import warnings
from typing import Any, TextIO

import numpy as np

from nnx._checks import path as checked_path
from nnx.callbacks.base import Callback, Logs
from nnx.callbacks.monitor import without_validation


class CSVLogger(Callback):
    """Writes a line of a CSV file after each epoch: its number, from 0, and the logs, in order of their names.

    Metrics that are no single number, such as the confusion matrix, are written as lists. A run that is resumed
    goes on in the file that is there, after the epochs that it goes on from. Columns are those of the first epoch, or
    of the file that is added to: what is missing later is "NA", what is new is left out, with a warning.

    Args:
        filename: the file.
        separator: between the columns.
        append: adds to a file that is there, without another header.

    Raises:
        OSError: from `fit`, before the first epoch, where the file cannot be written.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(
                f"CSVLogger: argument 'separator' expected a single character, got {separator!r}"
            )
        self.filename = checked_path("CSVLogger", "filename", filename)
        self.separator = separator
        self.append = bool(append)
        self._stream: TextIO | None = None
        self._names: list[str] | None = None
        self._warned = False
        self._position: int | None = None  # after the last line that was written whole
        self._rows: list[str] = []  # lines of this run, for one that resumes it

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the file."""
        self._names, self._rows, self._warned = None, [], False
        from pathlib import Path  # when it is needed: nnx is there sooner

        path = Path(self.filename)
        if self.append and path.exists() and path.stat().st_size:
            with path.open(newline="") as stream:
                header = next(csv.reader(stream, delimiter=self.separator), [])
            self._names = header[1:]
        self._stream = path.open("a" if self.append else "w", newline="")
        self._position = self._stream.tell() if self._stream.seekable() else None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the epoch's line."""
        logs = logs or {}
        if self._names is None:
            names = list(logs)
            if without_validation(self, logs):  # it comes in a later epoch
                names += [f"val_{name}" for name in logs if name != "learning_rate"]
            self._names = sorted(names)
            self._write(["epoch", *self._names])
        new = [name for name in logs if name not in self._names]
        if new and not self._warned:
            self._warned = True
            warnings.warn(
                f"CSVLogger: {self.filename} has no columns for {', '.join(new)}, which are left out",
                UserWarning,
                stacklevel=2,
            )
        self._write([epoch, *(_cell(logs.get(name, "NA")) for name in self._names)])

    def _write(self, cells: list[Any]) -> None:
        assert self._stream is not None
        csv.writer(self._stream, delimiter=self.separator, lineterminator="\n").writerow(cells)
        self._stream.flush()
        if self._position is not None:
            self._position = self._stream.tell()
        self._rows.append(self.separator.join(map(str, cells)))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the file."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def get_state(self) -> dict[str, Any]:
        """What is in the file."""
        return {"names": self._names, "position": self._position, "rows": self._rows}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on after the lines of the epochs that there were."""
        self._names = None if state["names"] is None else list(state["names"])
        self._rows = list(state["rows"])
        assert self._stream is not None
        if self.append:  # what was written after the run was saved is written again
            if state["position"] is not None:
                self._stream.truncate(state["position"])
        else:
            self._stream.writelines(f"{row}\n" for row in self._rows)
            self._stream.flush()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_stream": None}


def _cell(value: Any) -> Any:
    return np.asarray(value).tolist() if np.ndim(value) else value
