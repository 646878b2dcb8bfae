"""The end of training that has failed."""

from __future__ import annotations

import math

from nnx.callbacks.base import Callback, Logs


class TerminateOnNaN(Callback):
    """Ends training once the loss is NaN or infinite.

    The epoch's mean loss so far is looked at, a few times a second and at the end of the epoch: steps cost
    nothing more. A warning of `fit` names the step and the layer where it began.

    Args:
        raise_error: raises RuntimeError instead. `on_train_end` of all callbacks is called all the same: best
            weights are given back, files closed.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = bool(raise_error)

    def on_train_progress(self, samples: int, logs: Logs | None = None) -> None:
        """Looks at the loss so far."""
        self._look(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Looks at the epoch's loss."""
        self._look(logs)

    def _look(self, logs: Logs | None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss) and not self.model.stop_training:
            if self.raise_error:
                raise RuntimeError(f"TerminateOnNaN: the loss is {loss}")
            print(f"TerminateOnNaN: the loss is {loss}, training ends")
            self.model.stop_training = True
