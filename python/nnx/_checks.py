"""Checks of single arguments: the same words for the same mistakes."""

from __future__ import annotations

import math
import os
import sys
import warnings
from typing import Any, Literal

import numpy as np


def number(
    where: str,
    argument: str,
    value: Any,
    low: float = 0.0,
    high: float = math.inf,
    closed: Literal["both", "left", "neither"] = "both",
) -> float:
    """`value` as a finite float between bounds; `closed` says which of them it may be."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{where}: argument '{argument}' expected a number, got {type(value).__name__}")
    above = value > low if closed == "neither" else value >= low
    below = value <= high if closed == "both" else value < high
    if not (math.isfinite(value) and above and below):
        if high == math.inf:
            bounds = f"{'>' if closed == 'neither' else '>='} {low:g}"
        else:
            bounds = (
                f"in {'(' if closed == 'neither' else '['}{low:g}, {high:g}{']' if closed == 'both' else ')'}"
            )
        raise ValueError(f"{where}: argument '{argument}' expected a finite number {bounds}, got {value}")
    return float(value)


def integer(where: str, argument: str, value: Any, low: int = 1) -> int:
    """`value` as an int of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{where}: argument '{argument}' expected an int, got {type(value).__name__}")
    if value < low:
        raise ValueError(f"{where}: argument '{argument}' expected an int of at least {low}, got {value}")
    return int(value)


def path(where: str, argument: str, value: Any) -> str:
    """`value`, a str or an os.PathLike of one, as a str that is not empty."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text:
        raise TypeError(f"{where}: argument '{argument}' expected a path, got {value!r}")
    return text


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning that points to the line outside of nnx that it comes from."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "nnx":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
