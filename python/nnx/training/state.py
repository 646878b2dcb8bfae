"""All that changes while a model trains, in one object: it is saved, gone on from, and read by callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nnx import seeds
from nnx.training.measurements import Measurements
from nnx.training.totals import Totals


@dataclass
class Record:
    """What a run of `fit` was called with, for one that resumes it to be compared."""

    origin: int  # the epoch that the call's `epochs` count from
    arguments: dict[str, Any] = field(default_factory=dict)  # batch_size, shuffle, ...
    # Of the data: None as long as nobody saved the run or cut it off.
    fingerprints: dict[str, str] | None = None


@dataclass
class RunState:
    """The state of a run.

    The order of an epoch's samples is a function of `seed` and the epoch's number, a dropout mask one of
    `seed` and the step's, so neither is kept.
    """

    seed: int | None = None  # of initial weights, orders and dropout; None: not drawn yet
    epoch: int = 0  # epochs finished: the epoch that trains, or would next
    steps_per_epoch: int | None = None  # as the last `fit` had it, or as it was set; None: unknown
    single_steps: int = 0  # of the epoch going on, taken one by one
    totals: Totals = field(default_factory=Totals)  # of the epoch going on; the place within it
    history: list[tuple[int, dict[str, Any]]] = field(
        default_factory=list
    )  # epochs and their logs, of this run
    measurements: Measurements = field(default_factory=Measurements)  # of the epoch going on
    diagnostics: list[dict[str, dict[str, float]]] = field(default_factory=list)  # of the epochs of this run
    stop_training: bool = False
    running: bool = False  # within a `fit`
    record: Record | None = None  # of the last run
    callbacks: list[dict[str, Any]] = field(default_factory=list)  # their states, of a run that was cut off
    # Brings `record` and `callbacks` up to date while a run goes on.
    look: Callable[[], None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "running": False, "look": None}

    def drawn_seed(self) -> int:
        """The seed, drawn where there is none."""
        if self.seed is None:
            self.seed = seeds.draw()
        return self.seed

    def begin(self, record: Record, look: Callable[[], None]) -> None:
        """A run begins."""
        self.stop_training, self.running = False, True
        self.record, self.look = record, look
        self.history, self.callbacks, self.diagnostics = [], [], []

    def resume(self, look: Callable[[], None]) -> None:
        """A run goes on."""
        self.running, self.look = True, look

    def end(self, cut: bool) -> None:
        """The run is over, or was cut off and may be gone on with."""
        if cut:
            self.update()
        else:
            self.callbacks = []
        self.running, self.look = False, None

    def update(self) -> None:
        """Brings everything up to date, to be kept."""
        if self.look is not None:
            self.look()

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins."""
        self.epoch, self.single_steps = epoch, 0
        self.totals, self.measurements = Totals(), Measurements()

    def end_epoch(self) -> None:
        """The epoch is finished."""
        self.epoch, self.single_steps = self.epoch + 1, 0
        self.totals, self.measurements = Totals(), Measurements()

    def count_step(self) -> None:
        """A step was taken outside `fit`: so many make an epoch."""
        if self.totals.steps:
            self.totals = Totals()  # of an epoch that was cut off: its place is lost
        self.single_steps += 1
        if self.steps_per_epoch is not None and self.single_steps >= self.steps_per_epoch:
            self.end_epoch()
