"""What layers put out on the way to the model's output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnx import _core, data
from nnx._checks import integer
from nnx._types import NDArray
from nnx.graph.inputs import listed
from nnx.graph.tracing import Traceable, Traced
from nnx.training import several
from nnx.training.learner import Learner


def activations(learner: Learner, x: Any, layers: Any, batch_size: int) -> dict[str, NDArray]:
    """Outputs of layers by name; see `Model.activations`."""
    parts = several.inputs(learner.graphs.root, x, learner.graphs.input_shape)
    inputs: Any = data.features(x) if parts is None else parts.arrays
    traced = learner.graph(several.shape_of(inputs, () if parts is None else parts.names))
    nodes = _last_nodes(traced)
    names = list(nodes) if layers is None else _names(learner.graphs.root, layers)
    for name in names:
        if name not in nodes:
            raise ValueError(f"activations: layer '{name}' puts out nothing in forward")
    batch = max(1, min(batch_size, len(listed(inputs)[0])))
    assert traced.store is not None
    outputs = {}
    for name in names:
        program = _core.Program(
            traced.graph,
            nodes[name],
            traced.store,
            batch,
            False,
            precision=learner.products,
            averaged=learner.averaged,
        )
        outputs[name] = program.predict(inputs, batch)
    return outputs


def _last_nodes(traced: Traced) -> dict[str, int]:
    """The node that each layer put out last, by the layer's name, in order of use."""
    last: dict[str, int] = {}
    for number, node in enumerate(traced.graph.nodes()):
        if node["kind"] in ("parameter", "input"):
            continue
        parts = node["scope"].split(".") if node["scope"] else []
        for length in range(len(parts), 0, -1):  # the layers around it put out the same
            name = ".".join(parts[:length])
            last.pop(name, None)
            last[name] = number
    return last


def _names(root: Traceable, layers: Any) -> list[str]:
    """The names of layers given as names, numbers or objects."""
    given = [layers] if isinstance(layers, (str, int)) or not isinstance(layers, Iterable) else list(layers)
    return [name_of(root, layer, "activations") for layer in given]


def name_of(root: Traceable, layer: Any, where: str) -> str:
    """The name that a layer goes under in a model: of a name, a number among its layers, or the layer."""
    names = {name: inner for name, inner in root.walk() if name}
    direct = [name for name, _ in root.children()]
    if isinstance(layer, str):
        if layer in names:
            return layer
        raise ValueError(f"{where}: no layer is named '{layer}'; there are {', '.join(names)}")
    if isinstance(layer, int) and not isinstance(layer, bool):
        if not -len(direct) <= layer < len(direct):
            raise ValueError(f"{where}: expected an index of {len(direct)} layers, got {layer}")
        return direct[layer]
    for name, inner in names.items():
        if inner is layer:
            return name
    if not hasattr(layer, "walk"):
        integer(where, "layer", layer)
    raise ValueError(f"{where}: the layer {layer!r} is not in the model; there are {', '.join(names)}")
