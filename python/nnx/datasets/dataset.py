"""What loaders of folders and tables give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnx import data
from nnx._checks import number
from nnx._types import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples to train on and, where some were held out, to validate with.

        data = nnx.datasets.load_image_folder("photos", size=64, validation_split=0.2)
        model.fit(*data.train, validation_data=data.validation)

    Attributes:
        x: inputs (N, ...).
        y: targets (N,): labels int64 where there are classes, else numbers; None where no target was asked for.
        x_val: inputs held out (M, ...); None without `validation_split`.
        y_val: targets held out (M,).
        class_names: the names of the classes, in the order of their labels; empty where targets are numbers.
        feature_names: what the columns of x are, of a table.
        categories: the values of each column of a table that was made into columns of zeros and ones.
    """

    x: NDArray
    y: NDArray | None
    x_val: NDArray | None = None
    y_val: NDArray | None = None
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    categories: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def train(self) -> tuple[NDArray, NDArray | None]:
        """(x, y), for `fit` and `evaluate`."""
        return self.x, self.y

    @property
    def validation(self) -> tuple[NDArray, NDArray | None] | None:
        """(x_val, y_val), for `fit`'s validation_data; None where nothing was held out."""
        return None if self.x_val is None else (self.x_val, self.y_val)

    def __repr__(self) -> str:
        arrays = {"x": self.x, "y": self.y, "x_val": self.x_val, "y_val": self.y_val}
        parts = [f"{name}: {a.dtype} {a.shape}" for name, a in arrays.items() if a is not None]
        if self.class_names:
            names = list(self.class_names[:8]) + (["..."] if len(self.class_names) > 8 else [])
            parts.append(f"classes: {', '.join(names)}")
        return f"Dataset({'; '.join(parts)})"


def split_rows(
    where: str, samples: int, share: float, classes: NDArray | None, seed: int
) -> tuple[NDArray, NDArray | None]:
    """Rows to train on, and those held out, each class in proportion; all and None for a share of 0."""
    if number(where, "validation_split", share) == 0:
        return np.arange(samples), None
    try:
        return data.split(samples, share, classes, seed)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
