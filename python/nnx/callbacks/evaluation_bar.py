"""Progress of `evaluate` and `predict` on stderr."""

from __future__ import annotations

import sys
from typing import Any

from nnx.callbacks.base import Callback, Logs
from nnx.callbacks.progress_bar import numbers_line


class EvaluationBar(Callback):
    """`verbose` 1 draws a bar, and in the end or with 2 there is a line of results."""

    def __init__(self, title: str, verbose: int, samples: int | None = None) -> None:
        self.title = title
        self.verbose = verbose
        self.samples = samples
        self._seen = 0
        self._bar: Any = None

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Opens the bar."""
        self._seen = 0
        if self.verbose == 1:
            from tqdm import tqdm  # type: ignore[import-untyped]

            self._bar = tqdm(
                total=self.samples,
                desc=self.title,
                unit=" samples",
                unit_scale=True,
                dynamic_ncols=True,
                leave=False,
                file=sys.stderr,
            )

    def on_test_progress(self, samples: int, logs: Logs | None = None) -> None:
        """Moves the bar."""
        if self._bar is not None:
            self._bar.update(samples - self._seen)
        self._seen = samples

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Puts a line in the place of the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        print(f"{self.title}: {numbers_line(logs or {}) or f'{self._seen:,} samples'}", file=sys.stderr)

    on_predict_begin = on_test_begin
    on_predict_progress = on_test_progress
    on_predict_end = on_test_end


def evaluation_bars(title: str, verbose: int, x: Any) -> list[EvaluationBar]:
    """What shows the progress of a call on an array x, or on batches where that is None; nothing if it is silent."""
    samples = len(x) if hasattr(x, "__array__") and hasattr(x, "__len__") else None
    return [EvaluationBar(title, verbose, samples)] if verbose else []
