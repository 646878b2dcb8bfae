"""Tables in CSV files, as arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

import numpy as np

from nnx import seeds
from nnx._checks import path as checked_path
from nnx._checks import warn
from nnx._types import NDArray
from nnx.datasets import columns as reading
from nnx.datasets.columns import Column
from nnx.datasets.dataset import Dataset, split_rows
from nnx.datasets.encoding import Encoder, labelled, numbers

_HERE = "load_csv"


def load_csv(
    path: str | os.PathLike[str],
    target: str | int | Sequence[str] | None,
    validation_split: float = 0.0,
    categorical: Literal["auto"] | Sequence[str] = "auto",
    drop: Sequence[str] = (),
    seed: int = 0,
    separator: str = ",",
    header: bool = True,
    na_values: Sequence[str] = (),
    missing: Literal["error", "drop"] = "error",
    like: Dataset | None = None,
) -> Dataset:
    """The table in a CSV file, as features and targets.

    Numbers and truth values become a column of x each, text a column of zeros and ones for each of its values.
    A target of text or truth values becomes labels, in the order of the sorted names; one of whole numbers stays
    as it is, for labels or for regression; other numbers are float32.

    Args:
        path: the file.
        target: the column to predict, by name or place (-1 is the last); several names for several numbers; None
            where there is none.
        validation_split: the share of rows to hold out, drawn at random, each class in proportion.
        categorical: the columns whose values are categories, numbers or not, of the target too; "auto": all text.
        drop: columns to leave out, such as names and numbers of rows.
        seed: of the draw of rows to hold out.
        separator: what stands between values.
        header: whether the first line has the names; without, columns are called "0", "1", ...
        na_values: what else stands for a missing value, "?" say, beside nothing, "NA", "NaN", "null" and the like.
        missing: "error", or "drop" to leave rows with missing values out.
        like: what was loaded before: columns, categories and classes are taken from there, as for a file of tests.

    Returns:
        A Dataset: x (N, F) float32, y (N,), class_names, feature_names, categories, and where rows were held out
        x_val and y_val.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for values that are missing, not finite, or no numbers where others are; it names column and
            row, counted from 0 without the header. For text of very many values: drop it, or list it as categorical.
        ImportError: where neither pandas nor pyarrow is installed.
    """
    file = checked_path(_HERE, "path", path)
    seed = seeds.check(seed)
    if missing not in ("error", "drop"):
        raise ValueError(f"{_HERE}: argument 'missing' expected 'error' or 'drop', got {missing!r}")
    if not isinstance(separator, str) or len(separator) != 1:
        raise ValueError(f"{_HERE}: argument 'separator' expected one character, got {separator!r}")
    if categorical != "auto" and isinstance(categorical, str):
        categorical = (categorical,)
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    found = _read(file, separator, header, na_values)
    by_name = {column.name: column for column in found}
    targets = _targets(file, found, target)
    named = {"drop": drop, "categorical": () if categorical == "auto" else categorical}
    for argument, names in named.items():
        unknown = [str(name) for name in names if name not in by_name]
        if unknown:
            raise ValueError(
                f"{file}: argument '{argument}' expected columns among {', '.join(by_name)}, "
                f"got {', '.join(unknown)}"
            )
    encoder = Encoder(file, categorical, like)
    used = encoder.columns([name for name in by_name if name not in (*drop, *targets)], by_name)
    rows = _complete(
        file, [column for column in found if column.name in (*used, *targets)], missing == "drop"
    )
    table = {name: by_name[name].kept(rows) for name in (*used, *targets)}
    x = encoder.encode([table[name] for name in used], rows)
    y, class_names = _target(file, [table[name] for name in targets], rows, categorical, like)
    classes = y if y is not None and y.dtype == np.int64 else None
    train, held_out = split_rows(_HERE, len(x), validation_split, classes, seed)
    return Dataset(
        x if held_out is None else x[train],
        y if y is None or held_out is None else y[train],
        None if held_out is None else x[held_out],
        None if y is None or held_out is None else y[held_out],
        class_names,
        tuple(encoder.feature_names),
        encoder.categories,
    )


def _read(file: str, separator: str, header: bool, na_values: Sequence[str]) -> list[Column]:
    given = (na_values,) if isinstance(na_values, str) else tuple(na_values)
    found = reading.read(file, separator, header, given)
    names = [column.name for column in found]
    if len(names) == 1:
        other = next((mark for mark in (";", "\t", "|", ",") if mark != separator and mark in names[0]), None)
        if other is not None:
            raise ValueError(
                f"{file}: expected values between {separator!r}, and the first line is {names[0]!r}: give "
                f"separator={other!r}"
            )
    if header and all(_is_number(name) for name in names):
        raise ValueError(f"{file}: expected names in the first line, and they are numbers: give header=False")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{file}: expected columns of different names, and {', '.join(twice)} comes twice")
    if not len(found[0].values):
        raise ValueError(f"{file}: expected rows below the names, and there are none")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _targets(file: str, found: list[Column], target: str | int | Sequence[str] | None) -> list[str]:
    names = [column.name for column in found]
    if target is None:
        return []
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
        if not -len(names) <= target < len(names):
            raise ValueError(f"{file}: argument 'target' expected one of {len(names)} columns, got {target}")
        return [names[target]]
    wanted = [target] if isinstance(target, str) else target
    if not isinstance(wanted, (list, tuple)) or not wanted:
        raise TypeError(f"{_HERE}: argument 'target' expected a column's name or place, got {target!r}")
    unknown = [str(name) for name in wanted if name not in names]
    if unknown:
        raise ValueError(
            f"{file}: argument 'target' expected a column among {', '.join(names)}, got {', '.join(unknown)}"
        )
    return list(wanted)


def _complete(file: str, used: list[Column], drop: bool) -> NDArray:
    """The rows without missing values; ValueError, or a warning, names columns and rows that have some."""
    gaps = [(column.name, np.flatnonzero(column.missing)) for column in used if column.missing.any()]
    count = len(used[0].values) if used else 0
    if not gaps:
        return np.arange(count)
    text = ", ".join(
        f"column {name!r} in row {rows[0]}" + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")
        for name, rows in gaps[:5]
    )
    text += f" and {len(gaps) - 5} more columns" if len(gaps) > 5 else ""
    whole = np.ones(count, bool)
    for _, rows in gaps:
        whole[rows] = False
    if not drop or not whole.any():
        raise ValueError(
            f"{file}: expected no missing values, and there are some: {text}; missing='drop' leaves such rows "
            "out, drop=[...] such columns"
        )
    warn(f"{_HERE}: {file}: left out {count - whole.sum()} rows with missing values: {text}")
    return np.flatnonzero(whole)


def _target(
    file: str,
    targets: list[Column],
    rows: NDArray,
    categorical: Literal["auto"] | Sequence[str],
    like: Dataset | None,
) -> tuple[NDArray | None, tuple[str, ...]]:
    if not targets:
        return None, () if like is None else like.class_names
    first = targets[0]
    if len(targets) > 1:
        return np.stack([numbers(file, column, rows) for column in targets], axis=1), ()
    known = None if like is None or not like.class_names else like.class_names
    if known or first.is_text or first.values.dtype == bool or first.name in categorical:
        return labelled(file, first, rows, known)
    if first.values.dtype.kind in "iu":
        return first.values.astype(np.int64), ()
    return numbers(file, first, rows), ()
