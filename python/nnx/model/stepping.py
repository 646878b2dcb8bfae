"""Models in one's own hands: single steps, gradients, activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from nnx._checks import integer
from nnx._types import ClassWeight, NDArray
from nnx.model.base import ModelBase
from nnx.training import gradients, steps
from nnx.training.activations import activations as _activations
from nnx.training.gradients import apply_gradients as _apply_gradients


class SteppedModel(ModelBase):
    """A model that is trained step by step."""

    def train_step(self, x: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> float:
        """One step on one batch, for loops of one's own; returns the batch's loss before it.

        It moves the clocks that `fit` moves: `optimizer.iterations`, and every `steps_per_epoch` steps `epoch`.
        """
        with self._learner.graphs.lock:
            return steps.train_step(self._learner, x, y, sample_weight)

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: ClassWeight = None,
    ) -> dict[str, Any]:
        """As `train_step`; returns the batch's loss and metrics before it: {"loss": ..., "accuracy": ...}."""
        with self._learner.graphs.lock:
            return steps.train_on_batch(self._learner, x, y, sample_weight, class_weight)

    def gradients(
        self, x: Any, y: Any, sample_weight: npt.ArrayLike | None = None
    ) -> tuple[float, dict[str, NDArray]]:
        """Loss and gradients of one batch, as a step would have them; weights stay as they are.

        Dropout drops what the next step would, batch norms take the batch's statistics and, as in a forward
        pass of training, move their running ones.

        Args:
            x: inputs (N, ...).
            y: targets.
            sample_weight: (N,).

        Returns:
            The loss, and the gradients of the weights that are trained by their names in `state_dict`, before
            any weight decay or clipping.
        """
        with self._learner.graphs.lock:
            return gradients.gradients(self._learner, x, y, sample_weight)

    def apply_gradients(self, gradients: Mapping[str, npt.ArrayLike | None]) -> None:
        """One step of the compiled optimizer with these gradients; it moves the clocks that `fit` moves.

        A loop of `gradients` and `apply_gradients` is, bit for bit, what `fit` does on the same batches.

        Args:
            gradients: a gradient for each weight that is trained, by name, as `gradients` gives them.

        Raises:
            ValueError: listing gradients that are missing, unexpected, of another shape or not finite; nothing
                has changed then.
        """
        with self._learner.graphs.lock:
            _apply_gradients(self._learner, gradients)

    def activations(self, x: Any, layers: Any = None, batch_size: int = 256) -> dict[str, NDArray]:
        """Outputs of layers by name, in order of use, as in prediction.

        Args:
            x: inputs (N, ...).
            layers: names, indices or layers, several or one; None for all that `forward` uses.
            batch_size: samples at a time.

        Returns:
            Arrays (N, ...); of a layer that is used several times, what it put out last.

        Raises:
            ValueError: for layers that are not in the model; it names those that are.
        """
        size = integer("activations", "batch_size", batch_size)
        with self._learner.graphs.lock:
            return _activations(self._learner, x, layers, size)
