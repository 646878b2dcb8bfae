"""A function as a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.layers.base import Layer


class Lambda(Layer):
    """function(x), written with operators and `nnx.ops`: traced once, like a model's `forward`.

    Args:
        function: takes the input, a symbol (N, ...), and returns what operators and nnx.ops make of it. A model that is
            to be saved needs a function with a name, known by `nnx.register`.
        name: for summaries and state dicts.

    Raises:
        TypeError: where it is no function.
    """

    def __init__(self, function: Callable[[Any], Any], name: str | None = None) -> None:
        super().__init__(name)
        if not callable(function):
            raise TypeError(f"Lambda: argument 'function' expected a function, got {type(function).__name__}")
        self.function = function

    def forward(self, x: Any) -> Any:
        """The function of x."""
        return self.function(x)
