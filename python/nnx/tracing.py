"""From a model's `forward` to a graph, and from its weights to a parameter store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnx import _core
from nnx._types import Shape
from nnx.layers.base import Layer
from nnx.symbol import Symbol, Trace
from nnx.weight import Weight


@dataclass(frozen=True)
class Traced:
    """A model's graph for one input shape; weights are numbered as in `store`, or, without one, in order of use."""

    graph: _core.Graph
    output: Symbol
    weights: list[Weight]
    input_shape: Shape
    store: _core.Parameters | None


def trace(
    model: Layer,
    input_shape: Shape,
    store: _core.Parameters | None = None,
    order: Sequence[Weight] = (),
) -> Traced:
    """Walks through `model.forward` once with a Symbol of that shape; `order`: the weights in `store`."""
    names = {id(layer): path for path, layer in model.walk() if path}
    places = {id(weight): index for index, weight in enumerate(order)}

    def index_of(weight: Weight) -> int:
        if id(weight) not in places:
            raise RuntimeError(f"{type(model).__name__}.forward uses other weights than when it was built")
        return places[id(weight)]

    record = Trace(names, None if store is None else index_of)
    output = model.forward(record.input(input_shape))
    if not isinstance(output, Symbol):
        raise TypeError(
            f"{type(model).__name__}.forward expected to return what a layer or an nnx.ops function gave, "
            f"got {type(output).__name__}"
        )
    return Traced(record.graph, output, record.weights, input_shape, store)


def named_weights(model: Layer, used: list[Weight]) -> dict[str, Weight]:
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


def frozen(model: Layer) -> set[int]:
    """Ids of the weights that training leaves alone, for a layer around them has trainable = False."""
    ids: set[int] = set()
    for _, layer in model.walk():
        if not layer.trainable:
            ids.update(id(weight) for weight in layer.weights)
    return ids


def common_place(weights: list[Weight]) -> tuple[str, str] | None:
    """The device and dtype of the stores that hold these weights, if all have the same."""
    places = {None if w.store is None else (w.store.device, w.store.dtype.name) for w in weights}
    return places.pop() if len(places) == 1 else None


def holds(store: _core.Parameters, weights: list[Weight]) -> bool:
    """Whether these are the weights of the store, and their values lie there still."""
    return all(
        weight.store is store or (weight.store is not None and store.same(index, weight.store, weight.index))
        for index, weight in enumerate(weights)
    )


def new_store(
    named: dict[str, Weight],
    order: list[Weight],
    fixed: set[int],
    dtype: str,
    device: str,
    seed: int | None,
    before: _core.Parameters | None = None,
) -> _core.Parameters:
    """A new store for the weights, numbered as in `order`.

    Values that lie on the device in that dtype are used where they are, so that other models' stores stay right.
    The optimizer's state comes from `before`, the same model's last store.
    """
    names = {id(weight): name for name, weight in named.items()}
    trainable = [weight.trainable and id(weight) not in fixed for weight in order]
    store = _core.Parameters(
        [names[id(weight)] for weight in order],
        [weight.shape for weight in order],
        trainable,
        dtype,
        device,
        [None if weight.store is None else (weight.store, weight.index) for weight in order],
    )
    for index, weight in enumerate(order):
        if weight.store is None or not store.same(index, weight.store, weight.index):
            store.set(index, weight.value(dtype, seed, index).astype(dtype, copy=False))
        weight.bind(store, index)
    if before is not None:
        stays = [was and now for was, now in zip(before.trainable, trainable, strict=True)]
        for slot in before.states:
            for index in (index for index, stay in enumerate(stays) if stay):
                store.set(index, before.get(index, slot), slot)
    return store


def summary_rows(model: Layer, traced: Traced) -> list[dict[str, Any]]:
    """Name, type, output shape, parameters and FLOPs per sample of each layer, in order of use."""
    layers = dict(model.walk())
    counted: set[int] = set()
    rows: dict[str, dict[str, Any]] = {}
    for node in traced.graph.nodes():
        if node["kind"] == "parameter":
            continue
        scope = node["scope"]
        layer = layers.get(scope)
        kind = type(layer).__name__ if layer is not None and scope else node["kind"]
        row = rows.setdefault(scope or f"({node['kind']})", {"type": kind, "parameters": 0, "flops": 0})
        row["shape"] = tuple(node["shape"])
        row["flops"] += node["flops"]
        for weight in layer.own_weights if layer is not None else []:
            if id(weight) not in counted:
                counted.add(id(weight))
                row["parameters"] += weight.size
    return [{"name": name, **row} for name, row in rows.items()]
