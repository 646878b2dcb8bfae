"""The order that samples come in."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from nnx import seeds


class Orders:
    """The rows of each epoch, shuffled: a function of seed and epoch.

    With `ahead`, a thread draws the next ones while a GPU is busy with other things.
    """

    def __init__(
        self, rows: int | npt.NDArray[np.int64], seed: int, epochs: range, ahead: bool = False
    ) -> None:
        self._rows = rows
        self._seed = seed
        self._epochs = epochs
        self._ahead = ahead
        self._drawn: dict[int, npt.NDArray[np.int64]] = {}
        self._thread: threading.Thread | None = None
        self._begin(epochs.start)

    def of(self, epoch: int) -> npt.NDArray[np.int64]:
        """Those of an epoch; each is asked for once."""
        if self._thread is not None:
            self._thread.join()
        if epoch not in self._drawn:
            self._draw(epoch)
        order = self._drawn.pop(epoch)
        self._begin(epoch + 1)
        return order

    def _begin(self, epoch: int) -> None:
        if self._ahead and epoch in self._epochs:
            self._thread = threading.Thread(target=self._draw, args=(epoch,), daemon=True)
            self._thread.start()

    def _draw(self, epoch: int) -> None:
        self._drawn[epoch] = seeds.generator(self._seed, epoch).permutation(self._rows)
