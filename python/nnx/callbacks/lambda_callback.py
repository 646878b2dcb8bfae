"""Functions as callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.callbacks.base import Callback

HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback made of functions.

        nnx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))

    Args:
        hooks: functions by the names of hooks, with the hooks' arguments: on_epoch_begin(epoch, logs),
            on_epoch_end(epoch, logs), on_train_batch_begin(batch, logs), on_train_batch_end(batch, logs),
            on_train_begin(logs), on_train_end(logs), on_train_progress(samples, logs), and those of evaluation
            and prediction.

    Raises:
        TypeError: for a name that is no hook, or what is no function.
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        for name, function in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback: unexpected argument '{name}'; hooks are {', '.join(HOOKS)}")
            if function is None:
                continue
            if not callable(function):
                raise TypeError(
                    f"LambdaCallback: argument '{name}' expected a function, got {type(function).__name__}"
                )
            setattr(self, name, function)
