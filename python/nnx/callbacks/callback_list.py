"""Several callbacks as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nnx.callbacks.base import Callback
from nnx.callbacks.history import History

if TYPE_CHECKING:
    from nnx.model import Model


class CallbackList:
    """Several callbacks as one."""

    def __init__(self, callbacks: Iterable[Callback], model: Model, params: dict[str, Any]) -> None:
        self.model = model
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if isinstance(callback, type) and issubclass(callback, Callback):
                name = callback.__name__
                raise TypeError(
                    f"argument 'callbacks' expected Callback objects, got the class {name}: call it"
                )
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"argument 'callbacks' expected Callback objects, got {type(callback).__name__}"
                )
            callback.set_model(model)
            callback.set_params(params)
        self.callbacks.sort(key=lambda callback: callback.after_others)

    def overrides(self, *hooks: str) -> bool:
        """Whether a callback has code of its own for one of these hooks."""
        return any(_needs(callback, hook) for callback in self.callbacks for hook in hooks)

    def measure_every(self) -> int:
        """At every how many steps gradients and activations are to be measured; 0: at none."""
        wanted = [c.measure_every for c in self.callbacks if c.measure_every is not None]
        return min(wanted, default=0)

    def states(self) -> list[dict[str, Any]]:
        """The callbacks' classes and what they would have to know to go on."""
        return [
            {"class": type(callback).__name__, "state": callback.get_state()} for callback in self.callbacks
        ]

    def set_states(self, states: list[dict[str, Any]], history: list[tuple[int, dict[str, Any]]]) -> None:
        """Gives callbacks the states that those of their class had, in order; a History gets the epochs."""
        left = [state for state in states if state["state"]]
        for callback in self.callbacks:
            if isinstance(callback, History):
                callback.restore(history)
                continue
            found = next((state for state in left if state["class"] == type(callback).__name__), None)
            if found is not None:
                left.remove(found)
                callback.set_state(found["state"])

    def call(self, hook: str, *arguments: Any) -> None:
        """Calls a hook of every callback, in order; on_train_end of all of them, whatever one of them raises."""
        first: BaseException | None = None
        for callback in self.callbacks:
            try:
                getattr(callback, hook)(*arguments)
            except BaseException as error:
                if hook != "on_train_end":
                    raise
                first = first or error
        if first is not None:
            raise first


def _needs(callback: Callback, hook: str) -> bool:
    if hook in vars(callback):
        return True
    own = getattr(type(callback), hook) is not getattr(Callback, hook)
    return own and ("_batch_" not in hook or callback.wants_batches())
