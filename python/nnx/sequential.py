"""Models that are a row of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnx.layers.base import Layer
from nnx.layers.naming import numbered
from nnx.model import Model


class Sequential(Model):
    """Layers one after the other: `Sequential(a, b, c)` or `Sequential([a, b, c])`.

    Layers without a name of their own get the class's, numbered from the second on: "dense", "dense_1".
    """

    def __init__(self, *layers: Layer | Sequence[Layer], name: str | None = None) -> None:
        super().__init__(name)
        self.layers: list[Layer] = []
        for item in layers:
            for layer in item if isinstance(item, (list, tuple)) else (item,):
                self.add(layer)

    def add(self, layer: Layer) -> None:
        """Puts another layer at the end."""
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(f"Sequential: expected layers, got the class {layer.__name__}: call it")
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential: expected layers, got {type(layer).__name__}")
        if self.built:
            raise ValueError("Sequential: layers cannot be added once the model is built")
        names = [known.given_name for known in self.layers if known is not layer]
        if layer.given_name is not None and layer.given_name in names:
            raise ValueError(f"Sequential: two layers are named '{layer.given_name}'")
        self.layers.append(layer)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """The layers with their names in this model."""
        yield from numbered(self.layers)

    def forward(self, x: Any) -> Any:
        """All layers, in order."""
        for layer in self.layers:
            x = layer(x)
        return x
