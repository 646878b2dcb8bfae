"""Models that are made of inputs and outputs, without a class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnx import _core
from nnx._config.arguments import Config
from nnx.graph.recording import Call, Node, Numbered, calls_of, is_input, mapped
from nnx.graph.symbol import Symbol
from nnx.layers.base import Layer
from nnx.layers.naming import numbered
from nnx.model.model import Model

_METHODS = frozenset(name for name in dir(_core.Graph) if not name.startswith("_")) - {
    "input",
    "nodes",
    "parameter",
    "scope",
    "shape",
}


class Functional(Model):
    """What `nnx.Model(inputs, outputs)` makes: layers called as they were called on the inputs.

    Args:
        inputs: an `nnx.Input`, or a list or a dict of those.
        outputs: what came of calling layers, models, operators and `nnx.ops` on them; or a list or a dict.
        name: as of any layer.
        calls: for a model made from a config, in which inputs and outputs are plain values.

    Raises:
        ValueError, TypeError: where an input is none, or one that outputs need is missing.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, calls: Any = None) -> None:
        super().__init__(name)
        if calls is None:
            inputs, outputs, calls = _plain(inputs, outputs)
        self._inputs = [(str(item["name"]), tuple(item["shape"])) for item in inputs]
        self._outputs = outputs
        self._calls = [_checked(call) for call in calls]
        shapes = tuple(shape for _, shape in self._inputs)
        self.build(shapes if len(shapes) > 1 else shapes[0])

    def arguments(self) -> Config:
        """What the constructor would make an equal model of."""
        inputs = [{"name": name, "shape": list(shape)} for name, shape in self._inputs]
        values = {"inputs": inputs, "outputs": self._outputs, "name": self.given_name, "calls": self._calls}
        return values | {
            k: getattr(self, k) for k in self._settings if getattr(self, k) != getattr(type(self), k)
        }

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in order."""
        return [name for name, _ in self._inputs]

    def children(self) -> Iterator[tuple[str, Layer]]:
        """The layers with their names in this model, in the order of their first call."""
        yield from numbered([call["layer"] for call in self._calls if "layer" in call])

    def forward(self, *inputs: Any) -> Any:
        """All calls, in order."""
        if len(inputs) == 1 and isinstance(inputs[0], Mapping):
            inputs = tuple(inputs[0][name] for name in self.input_names)
        elif len(inputs) == 1 and isinstance(inputs[0], (list, tuple)):
            inputs = tuple(inputs[0])
        if len(inputs) != len(self._inputs):
            raise ValueError(
                f"{self.name}: expected {len(self._inputs)} inputs, {', '.join(self.input_names)}, got {len(inputs)}"
            )
        trace = inputs[0].trace
        results: list[list[Symbol]] = [[symbol] for symbol in inputs]
        for call in self._calls:
            if "layer" in call:
                made = call["layer"](
                    *_given(call["arguments"], results, trace), **_given(call["named"], results, trace)
                )
                results.append(_symbols(made))
            else:
                method = getattr(trace.graph, call["op"])
                arguments = _given(call["arguments"], results, trace, nodes=True)
                named = _given(call["named"], results, trace, nodes=True)
                results.append([Symbol(trace, method(*arguments, **named))])
        return _given(self._outputs, results, trace)


def _plain(inputs: Any, outputs: Any) -> tuple[list[Any], Any, list[Any]]:
    """Inputs, outputs and calls as plain values: a node is told by the call it came from."""
    if isinstance(inputs, Mapping):
        named = [(str(key), symbol) for key, symbol in inputs.items()]
    else:
        items = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        named = [("", symbol) for symbol in items]
    for _, symbol in named:
        if not is_input(symbol):
            raise TypeError(
                f"Model: argument 'inputs' expected what nnx.Input gives, got {type(symbol).__name__}"
            )
    if not named:
        raise ValueError("Model: argument 'inputs' expected at least one Input, got none")
    symbols: list[Any] = [symbol for _, symbol in named]
    parts = outputs.values() if isinstance(outputs, Mapping) else outputs
    for part in parts if isinstance(outputs, (list, tuple, Mapping)) else [outputs]:
        if not (isinstance(part, Symbol) and isinstance(part.node, Node)):
            raise TypeError(
                f"Model: argument 'outputs' expected what layers made of nnx.Input, got {type(part).__name__}"
            )
    calls = calls_of(symbols, outputs)
    places = {id(symbol.node.call): k for k, symbol in enumerate(symbols)}
    if len(places) < len(symbols):
        raise ValueError("Model: argument 'inputs' expected each Input once, got one twice")
    places |= {id(call): len(symbols) + k for k, call in enumerate(calls)}

    def about(value: Any) -> Any:
        if isinstance(value, Numbered):
            return {"dropout": int(value)}
        node: Any
        node, activation = (value.node, value.activation) if isinstance(value, Symbol) else (value, None)
        return {"of": places[id(node.call)], "place": node.place, "activation": activation}

    def plain(value: Any) -> Any:
        return mapped(about, value, (Symbol, Node, Numbered))

    names = [key or symbol.node.call.name or f"input_{k + 1}" for k, (key, symbol) in enumerate(named)]
    if len(symbols) == 1 and names[0] == "input_1":
        names = ["input"]
    if len(set(names)) < len(names):
        raise ValueError(f"Model: argument 'inputs' expected names of their own, got {', '.join(names)}")
    described = [
        {"name": name, "shape": list(symbol.sample_shape)}
        for name, symbol in zip(names, symbols, strict=True)
    ]
    return described, plain(outputs), [_about(call, plain) for call in calls]


def _about(call: Call, plain: Any) -> dict[str, Any]:
    target = {"op": call.target} if isinstance(call.target, str) else {"layer": call.target}
    return {**target, "arguments": list(plain(call.arguments)), "named": plain(call.named)}


def _checked(call: Any) -> dict[str, Any]:
    """A call as it is to be made; TypeError for a config that has none."""
    target = call.get("layer", call.get("op"))
    if not (isinstance(target, Layer) if "layer" in call else target in _METHODS):
        raise TypeError(f"Model: argument 'calls' expected layers and operations of nnx, got {target!r}")
    return {**call, "arguments": list(call["arguments"]), "named": dict(call["named"])}


def _given(value: Any, results: list[list[Symbol]], trace: Any, nodes: bool = False) -> Any:
    """Arguments with the results of earlier calls in their places, as Symbols or as nodes."""
    if isinstance(value, Mapping):
        if set(value) == {"of", "place", "activation"}:
            symbol = results[value["of"]][value["place"]]
            if nodes:
                return symbol.node
            if symbol.activation is None and value["activation"] is not None:
                return symbol.derive(symbol.node, value["activation"])
            return symbol
        if set(value) == {"dropout"}:
            return trace.next_dropout()
        return {key: _given(item, results, trace, nodes) for key, item in value.items()}
    if isinstance(value, list):
        return [_given(item, results, trace, nodes) for item in value]
    if isinstance(value, tuple):
        return tuple(_given(item, results, trace, nodes) for item in value)
    return value


def _symbols(value: Any) -> list[Symbol]:
    if isinstance(value, Symbol):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value
    return [symbol for part in parts for symbol in _symbols(part)]


Model._functional = Functional
