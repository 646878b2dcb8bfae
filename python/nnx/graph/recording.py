"""Models without a class: what is called on `Input`s is noted down, to be called again when a model is traced."""

from __future__ import annotations

import functools
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nnx import _core
from nnx._types import Shape
from nnx.graph.symbol import Symbol, Trace

# Methods of a graph that make no node of a model's own.
_ASIDE = ("input", "nodes", "parameter", "scope", "shape")
_serials = itertools.count()


class Node(int):
    """A node's number in the recording graph, which knows the call that it came from."""

    call: Call
    place: int  # among the call's results


class Numbered(int):
    """The number of a dropout: another one in each trace."""


@dataclass
class Call:
    """A call of a layer, or of a graph's method, with its arguments; or, without a target, an input."""

    target: Any
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)
    shape: Shape | None = None  # of an input
    name: str | None = None
    serial: int = field(default_factory=functools.partial(next, _serials))

    def result(self, number: int, place: int = 0) -> Node:
        """One of the nodes that came of it."""
        node = Node(number)
        node.call, node.place = self, place
        return node

    def before(self) -> Iterator[Call]:
        """The calls whose results it takes."""
        for node in nodes_in((self.arguments, self.named)):
            yield node.call


def nodes_in(value: Any) -> Iterator[Node]:
    """The nodes among arguments."""
    if isinstance(value, Symbol):
        value = value.node
    if isinstance(value, Node):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from nodes_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from nodes_in(item)


class _Graph:
    """The recording trace's graph: the core's own, whose calls are noted."""

    def __init__(self, trace: Recording) -> None:
        self.inner = _core.Graph()
        self._trace = weakref.ref(trace)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        trace = self._trace()
        if name in _ASIDE or trace is None or trace.depth:
            return method

        def noted(*arguments: Any, **named: Any) -> Any:
            return Call(name, arguments, named).result(method(*arguments, **named))

        return noted


class Recording(Trace):
    """A trace outside of any model. Layers that are called are built, and noted as a whole."""

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _current: ClassVar[weakref.ref[Recording] | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.graph: Any = _Graph(self)

    @classmethod
    def current(cls) -> Recording:
        """That of all inputs which are in use."""
        with cls._lock:
            trace = None if cls._current is None else cls._current()
            if trace is None:
                trace = cls()
                cls._current = weakref.ref(trace)
            return trace

    def next_dropout(self) -> int:
        """A number to be given anew."""
        return Numbered(super().next_dropout())

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def parameter(self, weight: Any) -> int:
        """The node of a weight, inside of its layer."""
        if not self.depth:
            raise TypeError("a weight can be used in a layer's forward alone: make a layer of it")
        return super().parameter(weight)

    def run(self, layer: Any, shape: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What a layer puts out, noted as one call."""
        if self.depth:
            return super().run(layer, shape, inputs, named)
        with self._inside():
            output = super().run(layer, shape, inputs, named)
        as_in_prediction = {"training": False} if self.predicts else {}
        call, places = Call(layer, inputs, {**named, **as_in_prediction}), itertools.count()

        def mark(value: Any) -> Any:
            return Symbol(self, call.result(value.node, next(places)), value.activation, value.bounds)

        return mapped(mark, output, Symbol)


def mapped(function: Callable[[Any], Any], value: Any, cls: Any) -> Any:
    """A value with each of its parts that is of a class replaced by what function makes of it."""
    if isinstance(value, cls):
        return function(value)
    if isinstance(value, (list, tuple)):
        items = [mapped(function, item, cls) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, Mapping):
        return {key: mapped(function, item, cls) for key, item in value.items()}
    return value


def Input(shape: Any, name: str | None = None, dtype: Any = None, batch_size: int | None = None) -> Symbol:
    """An input of a model that is made without a class: layers, models and `nnx.ops` take it.

        x = nnx.Input((28, 28, 1))
        h = nnx.Flatten()(nnx.Conv2D(8, 3, activation="relu")(x))
        model = nnx.Model(inputs=x, outputs=nnx.Dense(10)(h))

    Args:
        shape: of a sample, without the batch axis.
        name: the name under which a dict of arrays has it.
        dtype: taken as in Keras, and not needed: arrays of any dtype are taken.
        batch_size: likewise.

    Raises:
        ValueError, TypeError: for a shape that is none: every extent has to be known.
    """
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(isinstance(n, bool) or not hasattr(n, "__index__") or n < 1 for n in extents):
        raise ValueError(
            f"Input: argument 'shape' expected extents of at least 1, without the batch axis, got {shape}"
        )
    if name is not None and (not isinstance(name, str) or not name):
        raise ValueError(f"Input: argument 'name' expected a str that is not empty, got {name!r}")
    trace = Recording.current()
    extents = tuple(int(n) for n in extents)
    call = Call(None, shape=extents, name=name)
    return Symbol(trace, call.result(trace.graph.input(extents)))


def is_input(symbol: Any) -> bool:
    """Whether a Symbol is one that `Input` gave."""
    return isinstance(symbol, Symbol) and isinstance(symbol.node, Node) and symbol.node.call.target is None


def calls_of(inputs: list[Symbol], outputs: Any) -> list[Call]:
    """The calls that lead from inputs to outputs, as they were made; ValueError for an input that is missing."""
    given = {id(symbol.node.call) for symbol in inputs}  # type: ignore[attr-defined]
    found: dict[int, Call] = {}
    waiting = [node.call for node in nodes_in(outputs)]
    while waiting:
        call = waiting.pop()
        if id(call) in found or id(call) in given:
            continue
        if call.target is None:
            what = f"'{call.name}'" if call.name else f"of shape {call.shape}"
            raise ValueError(
                f"Model: argument 'inputs' expected all inputs of the outputs; the Input {what} is missing"
            )
        found[id(call)] = call
        waiting.extend(call.before())
    return sorted(found.values(), key=lambda call: call.serial)
