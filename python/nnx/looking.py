"""How models are shown: as text at a prompt, as HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnx import _html, summary
from nnx._config.text import text_of
from nnx.layers.base import Layer
from nnx.training.learner import Learner

_INDENT = "  "


def text(model: Layer) -> str:
    """A line for each layer, under the names that `state_dict` uses; inner models are set in."""
    return "\n".join(_lines(model, "", set()))


def _lines(model: Layer, before: str, above: set[int]) -> Iterator[str]:
    if id(model) in above:
        yield f"{before}{type(model).__name__}(...)"
        return
    children = _children(model)
    if not children:
        yield f"{before}{text_of(model)}"
        return
    yield f"{before}{type(model).__name__}("
    indent = " " * (len(before) - len(before.lstrip())) + _INDENT
    for name, layer in children:
        yield from _lines(layer, f"{indent}({name}): ", above | {id(model)})
    yield f"{indent[: -len(_INDENT)]})"


def _children(layer: Layer) -> list[tuple[str, Layer]]:
    """Each layer directly inside, once."""
    found: dict[int, tuple[str, Layer]] = {}
    for name, child in layer.children():
        found.setdefault(id(child), (name, child))
    return list(found.values())


def html(model: Layer, learner: Learner) -> str:
    """A table of layers: with shapes and parameters once the model is built, else with arguments."""
    heading = f"<b>{_html.escape(type(model).__name__)}</b>"
    if not model.built:
        rows: list[tuple[object, ...]] = [
            (name, type(layer).__name__, _text(layer)) for name, layer in model.walk() if name
        ]
        note = "<div>Not built yet: shapes and parameters are known after build, or fit.</div>"
        return _html.block(heading, _html.table(("Layer", "Type", "Made as"), rows), note)
    cells = summary.cells(learner)
    total, trained = summary.parameters(learner)
    note = f"<div>Parameters: {total:,}, of which {trained:,} are trained; on {_html.escape(learner.device)}</div>"
    return _html.block(heading, _html.table(cells[0][:4], [line[:4] for line in cells[1:]], (3,)), note)


def _text(layer: Any) -> str:
    return type(layer).__name__ + "(...)" if _children(layer) else text_of(layer)
