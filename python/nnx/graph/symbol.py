"""Symbols stand for arrays while a model's `forward` is traced into a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from nnx import _core
from nnx.graph.weight import Weight


class Trace:
    """One walk through `forward`: the graph it builds, and the weights it meets, in order of first use.

    `index_of` gives a weight's place in a parameter store that exists already; without it weights are
    numbered as they come. `names` maps ids of layers to the names their nodes go under.
    """

    def __init__(
        self, names: dict[int, str] | None = None, index_of: Callable[[Weight], int] | None = None
    ) -> None:
        self.graph = _core.Graph()
        self.weights: list[Weight] = []
        self._names = names or {}
        self._index_of = index_of
        self._nodes: dict[int, int] = {}
        self._scopes: list[str] = [""]
        self._dropouts = 0

    def input(self, shape: tuple[int, ...]) -> Symbol:
        """The symbol that `forward` begins with; `shape` is without the batch axis."""
        return Symbol(self, self.graph.input(shape))

    def run(self, layer: Any, shape: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What a layer puts out, built for inputs of that shape where it is not."""
        with self.scope(layer):
            layer.ensure_built(shape)
            return layer.forward(*inputs, **named)

    def parameter(self, weight: Weight) -> int:
        """The node of a weight: one for all its uses."""
        node = self._nodes.get(id(weight))
        if node is None:
            index = self._index_of(weight) if self._index_of else len(self.weights)
            node = self._nodes[id(weight)] = self.graph.parameter(index, weight.shape)
            self.weights.append(weight)
        return node

    def next_dropout(self) -> int:
        """The number of the next dropout node: it tells the masks of one step apart."""
        self._dropouts += 1
        return self._dropouts - 1

    @contextmanager
    def scope(self, layer: Any) -> Iterator[None]:
        """Nodes made inside belong to `layer`, or to the layer around it where this one has no name here."""
        self._scopes.append(self._names.get(id(layer), self._scopes[-1]))
        self.graph.scope(self._scopes[-1])
        try:
            yield
        finally:
            self._scopes.pop()
            self.graph.scope(self._scopes[-1])


class Symbol:
    """An array to be: its shape is known, its values come when the program runs.

    `+`, `-` and `*` work between symbols, `*` and `/` with numbers. Everything else goes through
    `nnx.ops` and layers; NumPy functions raise TypeError.
    """

    __slots__ = ("activation", "node", "trace")

    def __init__(self, trace: Trace, node: int, activation: str | None = None) -> None:
        self.trace = trace
        self.node = node
        self.activation = (
            activation  # what the values went through last; tells losses logits from probabilities
        )

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The batch axis comes first, as None."""
        return (None, *self.trace.graph.shape(self.node))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape without the batch axis."""
        return tuple(self.trace.graph.shape(self.node))

    @property
    def ndim(self) -> int:
        """The number of axes, the batch axis included."""
        return len(self.sample_shape) + 1

    def derive(self, node: int, activation: str | None = None) -> Symbol:
        """Another symbol of the same trace."""
        return Symbol(self.trace, node, activation)

    def parameter(self, value: Any, argument: str) -> int:
        """The node of an op's weight; -1 for None."""
        if value is None:
            return -1
        if isinstance(value, Weight):
            return self.trace.parameter(value)
        raise TypeError(
            f"argument '{argument}' expected a weight made with Layer.add_weight in a traced model, "
            f"got {type(value).__name__}"
        )

    def _node_of(self, other: Symbol) -> int:
        if other.trace is not self.trace:
            raise ValueError("expected symbols of one trace, got two of different models")
        return other.node

    def _scaled(self, factor: float) -> Symbol:
        return self.derive(self.trace.graph.scale(self.node, float(factor)))

    def __add__(self, other: object) -> Symbol:
        if not isinstance(other, Symbol):
            return NotImplemented
        return self.derive(self.trace.graph.add(self.node, self._node_of(other)))

    def __sub__(self, other: object) -> Symbol:
        if not isinstance(other, Symbol):
            return NotImplemented
        return self + other._scaled(-1.0)

    def __mul__(self, other: object) -> Symbol:
        if isinstance(other, Symbol):
            return self.derive(self.trace.graph.multiply(self.node, self._node_of(other)))
        if isinstance(other, (int, float, np.integer, np.floating)):
            return self._scaled(float(other))
        return NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Symbol:
        if isinstance(other, (int, float, np.integer, np.floating)):
            return self._scaled(1.0 / float(other))
        return NotImplemented

    def __neg__(self) -> Symbol:
        return self._scaled(-1.0)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Symbol:
        # numpy scalars try their own multiplication before ours
        if ufunc is np.multiply and method == "__call__" and not options and isinstance(inputs[0], np.number):
            return self * inputs[0]
        _refuse(f"numpy.{ufunc.__name__}")

    def __array__(self, *args: Any, **options: Any) -> NoReturn:
        _refuse("a NumPy function")

    def __bool__(self) -> NoReturn:
        raise TypeError("a Symbol has no value while a model is traced: forward cannot branch on it")

    def __repr__(self) -> str:
        return f"Symbol(shape={self.shape})"


def _refuse(what: str) -> NoReturn:
    raise TypeError(
        f"{what} cannot take a Symbol, which has no values while a model is traced; "
        "use nnx.ops functions, layers, or the operators + - *"
    )
