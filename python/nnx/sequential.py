"""Models that are a row of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnx._types import Shape
from nnx.graph.recording import is_input
from nnx.graph.symbol import Symbol
from nnx.layers.base import Layer
from nnx.layers.naming import numbered
from nnx.model import Model


class Sequential(Model):
    """Layers one after the other: `Sequential(a, b, c)` or `Sequential([a, b, c])`.

    Layers without a name of their own get the class's, numbered from the second on: "dense", "dense_1". Where
    the first layer has an `input_shape`, as Keras's have, or an `nnx.Input` comes before it, the model is built at once.
    """

    def __init__(self, *layers: Layer | Symbol | Sequence[Layer | Symbol], name: str | None = None) -> None:
        super().__init__(name)
        self.layers: list[Layer] = []
        self._shape_in_front: Shape | None = None  # of an Input
        given = [part for item in layers for part in (item if isinstance(item, (list, tuple)) else (item,))]
        self._change(given)

    def add(self, layer: Layer | Symbol) -> None:
        """Puts another layer at the end; before all others it may be an `nnx.Input`.

        A model that is built is built again with it: weights that are there keep their values.

        Raises:
            TypeError: for what is no layer.
            ValueError: for a name that is taken, or, of a model that is built, a layer that does not fit.
            RuntimeError: where the model trains.
        """
        self._change([*self.layers, layer])

    def pop(self) -> Layer:
        """Takes the last layer off; the others keep their weights.

        Returns:
            That layer.

        Raises:
            ValueError: where there is none.
            RuntimeError: where the model trains.
        """
        if not self.layers:
            raise ValueError("Sequential.pop: expected a model with layers, got none")
        last = self.layers[-1]
        self._change(self.layers[:-1])
        return last

    def _change(self, given: Sequence[Any]) -> None:
        """Has these layers from now on; where they do not fit, all is as before."""
        if self._learner.state.running:
            raise RuntimeError(
                "Sequential: the model trains; its layers cannot be changed before that is over"
            )
        layers, in_front = list(given), self._shape_in_front
        if layers and is_input(layers[0]):
            in_front = layers.pop(0).sample_shape
        _check(layers)
        before, shape = self.layers, None
        if layers:
            shape = self.input_shape or in_front or layers[0].first_shape
        self.layers, self._shape_in_front = layers, in_front
        if shape is None and self.input_shape is None:
            return
        try:
            with self._learner.graphs.lock:
                self._learner.rebuild(shape)
        except BaseException:
            self.layers = before
            raise

    def children(self) -> Iterator[tuple[str, Layer]]:
        """The layers with their names in this model."""
        yield from numbered(self.layers)

    def forward(self, x: Any) -> Any:
        """All layers, in order."""
        for layer in self.layers:
            x = layer(x)
        return x


def _check(layers: list[Layer]) -> None:
    names: dict[str, Layer] = {}
    for layer in layers:
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(f"Sequential: expected layers, got the class {layer.__name__}: call it")
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential: expected layers, got {type(layer).__name__}")
        if layer.given_name is not None and names.setdefault(layer.given_name, layer) is not layer:
            raise ValueError(f"Sequential: two layers are named '{layer.given_name}'")
