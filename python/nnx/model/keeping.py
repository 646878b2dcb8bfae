"""Models that are kept: saved, loaded, moved, their weights read and set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from nnx._types import NDArray
from nnx.graph.weight import assign_all, expect_arrays
from nnx.model.base import ModelBase
from nnx.saving import model_file, weights_file
from nnx.training import devices
from nnx.training.learner import Learner

if TYPE_CHECKING:
    from pathlib import Path

if TYPE_CHECKING:
    from typing_extensions import Self


class KeptModel(ModelBase):
    """A model with its weights and files."""

    _hidden = ("learning",)

    def to(self, device: str) -> Self:
        """Moves weights, the optimizer's state and all further work to a device; clocks go on.

        Args:
            device: as in `compile`.

        Returns:
            The model itself.

        Raises:
            ValueError: where the device is not there, or does not compute in the model's precision.
            RuntimeError: where the model trains.
        """
        if self._learner.state.running:
            raise RuntimeError("to: the model trains; it cannot be moved before that is over")
        place = devices.resolve_device(device)
        devices.check_precision(self._learner.precision, place)
        self._learner.move(place)
        return self

    # Keeping

    def learning(self) -> Learner:
        """How the model learns, for the rooms that keep it."""
        return self._learner

    def save(self, path: str | Path) -> None:
        """Writes the whole model to one .safetensors file, which `nnx.load` reads.

        In it are architecture, weights, optimizer with its state, schedule, clocks, seed, and, while `fit` runs
        or after it was cut off, the place within the epoch: `fit(resume=True)` goes on from there. The file is
        whole or not written at all.

        Args:
            path: the file; one that is there is replaced.

        Raises:
            TypeError: where a layer has an argument that cannot be written, a lambda say.
            OSError: where the file cannot be written; one that was there is as it was.
        """
        with self._learner.graphs.lock:
            model_file.save(self, self._learner, path)

    def save_weights(self, path: str | Path) -> None:
        """Writes the weights alone, under the names of `state_dict`, to a .safetensors file.

        Raises:
            ValueError: before the model is built.
            OSError: where the file cannot be written; one that was there is as it was.
        """
        with self._learner.graphs.lock:
            weights_file.save(self.state_dict(), path)

    def load_weights(self, path: str | Path, strict: bool = True) -> weights_file.Difference:
        """Sets the weights from a file that `save_weights` or `save` wrote, or any .safetensors file.

        All are set or, where the file does not fit, none. The optimizer's state and the clocks stay.

        Args:
            path: the file.
            strict: whether file and model must have the same names; else those that both have are set.

        Returns:
            The names that are `missing` in the file, and those in it that are `unexpected`.

        Raises:
            ValueError: for a damaged or foreign file, and for names or shapes that do not fit: it lists them.
            OSError: where the file cannot be read.
        """
        with self._learner.graphs.lock:
            return weights_file.load(self._learner.graphs.named_weights(), path, strict)

    # Weights

    def state_dict(self, averaged: bool = False) -> dict[str, NDArray]:
        """Copies of all weights by name, {"dense.kernel": ...}; averaged: as their averages, see `Optimizer.ema`."""
        if averaged:
            return self._learner.averages()
        self._learner.bound()  # a value drawn now is drawn from the model's seed
        return {name: weight.numpy() for name, weight in self._learner.graphs.named_weights().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets all weights, or none: ValueError lists what is missing, unexpected or of another shape."""
        named = self._learner.graphs.named_weights()
        try:
            expect_arrays(named, state)
        except ValueError as error:
            raise ValueError(f"load_state_dict: {error}") from None
        assign_all(named.values(), [state[name] for name in named])

    def get_weights(self) -> list[NDArray]:
        """Copies of all weights, in the order of `state_dict`."""
        return list(self.state_dict().values())

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Sets all weights, or none, from a list as `get_weights` gives it."""
        names = list(self._learner.graphs.named_weights())
        if len(weights) != len(names):
            raise ValueError(f"set_weights: expected {len(names)} arrays, got {len(weights)}")
        self.load_state_dict(dict(zip(names, weights, strict=True)))

    def count_params(self) -> int:
        """The number of elements of all weights, trained or not; ValueError before the model is built."""
        return sum(weight.size for weight in self._learner.graphs.named_weights().values())
