"""Columns of CSV files, read through pandas or pyarrow (install `nnx-native[csv]`)."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx._types import NDArray

# What stands for a value that is missing, as pandas has it.
_MISSING = ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
            "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")  # fmt: skip


@dataclass
class Column:
    """A column: numbers, or text, of which those that are `missing` mean nothing."""

    name: str
    values: NDArray  # bool, int64, float64, or object: str
    missing: NDArray

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.values.dtype == object

    def kept(self, rows: NDArray) -> Column:
        """Some rows of it."""
        return column(self.name, self.values[rows], self.missing[rows])


def column(name: str, values: NDArray, missing: NDArray) -> Column:
    """A column of what a reader has found; truth values beside missing ones are truth values still."""
    if values.dtype == object:
        present = values[~missing]
        if len(present) and all(isinstance(value, (bool, np.bool_)) for value in present):
            values = np.where(missing, False, values).astype(bool)
        else:
            values = np.array([str(value).strip() for value in values], dtype=object)
    elif values.dtype.kind == "f" and missing.any():
        whole = np.where(missing, 0.0, values)
        if np.all(whole == np.floor(whole)) and np.all(
            np.abs(whole) < 2.0**53
        ):  # made floats by the gaps alone
            values = whole.astype(np.int64)
    return Column(name.strip(), values, missing)


def read(path: str, separator: str, header: bool, na_values: Sequence[str]) -> list[Column]:
    """The columns of a file; without a header they are called "0", "1", ...

    Raises:
        OSError: where it cannot be opened.
        ValueError: where lines differ in their number of values, or it is no text; it names the file.
        ImportError: where neither pandas nor pyarrow is installed.
    """
    with open(path, "rb") as stream:
        if not stream.read(1):
            raise ValueError(f"{path}: expected a CSV file, and it is empty")
    for module, reader in (("pandas", _by_pandas), ("pyarrow.csv", _by_pyarrow)):
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        try:
            with warnings.catch_warnings():
                return reader(found, path, separator, header, [*na_values])
        except (MemoryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  each reader has errors of its own
            raise ValueError(f"{path}: expected a CSV file: {str(error).strip()[:200]}") from None
    raise ImportError(
        "load_csv: CSV files are read with pandas or pyarrow, and neither is installed (pip install pandas)"
    )


def _by_pandas(pandas: Any, path: str, separator: str, header: bool, na_values: list[str]) -> list[Column]:
    warnings.simplefilter("error", pandas.errors.ParserWarning)  # values that would be left out
    frame = pandas.read_csv(
        path,
        sep=separator,
        header=0 if header else None,
        index_col=False,
        na_values=[*_MISSING, *na_values],
        keep_default_na=False,
        skipinitialspace=True,
        low_memory=False,
    )
    found = []
    for place, name in enumerate(frame.columns):
        series = frame.iloc[:, place]
        values = series.to_numpy()
        values = values if values.dtype.kind in "biuf" else series.astype(object).to_numpy()
        found.append(column(str(name), values, series.isna().to_numpy()))
    return found


def _by_pyarrow(csv: Any, path: str, separator: str, header: bool, na_values: list[str]) -> list[Column]:
    arrow = importlib.import_module("pyarrow")
    table = csv.read_csv(
        path,
        csv.ReadOptions(autogenerate_column_names=not header),
        csv.ParseOptions(delimiter=separator),
        csv.ConvertOptions(null_values=[*_MISSING, *na_values], strings_can_be_null=True),
    )
    found = []
    for place, name in enumerate(table.column_names):
        series = table.column(place)
        kind = arrow.types
        if not (
            kind.is_integer(series.type) or kind.is_floating(series.type) or kind.is_boolean(series.type)
        ):
            series = series.cast(arrow.string())  # dates, times, or nothing at all
        values = series.to_numpy(zero_copy_only=False)
        found.append(column(name if header else str(place), values, series.is_null().to_numpy()))
    return found
