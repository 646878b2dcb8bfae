"""Layers that are written as Keras's are: `call` for `forward`, and its argument `training`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from nnx.graph.symbol import Trace


class AsItRuns:
    """What a `call` gets as `training`: one graph trains and predicts, so nobody can know while it is traced."""

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "argument 'training' has no value in call, which is traced once for training and prediction: leave "
            "out `if training`; Dropout, BatchNorm and the like do what is right by themselves"
        )


def forward_of(call: Callable[..., Any]) -> Callable[..., Any]:
    """A `forward` of a method `call(self, inputs, training=None)`."""
    signature = inspect.signature(call)
    takes_training = "training" in signature.parameters

    def forward(self: Any, *inputs: Any, **named: Any) -> Any:
        """The layer's `call`."""
        return self.call(*inputs, **named, **({"training": AsItRuns()} if takes_training else {}))

    inputs = [parameter for name, parameter in signature.parameters.items() if name != "training"]
    forward.__signature__ = signature.replace(parameters=inputs)  # type: ignore[attr-defined]
    return forward


@contextmanager
def mode(layer: Any, trace: Trace | None, training: bool | AsItRuns | None) -> Iterator[None]:
    """What Keras's argument `training` of a layer's call means inside; None: as the model runs.

    Raises:
        ValueError: for what a traced model, or a layer on arrays, which predicts, cannot do.
    """
    if training is None or isinstance(training, AsItRuns) or (trace is None and not training):
        yield
        return
    if training:
        raise ValueError(
            f"{layer.name}: argument 'training' expected None or False, got True: layers train where their model does"
        )
    assert trace is not None
    frozen: list[str] = []  # names of layers before those inside them
    for name, inner in layer.walk():
        if not inner.trainable or any(name.startswith(f"{around}.") or not around for around in frozen):
            frozen.append(name)
        elif hasattr(inner, "running_mean"):
            raise ValueError(
                f"{layer.name}: argument 'training' expected None: '{name or layer.name}' would train; set its "
                "trainable = False, and it works as in prediction"
            )
    before, trace.predicts = trace.predicts, True
    try:
        yield
    finally:
        trace.predicts = before
