"""Models from files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nnx.model import Model
from nnx.saving import model_file

if TYPE_CHECKING:
    from pathlib import Path


def load(path: str | Path, classes: Iterable[Any] = (), device: str | None = None) -> Model:
    """A model from a file that `Model.save` wrote: it predicts, and trains on, as the one that was saved.

    Nothing in a file is executed: classes of your own are taken from `classes`, or from those given to
    `nnx.register`, by their names.

    Args:
        path: the file.
        classes: classes (and functions) of your own that the model is made of.
        device: "cpu", "cuda", ... as in `compile`; None: where the model was, or, with a warning, the CPU
            where that device is not there.

    Raises:
        ValueError: for a file that is damaged, truncated, foreign or newer than this nnx, and for classes
            that are not known; the message names the file.
        OSError: where the file cannot be read.
    """
    model: Model = model_file.load(path, classes, Model.learning, device)
    return model
