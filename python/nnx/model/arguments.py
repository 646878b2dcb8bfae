"""Arguments of a model's methods, brought into one form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from nnx._checks import integer
from nnx.callbacks import Callback

Callbacks: TypeAlias = Callback | Iterable[Callback] | None


def listed(callbacks: Callbacks) -> list[Callback]:
    """One callback, several, or none."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, (str, type)):
        got = callbacks.__name__ if isinstance(callbacks, type) else type(callbacks).__name__
        raise TypeError(f"argument 'callbacks' expected Callback objects, got {got}")
    return list(callbacks)


def optional(where: str, argument: str, value: int | None) -> int | None:
    """None, or an int of at least 1."""
    return None if value is None else integer(where, argument, value)


def frequency(value: int | Iterable[int]) -> int | list[int]:
    """`validation_freq` as a number or a list of epochs counted from 1."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return sorted({integer("fit", "validation_freq", epoch) for epoch in value})
    return integer("fit", "validation_freq", value)
