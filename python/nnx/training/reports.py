"""What is told on the way: the core's reports become hooks of callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from nnx.training.state import RunState

INTERVAL = 0.1  # seconds between reports


class Hooks(Protocol):
    """What a run calls: several callbacks as one."""

    def overrides(self, *hooks: str) -> bool:
        """Whether a callback has code of its own for one of these hooks."""

    def call(self, hook: str, *arguments: Any) -> None:
        """Calls a hook of every callback, in order."""

    def measure_every(self) -> int:
        """At every how many steps gradients and activations are to be measured; 0: at none."""

    def states(self) -> list[dict[str, Any]]:
        """What the callbacks would have to know to go on."""

    def set_states(self, states: list[dict[str, Any]], history: list[tuple[int, dict[str, Any]]]) -> None:
        """Gives that back to them, and the epochs that there were."""


class Reporter:
    """Turns the core's reports into hooks of callbacks."""

    def __init__(self, hooks: Hooks, kind: str, state: RunState) -> None:
        self.hooks = hooks
        self.kind = kind  # "train", "test" or "predict"
        self.state = state
        begin, end = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
        self.per_step = hooks.overrides(begin, end)
        self.shows = kind == "train" or hooks.overrides(f"on_{kind}_progress")
        self.steps, self.samples = 0, 0  # of the last report
        self.interval = 0.0 if self.per_step else INTERVAL
        self._last = time.monotonic()

    def batch_begin(self, batch: int) -> None:
        """Before a step."""
        if self.per_step:
            self.hooks.call(f"on_{self.kind}_batch_begin", batch, None)

    def report(
        self, steps: int, samples: int, logs: Callable[[], dict[str, Any]], final: bool, begin_next: bool
    ) -> None:
        """After `steps` steps, or some time; the next step begins with this call where `begin_next`."""
        now = time.monotonic()
        self.steps, self.samples = steps, samples
        due = self.shows and (final or now - self._last >= INTERVAL / 2)
        if not (self.per_step or due):
            return
        values = logs()
        if self.per_step:
            self.hooks.call(f"on_{self.kind}_batch_end", steps - 1, values)
        if due:
            self._last = now
            self.hooks.call(f"on_{self.kind}_progress", samples, values)
        if begin_next and not (self.kind == "train" and self.state.stop_training):
            self.batch_begin(steps)
