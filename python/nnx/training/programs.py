"""A model's programs: one for each thing it does, kept as long as they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from nnx import _core
from nnx.graph.tracing import Traced

Role: TypeAlias = Literal["train", "evaluate", "predict", "gradients", "apply"]


@dataclass
class _Held:
    program: _core.Program
    traced: Traced
    max_batch: int
    options: dict[str, Any]


class Programs:
    """The last program of each role."""

    def __init__(self) -> None:
        self._held: dict[Role, _Held] = {}

    def clear(self) -> None:
        """Drops them all, and their memory."""
        self._held.clear()

    def get(self, role: Role, traced: Traced, batch: int, **options: Any) -> _core.Program:
        """A program for batches of up to `batch` samples, new only where the last one does not do."""
        held = self._held.get(role)
        if held is None or held.traced is not traced or held.max_batch < batch or held.options != options:
            assert traced.store is not None
            self._held.pop(role, None)  # its memory first
            program = _core.Program(
                traced.graph,
                traced.nodes,
                traced.store,
                batch,
                role in ("train", "gradients", "apply"),
                **options,
            )
            held = self._held[role] = _Held(program, traced, batch, options)
        return held.program
