"""What `nnx train` leaves: the folder, the history, and pictures."""

from __future__ import annotations

import csv
import io
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnx._types import NDArray
from nnx.callbacks import History
from nnx.saving import files

_MORE = 1 << 20  # bytes, beside the model's, for history and pictures


def prepare(out: Path, size: int) -> None:
    """Makes the folder, and makes sure that so many bytes can be written there; OSError, ValueError if not."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: expected a folder, and {out} is a file")
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".{secrets.token_hex(4)}.tmp"
        try:
            _fill(probe, size + _MORE)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise type(error)(f"--out: cannot write to {out}: {error.strerror or error}") from None


def _fill(path: Path, size: int) -> None:
    """Writes that much, or has the file system set it aside."""
    with path.open("xb") as stream:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)
        else:
            stream.write(bytes(_MORE))


def write_history(out: Path, history: History) -> str:
    """Writes history.csv, a row for each epoch; its name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history.history])
    writer.writerows(zip([epoch + 1 for epoch in history.epoch], *history.history.values(), strict=True))
    files.write_atomically(out / "history.csv", text.getvalue().encode())
    return "history.csv"


def write_pictures(out: Path, state: dict[str, NDArray], history: History, matrix: NDArray) -> list[str]:
    """Draws what can be drawn, and says what cannot; the names of the pictures."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        from nnx import plots
    except ModuleNotFoundError as error:
        if error.name == "matplotlib":
            error = ModuleNotFoundError("matplotlib is not installed (pip install nnx-native[plot])")
        _say("no pictures", error)
        return []
    except Exception as error:  # noqa: BLE001
        _say("no pictures, matplotlib does not work", error)
        return []
    kernel = next((value for name, value in state.items() if value.ndim == 4), None)
    drawings: dict[str, Callable[[], Any]] = {"confusion.png": lambda: plots.confusion(matrix)}
    if history.epoch:
        drawings["curves.png"] = lambda: plots.curves(history)[0]
    if kernel is not None:
        drawings["filters.png"] = lambda: plots.filters(kernel)
    written = []
    for name, draw in drawings.items():
        try:
            content = io.BytesIO()
            figure = draw().figure
            figure.savefig(content, format="png")
            pyplot.close(figure)
            files.write_atomically(out / name, content.getvalue())
            written.append(name)
        except Exception as error:  # noqa: BLE001
            _say(f"no {name}", error)
    return written


def _say(what: str, error: BaseException) -> None:
    print(f"{what}: {error or type(error).__name__}", file=sys.stderr)
