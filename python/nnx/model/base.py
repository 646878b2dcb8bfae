"""What a model holds: its layers, how it was compiled, how far it has come."""

from __future__ import annotations

from typing import Any

from nnx._checks import integer
from nnx.graph.graphs import Graphs
from nnx.graph.inputs import InputShape
from nnx.layers.base import Layer
from nnx.optimizers import Optimizer
from nnx.saving import snapshot
from nnx.training.activations import name_of
from nnx.training.learner import Learner


class _DirectLayers:
    """The layers directly inside, as a list; gives way to an attribute of the model's own."""

    def __get__(self, model: ModelBase | None, owner: type) -> list[Layer]:
        return [] if model is None else [layer for _, layer in model.children()]


class ModelBase(Layer):
    """The state of a model."""

    layers = _DirectLayers()

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._learner = Learner(Graphs(self))

    def __getstate__(self) -> dict[str, Any]:
        with self._learner.graphs.lock:
            return {**vars(self), "_learner": snapshot.take(self._learner)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _learner=Learner(Graphs(self)))
        snapshot.restore(self._learner, state["_learner"])

    # What the model was compiled with, and how far it has come

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer; None before `compile`."""
        return self._learner.optimizer

    @property
    def loss(self) -> Any:
        """The loss, or those by output as they were given; None before `compile`, or without one."""
        return self._learner.loss

    @property
    def metrics(self) -> Any:
        """The metrics: a list, or, by output, as they were given."""
        return self._learner.metrics

    @property
    def device(self) -> str:
        """The device that weights and programs are on."""
        return self._learner.device

    @property
    def precision(self) -> str:
        """The precision of products, see `compile`."""
        return self._learner.precision

    @property
    def seed(self) -> int | None:
        """The seed of initial weights, shuffles and dropout; None as long as none was needed."""
        return self._learner.state.seed

    @property
    def input_shape(self) -> InputShape | None:
        """The shape of a sample, of several inputs a tuple of shapes; None before the model is built."""
        return self._learner.graphs.input_shape

    @property
    def epoch(self) -> int:
        """The epochs finished since `compile`: the number of the one that trains, or would next."""
        return self._learner.state.epoch

    @property
    def steps_per_epoch(self) -> int | None:
        """How many steps make an epoch where they are taken one by one: as in the last `fit`, or as set here.

        None where no `fit` has told: the epoch then stays, and with it schedules per epoch.
        """
        return self._learner.state.steps_per_epoch

    @steps_per_epoch.setter
    def steps_per_epoch(self, steps: int | None) -> None:
        self._learner.state.steps_per_epoch = (
            None if steps is None else integer(type(self).__name__, "steps_per_epoch", steps)
        )

    @property
    def diagnostics(self) -> list[dict[str, dict[str, float]]]:
        """What the `Diagnostics` callback had measured, of each epoch of the last run: by layer, by quantity."""
        return self._learner.state.diagnostics

    @property
    def stop_training(self) -> bool:
        """Set by a callback, ends `fit` after the current epoch or, from a hook of batches, step."""
        return self._learner.state.stop_training

    @stop_training.setter
    def stop_training(self, stop: bool) -> None:
        self._learner.state.stop_training = bool(stop)

    def get_layer(self, name: str | int | None = None, index: int | None = None) -> Layer:
        """A layer by its name in `state_dict`, "conv2d_1" or "block.dense", or by its number.

        Raises:
            ValueError: where there is none; it names those that there are.
        """
        if (name is None) == (index is None):
            raise ValueError("get_layer: expected a name or an index")
        found = name_of(self, name if index is None else index, "get_layer")
        return dict(self.walk())[found]
