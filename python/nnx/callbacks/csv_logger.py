"""The numbers of each epoch in a file."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from nnx.callbacks.base import Callback, Logs


class CSVLogger(Callback):
    """Writes a line of a CSV file after each epoch: its number, from 0, and the logs, in order of their names.

    Metrics that are no single number, such as the confusion matrix, are written as lists. A run that is resumed
    goes on in the file that is there, after the epochs that it goes on from.

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
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = bool(append)
        self._stream: TextIO | None = None
        self._names: list[str] | None = None
        self._rows: list[str] = []  # lines of this run, for one that resumes it

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the file."""
        self._names, self._rows = None, []
        path = Path(self.filename)
        if self.append and path.exists() and path.stat().st_size:
            with path.open(newline="") as stream:
                header = next(csv.reader(stream, delimiter=self.separator), [])
            self._names = header[1:]
        self._stream = path.open("a" if self.append else "w", newline="")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the epoch's line."""
        logs = logs or {}
        if self._names is None:
            self._names = sorted(logs)
            self._write(["epoch", *self._names])
        self._write([epoch, *(_cell(logs.get(name, "NA")) for name in self._names)])

    def _write(self, cells: list[Any]) -> None:
        assert self._stream is not None
        csv.writer(self._stream, delimiter=self.separator, lineterminator="\n").writerow(cells)
        self._stream.flush()
        self._rows.append(self.separator.join(map(str, cells)))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def get_state(self) -> dict[str, Any]:
        """What is in the file."""
        position = None if self._stream is None else self._stream.tell()
        return {"names": self._names, "position": position, "rows": self._rows}

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
