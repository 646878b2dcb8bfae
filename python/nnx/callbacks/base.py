"""What every callback is: hooks with Keras's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from nnx._config import Configured

if TYPE_CHECKING:
    from nnx.model import Model

Logs: TypeAlias = dict[str, Any]


class Callback(Configured):
    """The base of all callbacks: override what you need.

    `self.model` is the model that trains, `self.params` a dict with "epochs", "steps" and "samples" of an epoch
    (None where unknown), "validation_freq" (None where there is no validation) and "verbose". `self.model.stop_training = True` ends training after the current epoch, from
    `on_train_batch_end` after the current step. Overriding a hook that runs for each batch makes Python run
    between steps; `on_train_progress`, a few times a second, costs nothing that can be measured.
    """

    model: Model
    params: dict[str, Any]
    measure_every: int | None = None  # steps; for callbacks that read `model.diagnostics`
    after_others: bool = False  # whether its hooks are called after those of all others

    def wants_batches(self) -> bool:
        """Whether hooks of batches that the class overrides are needed, with the arguments that it has."""
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "model"}

    def set_model(self, model: Model) -> None:
        """Called with the model before anything else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called with what `fit` is going to do."""
        self.params = params

    def get_state(self) -> dict[str, Any]:
        """What the callback would have to know to go on in another process: numbers, strings, arrays.

        It is saved with the model while `fit` runs, and given back by `fit(resume=True)` to the callback of
        the same class, after its on_train_begin.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes what `get_state` gave."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, also where an exception or Ctrl-C ends training."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; a learning rate set here holds for it."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; `logs` as in `History`."""

    def on_train_progress(self, samples: int, logs: Logs | None = None) -> None:
        """A few times a second within an epoch: samples seen, and the means over them."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each step."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each step, with the means over the epoch so far."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation, validation included."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation, with its result."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each batch of an evaluation."""

    def on_test_progress(self, samples: int, logs: Logs | None = None) -> None:
        """A few times a second within an evaluation: samples seen, and the means over them."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After a prediction."""

    def on_predict_progress(self, samples: int, logs: Logs | None = None) -> None:
        """A few times a second within a prediction: samples seen."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each batch of a prediction."""
