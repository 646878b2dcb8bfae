"""Weights alone as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnx._types import NDArray
from nnx.graph.weight import Weight, assign_all, expect_arrays
from nnx.saving import container
from nnx.saving.container import FileError

if TYPE_CHECKING:
    from pathlib import Path


class Difference(NamedTuple):
    """Names that a file and a model do not share."""

    missing: list[str]  # in the file
    unexpected: list[str]  # by the model


def save(weights: dict[str, NDArray], path: str | Path) -> None:
    """Writes arrays by name."""
    arrays = {name: container.plain(array) for name, array in weights.items()}
    container.write(path, "weights", arrays, {"weights": list(arrays)})


def load(named: dict[str, Weight], path: str | Path, strict: bool) -> Difference:
    """Sets weights from a file of weights, of a whole model, or any .safetensors file with such names.

    All are set or, where anything does not fit, none.
    """
    contents = container.read(path)
    arrays = contents.tensors
    if contents.kind == "model":
        arrays = {name: arrays[name] for name in contents.about.get("weights", []) if name in arrays}
    difference = Difference([n for n in named if n not in arrays], [n for n in arrays if n not in named])
    common = {name: array for name, array in arrays.items() if name in named}
    try:
        if strict:
            expect_arrays(named, arrays)
        else:
            expect_arrays({name: weight for name, weight in named.items() if name in common}, common)
    except ValueError as error:
        fit = all(np.shape(array) == named[name].shape for name, array in common.items())
        raise FileError(f"{path}: {error}{'; strict=False takes those that fit' if fit else ''}") from None
    assign_all([named[name] for name in common], common.values())
    return difference
