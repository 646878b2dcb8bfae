"""All that changes while a model trains, in one object: it is saved, gone on from, and read by callbacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nnx import seeds
from nnx.training.totals import Totals


@dataclass
class RunState:
    """The state of a run.

    The order of an epoch's samples is a function of `seed` and the epoch's number, a dropout mask one of
    `seed` and the step's, so neither is kept.
    """

    seed: int | None = None  # of initial weights, orders and dropout; None: not drawn yet
    epoch: int = 0  # the epoch that trains, or would next
    totals: Totals = field(default_factory=Totals)  # of the epoch going on; its steps are the place within it
    history: list[tuple[int, dict[str, Any]]] = field(
        default_factory=list
    )  # epochs and their logs, of this run
    stop_training: bool = False

    def drawn_seed(self) -> int:
        """The seed, drawn where there is none."""
        if self.seed is None:
            self.seed = seeds.draw()
        return self.seed

    def begin(self) -> None:
        """A run begins."""
        self.stop_training = False
        self.history = []
