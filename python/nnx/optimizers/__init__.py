"""Optimizers: what a training step does with the gradients."""

from __future__ import annotations

from typing import TypeAlias

from nnx import schedules
from nnx._config import look_up
from nnx.optimizers.adagrad import Adagrad
from nnx.optimizers.adam import Adam, AdamW
from nnx.optimizers.base import Optimizer
from nnx.optimizers.lion import Lion
from nnx.optimizers.rmsprop import RMSprop
from nnx.optimizers.sgd import SGD

_Own: TypeAlias = SGD | Adam | RMSprop | Adagrad | Lion
OptimizerLike: TypeAlias = (
    str | Optimizer | type[SGD] | type[Adam] | type[RMSprop] | type[Adagrad] | type[Lion]
)
_BY_NAME: dict[str, type[_Own]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "lion": Lion,
}


def get(optimizer: OptimizerLike) -> Optimizer:
    """An Optimizer from an Optimizer, its class, or a name: "sgd", "adam", "adamw", "rmsprop", "adagrad", "lion"."""
    if isinstance(optimizer, type) and issubclass(optimizer, (SGD, Adam, RMSprop, Adagrad, Lion)):
        return optimizer()
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(
            f"argument 'optimizer' expected a name or an Optimizer, got {type(optimizer).__name__}"
        )
    return look_up("optimizer", "optimizer", optimizer, _BY_NAME)()


__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Optimizer",
    "OptimizerLike",
    "RMSprop",
    "get",
    "schedules",
]
