"""Columns of a table as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from nnx._types import NDArray
from nnx.datasets.columns import Column
from nnx.datasets.dataset import Dataset

_MOST = 100  # values of a column of text that nobody has called categorical


class Encoder:
    """Makes features of columns, by what is in them or as those of a Dataset were made."""

    def __init__(self, file: str, categorical: Literal["auto"] | Sequence[str], like: Dataset | None) -> None:
        self.file = file
        self.categorical = categorical
        self.like = like
        self.categories: dict[str, tuple[Any, ...]] = {} if like is None else dict(like.categories)
        self.feature_names: list[str] = [] if like is None else list(like.feature_names)

    def columns(self, candidates: list[str], by_name: dict[str, Column]) -> list[str]:
        """The columns that features are made of, in their order; ValueError where some are not there."""
        if self.like is None:
            if not candidates:
                raise ValueError(f"{self.file}: expected columns beside the target, and none are left")
            return candidates
        of_category = {feature: name for name in self.categories for feature in self._features(name)}
        used = list(dict.fromkeys(of_category.get(feature, feature) for feature in self.feature_names))
        missing = [name for name in used if name not in by_name]
        if missing:
            raise ValueError(
                f"{self.file}: expected the columns of 'like', and there is no {', '.join(missing)}"
            )
        return used

    def encode(self, columns: list[Column], rows: NDArray) -> NDArray:
        """Features (N, F) float32; `rows` are the numbers of the columns' rows in the file."""
        parts: list[NDArray] = []
        for column in columns:
            if self._is_category(column):
                if column.name not in self.categories:
                    self.categories[column.name] = self._values(column, rows)
                found = self.categories[column.name]
                places = _places(self.file, column, rows, found)
                parts.append(np.eye(len(found), dtype=np.float32)[places])
            else:
                if column.is_text:
                    raise ValueError(
                        f"{self.file}: column {column.name!r} expected numbers, got {column.values[0]!r} in row "
                        f"{rows[0]}: name it in categorical, or in drop"
                    )
                parts.append(numbers(self.file, column, rows)[:, None])
            if self.like is None:
                category = column.name in self.categories
                self.feature_names += self._features(column.name) if category else [column.name]
        return np.concatenate(parts, axis=1)

    def _features(self, name: str) -> list[str]:
        return [f"{name}={value}" for value in self.categories[name]]

    def _is_category(self, column: Column) -> bool:
        if self.like is not None:
            return column.name in self.categories
        return column.is_text if self.categorical == "auto" else column.name in self.categorical

    def _values(self, column: Column, rows: NDArray) -> tuple[Any, ...]:
        found = distinct(column)
        if self.categorical != "auto":
            return found
        expect_no_numbers(self.file, column, rows)
        if len(found) > _MOST or len(found) == len(rows) > 10:
            what = (
                "a different one in every row" if len(found) == len(rows) else f"{len(found)} different ones"
            )
            raise ValueError(
                f"{self.file}: column {column.name!r} has text, {what}, {found[0]!r} say: leave it out by "
                f"drop=[{column.name!r}], or list it in categorical"
            )
        return found


def labelled(
    file: str, column: Column, rows: NDArray, known: tuple[str, ...] | None
) -> tuple[NDArray, tuple[str, ...]]:
    """Labels (N,) int64 and the names of the classes, which are the values sorted, or those `known`."""
    if known is None:
        if column.is_text:
            expect_no_numbers(file, column, rows)
        found = distinct(column)
        return _places(file, column, rows, found), tuple(map(str, found))
    return _places(file, column, rows, known), known


def numbers(file: str, column: Column, rows: NDArray) -> NDArray:
    """A column of numbers (N,) float32; ValueError names what is none, or too large."""
    if column.is_text:
        expect_no_numbers(file, column, rows)
        raise ValueError(
            f"{file}: column {column.name!r} expected numbers, got {column.values[0]!r} in row {rows[0]}"
        )
    with np.errstate(over="ignore"):
        values = column.values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"{file}: column {column.name!r} expected finite numbers that float32 holds, got "
            f"{column.values[bad[0]]} in row {rows[bad[0]]}"
        )
    return values


def distinct(column: Column) -> tuple[Any, ...]:
    """The different values, sorted, as Python has them."""
    return tuple(sorted(set(column.values.tolist())))


def expect_no_numbers(file: str, column: Column, rows: NDArray) -> None:
    """ValueError where more than half of a column of text are numbers: it names the first that is none."""
    other = [place for place, value in enumerate(column.values) if not _is_number(value)]
    if other and len(other) < len(column.values) / 2:
        value = column.values[other[0]]
        raise ValueError(
            f"{file}: column {column.name!r} expected numbers, got {value!r} in row {rows[other[0]]}: where that "
            f"stands for a missing value, give na_values=[{value!r}]"
        )


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _places(file: str, column: Column, rows: NDArray, known: tuple[Any, ...]) -> NDArray:
    place = {value: number for number, value in enumerate(known)}
    values = column.values.tolist()
    if known and isinstance(known[0], str):  # numbers in this file, text in the one before
        values = [str(value) for value in values]
    for number, value in enumerate(values):
        if value not in place:
            names = ", ".join(map(str, known[:10])) + (", ..." if len(known) > 10 else "")
            raise ValueError(
                f"{file}: column {column.name!r} expected one of {names}, got {value!r} in row {rows[number]}"
            )
    return np.array([place[value] for value in values], dtype=np.int64)
