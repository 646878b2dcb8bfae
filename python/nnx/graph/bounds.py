"""Between which numbers values lie, as far as the graph shows it: so probabilities are told from logits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeAlias

Bounds: TypeAlias = tuple[float, float]

ANY: Bounds = (-math.inf, math.inf)
# Of activations.
OF: dict[str | None, Bounds] = {
    "hard_sigmoid": (0.0, 1.0),
    "relu": (0.0, math.inf),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "step": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}


def added(a: Bounds, b: Bounds) -> Bounds:
    """Those of a sum."""
    return a[0] + b[0], a[1] + b[1]


def multiplied(a: Bounds, b: Bounds) -> Bounds:
    """Those of a product."""
    corners = [x * y if x and y else 0.0 for x in a for y in b]
    return min(corners), max(corners)


def scaled(a: Bounds, factor: float) -> Bounds:
    """Those of a multiple."""
    return multiplied(a, (factor, factor))


def joined(several: Iterable[Bounds]) -> Bounds:
    """Those of values that come from several."""
    lows, highs = zip(*several, strict=True)
    return min(lows), max(highs)


def are_probabilities(a: Bounds) -> bool:
    """Whether they are 0 and 1, or narrower; sums of weights are rounded."""
    return a[0] >= -1e-9 and a[1] <= 1 + 1e-9
