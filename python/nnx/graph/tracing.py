"""From a `forward` to a graph."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nnx import _core
from nnx._types import Shape
from nnx.graph import inputs
from nnx.graph.inputs import InputShape
from nnx.graph.outputs import Layout, flatten
from nnx.graph.specs import Penalty, Specs, of_weights
from nnx.graph.symbol import Symbol, Trace
from nnx.graph.weight import Weight


class Traceable(Protocol):
    """What this room takes of a layer or a model."""

    trainable: bool
    learning_rate_multiplier: float
    built: bool
    own_weights: list[Weight]

    @property
    def weights(self) -> list[Weight]:
        """All weights, those of inner layers included."""

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""

    def walk(self) -> Iterator[tuple[str, Traceable]]:
        """The layer itself under the name "", and every layer inside it once."""

    def children(self) -> Iterator[tuple[str, Traceable]]:
        """The layers directly inside, with their names."""

    def regularizer_of(self, weight: Weight) -> Penalty | None:
        """The regularizer of one of the layer's own weights."""

    @property
    def forward(self) -> Any:
        """The output, from Symbols."""


@dataclass(frozen=True)
class Traced:
    """A model's graph for one input shape; weights are numbered as in `store`, or, without one, in order of use."""

    graph: _core.Graph
    outputs: tuple[Symbol, ...]
    layout: Layout
    weights: list[Weight]
    input_shape: InputShape
    store: _core.Parameters | None
    specs: Specs = field(default_factory=list)  # what layers say of the weights in `store`

    @property
    def output(self) -> Symbol:
        """The only output, or the first."""
        return self.outputs[0]

    @functools.cached_property
    def output_shape(self) -> Shape:
        """The output's, without the batch axis; of several that of the first."""
        return self.output.sample_shape

    @functools.cached_property
    def nodes(self) -> Any:
        """The outputs' nodes, as the core takes them: one, or a list."""
        nodes = [output.node for output in self.outputs]
        return nodes[0] if len(nodes) == 1 else nodes


def trace(
    model: Traceable,
    input_shape: InputShape,
    store: _core.Parameters | None = None,
    order: Sequence[Weight] = (),
) -> Traced:
    """Walks through `model.forward` once with Symbols of that shape; `order`: the weights in `store`."""
    names = {id(layer): path for path, layer in model.walk() if path}
    places = {id(weight): index for index, weight in enumerate(order)}

    def index_of(weight: Weight) -> int:
        if id(weight) not in places:
            raise RuntimeError(f"{type(model).__name__}.forward uses other weights than when it was built")
        return places[id(weight)]

    record = Trace(names, None if store is None else index_of)
    symbols = [record.input(shape) for shape in inputs.shapes_of(input_shape)]
    output = inputs.call(model, input_shape, symbols)
    specs = [] if store is None else of_weights(model, order)
    symbols, layout = flatten(model, output, record.graph)
    return Traced(record.graph, tuple(symbols), layout, record.weights, input_shape, store, specs)


def named_weights(model: Traceable, used: list[Weight]) -> dict[str, Weight]:
    """All weights by name, "block.conv2d.kernel", in the order of the layers; `used` must be among them."""
    named: dict[str, Weight] = {}
    known: set[int] = set()
    for path, layer in model.walk():
        for weight in layer.own_weights:
            if id(weight) in known:
                continue
            known.add(id(weight))
            name = f"{path}.{weight.name}" if path else weight.name
            if name in named:
                raise ValueError(f"two weights are named '{name}': give the layers names of their own")
            named[name] = weight
    for weight in used:
        if id(weight) not in known:
            raise ValueError(
                f"{type(model).__name__}.forward uses a layer that is no attribute of the model "
                f"(its weight '{weight.name}' of shape {weight.shape}): make layers in __init__"
            )
    return named
