"""The end of training that has failed."""

from __future__ import annotations

import math

from nnx.callbacks.base import Callback, Logs


class TerminateOnNaN(Callback):
    """Ends training once the loss is NaN or infinite.

    The epoch's mean loss so far is looked at, a few times a second and at the end of the epoch: steps cost
    nothing more. A warning of `fit` names the step and the layer where it began.
    """

    def on_train_progress(self, samples: int, logs: Logs | None = None) -> None:
        """Looks at the loss so far."""
        self._look(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Looks at the epoch's loss."""
        self._look(logs)

    def _look(self, logs: Logs | None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss) and not self.model.stop_training:
            print(f"TerminateOnNaN: the loss is {loss}, training ends")
            self.model.stop_training = True
