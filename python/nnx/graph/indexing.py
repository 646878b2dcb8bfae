"""Indices of traced arrays: which elements of each axis a key asks for."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple


class Selection(NamedTuple):
    """Of each axis but the batch's `counts` elements from `starts` on, `steps` apart; then another shape."""

    starts: list[int]
    counts: list[int]
    steps: list[int]
    shape: tuple[int, ...]


def select(key: Any, shape: tuple[int, ...]) -> Selection:
    """What a key asks of an array (N, *shape).

    Raises:
        IndexError: where there are too many indices, or one is out of range.
        TypeError: where an index is no integer, slice, None or Ellipsis.
        ValueError: where the batch axis is indexed, or nothing is left.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    if sum(item is Ellipsis for item in keys) > 1:
        raise IndexError("an index expected one Ellipsis ('...') at most")
    axes = sum(item is not None and item is not Ellipsis for item in keys)
    if axes > len(shape) + 1:
        raise IndexError(f"an index expected at most {len(shape) + 1} axes, the batch axis first, got {axes}")
    place = next((i for i, item in enumerate(keys) if item is Ellipsis), len(keys))
    keys[place : place + 1] = [slice(None)] * (len(shape) + 1 - axes)
    if keys[0] is None or not (isinstance(keys[0], slice) and keys[0] == slice(None)):
        raise ValueError(f"an index expected ':' for the batch axis, which comes first, got {keys[0]!r}")
    selection = Selection([], [], [], ())
    extents: list[int] = []
    axis = 0
    for item in keys[1:]:
        if item is None:
            extents.append(1)
            continue
        start, count, step = _range(item, shape[axis], axis + 1)
        selection.starts.append(start)
        selection.counts.append(count)
        selection.steps.append(step)
        if isinstance(item, slice):
            extents.append(count)
        axis += 1
    return selection._replace(shape=tuple(extents))


def _range(item: Any, extent: int, axis: int) -> tuple[int, int, int]:
    if isinstance(item, slice):
        start, stop, step = item.indices(extent)
        count = len(range(start, stop, step))
        if count == 0:
            raise ValueError(
                f"an index expected elements of axis {axis}, which has {extent}, got none by {item}"
            )
        return start, count, step
    try:
        index = operator.index(item)
    except TypeError:
        raise TypeError(
            f"an index expected integers, slices, None or ..., got {type(item).__name__} for axis {axis}"
        ) from None
    if not -extent <= index < extent:
        raise IndexError(f"index {index} is out of range for axis {axis}, which has {extent} elements")
    return index % extent, 1, 1
