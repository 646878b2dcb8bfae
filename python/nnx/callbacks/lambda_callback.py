"""Functions as callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nnx.callbacks.base import Callback

Function: TypeAlias = Callable[..., Any] | None
HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback made of functions.

        nnx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))

    Args:
        on_epoch_begin: a function (epoch, logs).
        on_epoch_end: a function (epoch, logs).
        on_train_begin: a function (logs).
        on_train_end: a function (logs).
        on_train_batch_begin: a function (batch, logs).
        on_train_batch_end: a function (batch, logs).
        hooks: functions by the names of other hooks: on_train_progress(samples, logs), and those of evaluation
            and prediction.

    Raises:
        TypeError: for a name that is no hook, or what is no function.
    """

    def __init__(
        self,
        on_epoch_begin: Function = None,
        on_epoch_end: Function = None,
        on_train_begin: Function = None,
        on_train_end: Function = None,
        on_train_batch_begin: Function = None,
        on_train_batch_end: Function = None,
        **hooks: Function,
    ) -> None:
        hooks |= {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
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
