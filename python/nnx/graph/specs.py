"""What layers say of their weights, for the core: penalties, and factors on the learning rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from nnx.graph.weight import Weight

Specs: TypeAlias = list[tuple[float, float, float]]  # l1, l2, factor on the learning rate

_NOTHING = (0.0, 0.0, 1.0)


class Penalty(Protocol):
    """What this room takes of a regularizer."""

    l1: float
    l2: float


class Speaking(Protocol):
    """What it takes of a layer."""

    learning_rate_multiplier: float
    own_weights: list[Weight]

    def children(self) -> Iterator[tuple[str, Any]]:
        """The layers directly inside, with their names."""

    def regularizer_of(self, weight: Weight) -> Penalty | None:
        """The regularizer of one of the layer's own weights."""


def of_weights(model: Speaking, order: Sequence[Weight]) -> Specs:
    """For each of the weights, in that order; empty where no layer says anything.

    A weight of several layers is the first one's, and a layer inside several others is inside the first.
    """
    found: dict[int, tuple[float, float, float]] = {}
    seen: set[int] = set()

    def visit(layer: Speaking, factor: float) -> None:
        seen.add(id(layer))
        factor *= layer.learning_rate_multiplier
        for weight in layer.own_weights:
            penalty = layer.regularizer_of(weight)
            l1, l2 = (0.0, 0.0) if penalty is None else (penalty.l1, penalty.l2)
            found.setdefault(id(weight), (l1, l2, factor))
        for _, child in layer.children():
            if id(child) not in seen:
                visit(child, factor)

    visit(model, 1.0)
    specs = [found.get(id(weight), _NOTHING) for weight in order]
    return [] if all(spec == _NOTHING for spec in specs) else specs
