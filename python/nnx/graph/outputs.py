"""Models of several outputs: how they are called, and what `predict` gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnx import _core
from nnx.graph.inputs import expect_names
from nnx.graph.symbol import Symbol


@dataclass(frozen=True)
class Layout:
    """How `forward` returns its outputs."""

    kind: str  # "one", "list", "tuple" or "dict"
    names: tuple[str, ...]

    @property
    def several(self) -> bool:
        """Whether there is more than one output."""
        return len(self.names) > 1

    def packed(self, values: Any) -> Any:
        """Arrays by output, as `forward` returns them: a list, or a dict."""
        if self.kind == "one":
            return values
        arrays = list(values) if self.several else [values]
        return dict(zip(self.names, arrays, strict=True)) if self.kind == "dict" else arrays

    def by_output(self, given: Any, argument: str, partly: bool = False) -> list[Any]:
        """What is given as a list, or a dict by names of outputs, in their order.

        `partly`: a dict may leave outputs out, which get None.
        """
        if isinstance(given, Mapping):
            there = dict.fromkeys(self.names) if partly else {}
            expect_names(self.names, {**there, **given}, argument, "outputs")
            return [given.get(name) for name in self.names]
        count = len(self.names)
        if not isinstance(given, (list, tuple)) or len(given) != count:
            got = len(given) if isinstance(given, (list, tuple)) else "one"
            names = ", ".join(self.names)
            raise ValueError(
                f"argument '{argument}' expected one for each of {count} outputs, {names}, got {got}"
            )
        return list(given)


def flatten(model: Any, output: Any, graph: _core.Graph) -> tuple[list[Symbol], Layout]:
    """The outputs that `forward` returned as a list; TypeError where they are no Symbols."""
    kind = "one" if isinstance(output, Symbol) else type(output).__name__
    symbols: list[Any] = [output]
    if isinstance(output, Mapping):
        kind, symbols = "dict", list(output.values())
    elif isinstance(output, (list, tuple)):
        kind, symbols = "tuple" if isinstance(output, tuple) else "list", list(output)
    wrong = [symbol for symbol in symbols if not isinstance(symbol, Symbol)] or (
        [None] if not symbols else []
    )
    if wrong:
        raise TypeError(
            f"{type(model).__name__}.forward expected to return what a layer or an nnx.ops function gave, or a "
            f"list or a dict of those, got {type(wrong[0] if symbols else output).__name__}"
        )
    if kind == "one":
        return symbols, Layout(kind, ("output",))
    if isinstance(output, Mapping):
        return symbols, Layout(kind, tuple(str(name) for name in output))
    return symbols, Layout(kind, tuple(_names(model, symbols, graph)))


def _names(model: Any, symbols: list[Symbol], graph: _core.Graph) -> list[str]:
    """Those of the layers that gave the outputs; "output_1" where that is none, or one twice."""
    nodes = graph.nodes()
    layers = sorted((name for name, _ in model.children()), key=len, reverse=True)
    found = []
    for symbol in symbols:
        scope = nodes[symbol.node]["scope"]
        found.append(next((name for name in layers if f"{scope}.".startswith(f"{name}.")), ""))
    return [
        name if name and found.count(name) == 1 else f"output_{number + 1}"
        for number, name in enumerate(found)
    ]
