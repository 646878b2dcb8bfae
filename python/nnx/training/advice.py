"""What stays as it is when a model trains, and nobody may have meant it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nnx.graph.tracing import Traceable, Traced
from nnx.layers.base import Layer


def standing_still(model: Traceable, traced: Traced) -> Iterator[str]:
    """Why weights will not move, or layers do nothing, in sentences that name them."""
    store = traced.store
    assert store is not None
    trained = {index for index, trains in enumerate(store.trainable) if trains}
    unused = list(_never_called(model, traced.output.trace.reached))
    if model.weights and not trained:
        yield "no weight will move: " + _why_none(model)
    elif trained:
        nodes = traced.graph.nodes()
        dead_ends = traced.output.trace.dead_ends
        ends = [symbol.node for symbol in traced.outputs]
        used = _parameters(nodes, ends, set())
        learning = _parameters(nodes, ends, dead_ends)
        first = [node for node in sorted(dead_ends) if not dead_ends.intersection(nodes[node]["inputs"])]
        steps = [nodes[node]["scope"] or "forward" for node in first]
        if not learning & trained and traced.output.activation == "step":
            yield (
                "the model ends in a step function, whose gradient is 0: no weight will move. Train with 'sigmoid' in "
                f"its place, in {steps[-1]!r}, or set the weights by hand"
            )
        elif behind := _layers(store.names[index] for index in sorted((trained & used) - learning)):
            what = "no weight will move" if not learning & trained else f"{_listed(behind)} will not learn"
            yield f"{what}: a step function, in {_listed(steps)}, comes after, and its gradient is 0"
        lost = _layers(store.names[index] for index in sorted(trained - used))
        if lost:
            yield f"{_listed(lost)} will not learn: called in forward, but nothing of it reaches the output"
    if unused:
        yield f"{_listed(unused)} will not learn: held by the model, but never called in forward"


def _parameters(nodes: list[dict[str, Any]], outputs: list[int], dead_ends: set[int]) -> set[int]:
    """The weights, by their places in the store, that a gradient reaches from the outputs."""
    found: set[int] = set()
    seen: set[int] = set()
    left = list(outputs)
    while left:
        node = left.pop()
        if node in seen or node in dead_ends or node < 0:
            continue
        seen.add(node)
        found.update(nodes[node]["parameters"])
        left.extend(nodes[node]["inputs"])
    return found


def _never_called(model: Traceable, reached: set[int]) -> Iterator[str]:
    """Layers with weights to make, of which nothing was called; the outermost of each."""
    called = {path for path, layer in model.walk() if id(layer) in reached}
    silent: list[str] = []
    for path, layer in model.walk():
        around = any(path.startswith(f"{other}.") for other in silent)
        within = any(other == path or other.startswith(f"{path}.") for other in called)
        if path and not around and not within and _would_learn(layer):
            silent.append(path)
            yield path


def _would_learn(layer: Traceable) -> bool:
    """Whether a layer makes weights, or holds one that does."""
    kinds = [type(inner) for _, inner in layer.walk()]
    leaves = [
        kind for kind in kinds if getattr(kind, "ensure_built", None) is Layer.ensure_built
    ]  # no models
    return any(kind.build is not Layer.build for kind in leaves)


def _why_none(model: Traceable) -> str:
    frozen = [path for path, layer in model.walk() if not layer.trainable and layer.weights]
    if "" in frozen:
        return "trainable is False for the whole model"
    if not frozen:
        return "the model has none that is trained"
    outer = [path for path in frozen if not any(path.startswith(f"{other}.") for other in frozen)]
    return f"trainable is False for {_listed(outer)}; set it to True for those that are to learn"


def _layers(weights: Iterable[str]) -> list[str]:
    """The layers of weights, once each; a weight of the model itself is its own."""
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in weights))


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def flatten_hint(traced: Traced, target_shape: tuple[int, ...]) -> str:
    """The end of a message on targets that do not fit, where a Flatten may be missing."""
    if len(traced.output_shape) <= len(target_shape) or len(traced.output_shape) < 2:
        return ""
    for node in traced.graph.nodes():
        if node["kind"] == "dense" and len(node["shape"]) > 1:
            return f"; layer '{node['scope']}' works along the last axis alone: put nnx.Flatten() before it"
    return "; put nnx.Flatten(), or nnx.GlobalAvgPool2D(), and a Dense layer at the end"
