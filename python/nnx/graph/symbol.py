"""Symbols stand for arrays while a model's `forward` is traced into a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from nnx import _core
from nnx.graph import bounds
from nnx.graph.bounds import Bounds
from nnx.graph.indexing import select
from nnx.graph.operators import Operators, is_number
from nnx.graph.weight import Weight

_TOO_LARGE = "; the image is no larger here: take a smaller window, fewer pools or strides before it, or padding='same'"


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
        self.reached: set[int] = set()  # ids of layers that were called
        self.dead_ends: set[int] = set()  # nodes that no gradient goes through
        self.losses: dict[
            tuple[int, int], tuple[Any, dict[str, int]]
        ] = {}  # nodes of losses that were traced
        self.predicts = False  # whether what is traced now works as in prediction always

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
        self.reached.add(id(layer))
        self._scopes.append(self._names.get(id(layer), self._scopes[-1]))
        self.graph.scope(self._scopes[-1])
        try:
            yield
        except (TypeError, ValueError) as error:
            self._name_in(error)
            raise
        finally:
            self._scopes.pop()
            self.graph.scope(self._scopes[-1])

    def _name_in(self, error: TypeError | ValueError) -> None:
        """Says in which layer it happened: the innermost."""
        name = self._scopes[-1]
        if name and type(error) in (TypeError, ValueError) and not hasattr(error, "layer"):
            error.layer = name  # type: ignore[union-attr]
            text = str(error)
            error.args = (
                f"layer '{name}': {text}{_TOO_LARGE if 'expected a window within' in text else ''}",
            )


class Symbol(Operators):
    """An array to be: its shape is known, its values come when the program runs.

    `+ - * / **` and `abs` work between symbols and with numbers on either side, by NumPy's rule of broadcasting where
    the numbers of axes are equal; an index takes rows, columns and channels: `x[:, :2]`, `x[..., 0]`, `x[:, ::-1]`.
    Everything else goes through `nnx.ops` and layers; NumPy functions raise TypeError.
    """

    __slots__ = ("activation", "bounds", "node", "trace")

    def __init__(
        self, trace: Trace, node: int, activation: str | None = None, within: Bounds | None = None
    ) -> None:
        self.trace = trace
        self.node = node
        self.bounds = bounds.OF.get(activation, bounds.ANY) if within is None else within
        if activation is None and bounds.are_probabilities(self.bounds):
            activation = "probabilities"
        # What the values went through last; tells losses logits from probabilities.
        self.activation = activation
        if activation == "step":
            trace.dead_ends.add(node)

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

    def derive(self, node: int, activation: str | None = None, within: Bounds | None = None) -> Symbol:
        """Another symbol of the same trace; `within`: its bounds, where they are not those of the activation."""
        return Symbol(self.trace, node, activation, within)

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
        if factor == 1.0:
            return self
        node = self.trace.graph.scale(self.node, float(factor))
        return self.derive(node, within=bounds.of("multiply", (self.bounds, (factor, factor))))

    def apply(self, operation: str, operands: Sequence[Any]) -> Symbol:
        """Operation(operands) element by element, of symbols, numbers and weights, this symbol among them."""
        a, b = operands[0], operands[-1]
        if operation == "negate":
            return self._scaled(-1.0)
        if isinstance(a, Symbol) and is_number(b):
            if operation == "multiply" and np.isfinite(b):
                return a._scaled(b)
            if operation == "divide" and b != 0 and np.isfinite(1.0 / float(b)):
                return a._scaled(1.0 / float(b))
        if operation == "multiply" and is_number(a) and isinstance(b, Symbol) and np.isfinite(a):
            return b._scaled(a)
        alike = isinstance(a, Symbol) and isinstance(b, Symbol) and a.sample_shape == b.sample_shape
        graph = self.trace.graph
        if alike and operation == "subtract":
            return self.apply("add", (a, b._scaled(-1.0)))
        if alike and operation in ("add", "multiply"):
            join = graph.add if operation == "add" else graph.multiply
            node = join(self._node_of(a), self._node_of(b))
        else:
            node = graph.arithmetic(operation, [self._operand(operand) for operand in operands])
        if operation in ("sign", "greater_equal"):
            self.trace.dead_ends.add(node)
        return self.derive(node, within=bounds.of(operation, [_bounds_of(operand) for operand in operands]))

    def _takes(self, other: object) -> bool:
        return isinstance(other, (Symbol, Weight)) or is_number(other)

    def _operand(self, operand: Any) -> int:
        if isinstance(operand, Symbol):
            return self._node_of(operand)
        if isinstance(operand, Weight):
            return self.trace.parameter(operand)
        if is_number(operand):
            return self.trace.graph.constant(float(operand))
        raise TypeError(
            f"expected symbols, numbers or weights made with Layer.add_weight, got {type(operand).__name__}"
        )

    def __getitem__(self, key: Any) -> Symbol:
        shape = self.sample_shape
        starts, counts, steps, result = select(key, shape)
        node = self.node
        if tuple(counts) != shape or any(step != 1 for step in steps):
            node = self.trace.graph.slice(node, starts, counts, steps)
        if result != tuple(counts):
            node = self.trace.graph.reshape(node, result)
        return self.derive(node, within=self.bounds)

    def __iter__(self) -> NoReturn:
        raise TypeError(
            "a Symbol cannot be gone through: the number of its samples is not known while a model is traced"
        )

    def __array__(self, *args: Any, **options: Any) -> NoReturn:
        _refuse("a NumPy function")

    def __bool__(self) -> NoReturn:
        raise TypeError("a Symbol has no value while a model is traced: forward cannot branch on it")

    def __repr__(self) -> str:
        return f"Symbol(shape={self.shape})"


def may_train(x: Any) -> bool:
    """Whether x is traced, by a model that trains and predicts: not called as in prediction always."""
    return isinstance(x, Symbol) and not x.trace.predicts


def _bounds_of(operand: Any) -> Bounds:
    if isinstance(operand, Symbol):
        return operand.bounds
    return (float(operand), float(operand)) if is_number(operand) else bounds.ANY


def _refuse(what: str) -> NoReturn:
    raise TypeError(
        f"{what} cannot take a Symbol, which has no values while a model is traced; "
        "use nnx.ops functions, layers, or the operators + - * / ** abs"
    )
