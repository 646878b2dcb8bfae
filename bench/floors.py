"""The least time a step can take: operations at the FMA peak, bytes at the memory's rate; see NOTES.md."""

from __future__ import annotations

import math
from dataclasses import dataclass

import models
import nnx
import peaks

FLOAT = 4


@dataclass(frozen=True)
class Cost:
    """What one layer has to do in a step."""

    name: str
    flops: int
    bytes: int
    kept: int  # bytes that live from step to step, or from forward to backward


def training(model: nnx.Sequential, batch: int) -> list[Cost]:
    """Forward, backward and SGD with momentum, layer by layer."""
    costs = []
    first = True
    for part in models.parts(model):
        x, y = (batch * math.prod(shape) for shape in (part.before, part.after))
        if part.kind in ("Conv2D", "Dense"):
            # Forward reads x and the weights and writes y. Backward reads dy, x, weights and velocities, and
            # writes dx, weights and velocities.
            weights = sum(w.size for w in part.layer.weights)
            moved = x + y + weights + (y + x + 4 * weights) + (0 if first else x)
            flops = forward_flops(part, batch) * (2 if first else 3)
            costs.append(Cost(part.kind, flops, FLOAT * moved, FLOAT * (2 * weights + y)))
            first = False
        elif part.kind == "MaxPool2D":
            costs.append(Cost(part.kind, 0, FLOAT * (2 * x + 2 * y), FLOAT * y))
    return costs


def inference(model: nnx.Sequential, batch: int) -> list[Cost]:
    """Forward alone."""
    costs = []
    for part in models.parts(model):
        x, y = (batch * math.prod(shape) for shape in (part.before, part.after))
        if part.kind in ("Conv2D", "Dense", "MaxPool2D"):
            weights = sum(w.size for w in part.layer.weights)
            moved = FLOAT * (x + y + weights)
            costs.append(Cost(part.kind, forward_flops(part, batch), moved, FLOAT * (weights + y)))
    return costs


def forward_flops(part: models.Part, batch: int) -> int:
    """Multiplications and additions; padding counts as if it were data."""
    if part.kind == "Dense":
        return 2 * batch * part.before[-1] * part.after[-1]
    if part.kind == "Conv2D":
        return 2 * batch * math.prod(part.after) * math.prod(part.layer.kernel_size) * part.before[-1]
    return 0


def flops(costs: list[Cost]) -> int:
    """Of all layers together."""
    return sum(cost.flops for cost in costs)


def seconds(costs: list[Cost], flops_per_second: float, threads: int) -> float | None:
    """Layer by layer the larger of the two times; None where the machine's limits could not be measured."""
    rate = peaks.bandwidth(threads, _round_up(sum(cost.kept for cost in costs)))
    if rate is None or not flops_per_second:
        return None
    return sum(max(cost.flops / flops_per_second, cost.bytes / rate) for cost in costs)


def _round_up(size: int) -> int:
    return 1 << max(size - 1, 1).bit_length()
