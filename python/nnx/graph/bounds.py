"""Between which numbers values lie, as far as the graph shows it: so probabilities are told from logits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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


def of(operation: str, operands: Sequence[Bounds]) -> Bounds:
    """Those of an elementwise operation's result; a number c has the bounds (c, c)."""
    a, b = operands[0], operands[-1]
    if operation in OF:
        return OF[operation]
    if operation in ("absolute", "exp", "square", "sqrt"):
        return 0.0, math.inf
    if operation == "add":
        return a[0] + b[0], a[1] + b[1]
    if operation == "subtract":
        return a[0] - b[1], a[1] - b[0]
    if operation == "negate":
        return -a[1], -a[0]
    if operation == "multiply":
        corners = [x * y if x and y else 0.0 for x in a for y in b]
        return min(corners), max(corners)
    if operation == "divide" and b[0] == b[1] != 0:
        return of("multiply", (a, (1.0 / b[0], 1.0 / b[0])))
    if operation in ("maximum", "minimum"):
        choose = max if operation == "maximum" else min
        return choose(a[0], b[0]), choose(a[1], b[1])
    return ANY


def joined(several: Iterable[Bounds]) -> Bounds:
    """Those of values that come from several."""
    lows, highs = zip(*several, strict=True)
    return min(lows), max(highs)


def are_probabilities(a: Bounds) -> bool:
    """Whether they are 0 and 1, or narrower; sums of weights are rounded."""
    return a[0] >= -1e-9 and a[1] <= 1 + 1e-9
