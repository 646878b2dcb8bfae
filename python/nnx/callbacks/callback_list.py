"""Several callbacks as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nnx.callbacks.base import Callback

if TYPE_CHECKING:
    from nnx.model import Model


class CallbackList:
    """Several callbacks as one."""

    def __init__(self, callbacks: Iterable[Callback], model: Model, params: dict[str, Any]) -> None:
        self.model = model
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"argument 'callbacks' expected Callback objects, got {type(callback).__name__}"
                )
            callback.set_model(model)
            callback.set_params(params)

    def overrides(self, *hooks: str) -> bool:
        """Whether a callback has code of its own for one of these hooks."""
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for callback in self.callbacks
            for hook in hooks
        )

    def call(self, hook: str, *arguments: Any) -> None:
        """Calls a hook of every callback, in order."""
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)
