"""Names for layers in a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnx.layers.base import Layer


def numbered(layers: Sequence[Layer]) -> Iterator[tuple[str, Layer]]:
    """Each layer once, under its name or the class's, numbered from the second on: "dense", "dense_1"."""
    taken = {layer.given_name for layer in layers}
    counts: dict[str, int] = {}
    seen: set[int] = set()
    for layer in layers:
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        name = layer.given_name
        while name is None or (layer.given_name is None and name in taken):
            count = counts.get(layer.name, 0)
            counts[layer.name] = count + 1
            name = f"{layer.name}_{count}" if count else layer.name
        yield name, layer
