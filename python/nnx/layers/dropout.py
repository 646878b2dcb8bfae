"""Dropout."""

from __future__ import annotations

from typing import Any

from nnx import ops
from nnx.graph.symbol import Symbol
from nnx.layers.base import Layer


class Dropout(Layer):
    """While training, sets the share `rate` of elements to 0 and scales the others by 1 / (1 - rate)."""

    def __init__(self, rate: float, name: str | None = None) -> None:
        super().__init__(name)
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: argument 'rate' expected a number in [0, 1), got {rate}")
        self.rate = float(rate)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.dropout`; arrays come back as they are, for nothing is being trained."""
        return ops.dropout(x, self.rate) if isinstance(x, Symbol) and not x.trace.predicts else x
