"""Factors of random changes, as Keras writes them, and what the core takes for them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from nnx._checks import number

Factor: TypeAlias = float | tuple[float, float]
Flip: TypeAlias = Literal["horizontal", "vertical", "horizontal_and_vertical"]
FillMode: TypeAlias = Literal["reflect", "constant", "nearest", "wrap"]
Interpolation: TypeAlias = Literal["bilinear", "nearest"]


def symmetric_range(where: str, argument: str, factor: Any) -> tuple[float, float]:
    """(low, high) of a number f, which means (-f, f), or of a pair; all in [-1, 1]."""
    if isinstance(factor, (tuple, list)):
        if len(factor) != 2:
            raise ValueError(f"{where}: argument '{argument}' expected a number or two, got {factor!r}")
        low, high = (number(where, argument, value, -1, 1) for value in factor)
        return min(low, high), max(low, high)
    bound = abs(number(where, argument, factor, -1, 1))
    return -bound, bound


def contrast_range(where: str, factor: Any) -> tuple[float, float]:
    """(1 - lower, 1 + upper) of one number or (lower, upper), in [0, 1]."""
    if isinstance(factor, (tuple, list)) and len(factor) != 2:
        raise ValueError(f"{where}: argument 'factor' expected a number or two, got {factor!r}")
    pair = factor if isinstance(factor, (tuple, list)) else (factor, factor)
    lower, upper = (number(where, "factor", value, 0, 1) for value in pair)
    return 1 - lower, 1 + upper


def translation_options(
    where: str, height_factor: Any, width_factor: Any, fill_mode: str, interpolation: str, fill_value: float
) -> dict[str, Any]:
    """What `_core.warp` takes for a translation."""
    down = symmetric_range(where, "height_factor", height_factor)
    right = symmetric_range(where, "width_factor", width_factor)
    return {
        "motion": "translation",
        "low": (down[0], right[0]),
        "high": (down[1], right[1]),
        "fill_mode": fill_mode,
        "fill_value": fill_value,
        "interpolation": interpolation,
    }


def rotation_options(
    where: str, factor: Any, fill_mode: str, interpolation: str, fill_value: float
) -> dict[str, Any]:
    """What `_core.warp` takes for a rotation."""
    low, high = symmetric_range(where, "factor", factor)
    return {
        "motion": "rotation",
        "low": (low, 0),
        "high": (high, 0),
        "fill_mode": fill_mode,
        "fill_value": fill_value,
        "interpolation": interpolation,
    }
