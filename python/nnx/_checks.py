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


def sample_shape(where: str, argument: str, value: Any) -> tuple[int, ...]:
    """The shape of a sample; a leading None, Keras's batch axis, is left off."""
    if isinstance(value, (int, np.integer)) or not isinstance(value, (tuple, list, np.ndarray)):
        hint = f": write ({value},)" if isinstance(value, (int, np.integer)) else ""
        raise TypeError(
            f"{where}: argument '{argument}' expected the shape of a sample, (4,) or (28, 28, 1) say, "
            f"got {value!r}{hint}"
        )
    axes = list(value)[1:] if len(value) > 0 and value[0] is None else list(value)
    if None in axes:
        raise ValueError(
            f"{where}: argument '{argument}' expected a number for every axis of a sample, got {tuple(value)}: only "
            "the batch axis in front may be None; where images vary in size, give the size of some"
        )
    return tuple(integer(where, argument, n) for n in axes)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning that points to the line outside of nnx that it comes from."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "nnx":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
