"""Optimizers: what a training step does with the gradients.

They hold settings and the number of updates done; velocities and moments lie with the weights, on their
device.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnx import _html
from nnx._checks import number
from nnx._config import Configured
from nnx.schedules import Schedule


class Optimizer(Configured):
    """What optimizers share: the learning rate, and clipping of the gradient's norm.

    Args:
        learning_rate: a number >= 0, or a schedule; may be set while training.
        weight_decay: >= 0.
        clip_norm: scales the gradient of all weights together down to this norm where it is larger.
    """

    _hidden = ("last_rate", "rates", "spec")

    def __init__(
        self, learning_rate: float | Schedule, weight_decay: float = 0.0, clip_norm: float | None = None
    ) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = number(self._name, "weight_decay", weight_decay)
        if clip_norm is not None:
            clip_norm = number(self._name, "clip_norm", clip_norm, closed="neither")
        self.clip_norm = clip_norm
        self.iterations = 0  # updates done

    @property
    def learning_rate(self) -> float | Schedule:
        """The learning rate, or the schedule that gives it."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Schedule) -> None:
        if not isinstance(value, Schedule):
            value = number(self._name, "learning_rate", value)
        self._learning_rate: float | Schedule = value

    def rates(self, steps: int, epoch: int) -> npt.NDArray[np.float64]:
        """The learning rates of the next `steps` steps, or a single one for them all."""
        if isinstance(self._learning_rate, Schedule):
            return self._learning_rate.rates(self.iterations, steps, epoch)
        return np.array([self._learning_rate])

    def last_rate(self, epoch: int) -> float:
        """The learning rate of the last step that was done, in that epoch."""
        if isinstance(self._learning_rate, Schedule):
            return float(self._learning_rate.rates(self.iterations - 1, 1, epoch)[0])
        return self._learning_rate

    def spec(self) -> dict[str, Any]:
        """The optimizer as the core takes it."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        """The arguments as a table, for notebooks, and a schedule's curve."""
        rate = self._learning_rate
        return _html.block(super()._repr_html_(), rate._repr_html_() if isinstance(rate, Schedule) else "")

    @property
    def _name(self) -> str:
        return type(self).__name__


class SGD(Optimizer):
    """Gradient descent with momentum: v = momentum * v - learning_rate * g, p += v.

    Args:
        learning_rate: a number or a schedule.
        momentum: in [0, 1].
        nesterov: look ahead along the velocity: p += momentum * v - learning_rate * g.
        weight_decay: added to the gradient, weight_decay * p.
        clip_norm: largest norm of the gradient of all weights together.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip_norm)
        self.momentum = number(self._name, "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)

    def spec(self) -> dict[str, Any]:
        """The optimizer as the core takes it."""
        return {
            "kind": "sgd",
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.weight_decay,
            "clip_norm": self.clip_norm,
        }


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), bias-corrected.

    Args:
        learning_rate: a number or a schedule.
        beta1: decay of the gradient's average, in [0, 1).
        beta2: decay of the squared gradient's average, in [0, 1).
        epsilon: added to its root, > 0.
        weight_decay: added to the gradient, weight_decay * p.
        clip_norm: largest norm of the gradient of all weights together.
    """

    _kind = "adam"

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clip_norm)
        self.beta1 = number(self._name, "beta1", beta1, 0.0, 1.0, closed="left")
        self.beta2 = number(self._name, "beta2", beta2, 0.0, 1.0, closed="left")
        self.epsilon = number(self._name, "epsilon", epsilon, closed="neither")

    def spec(self) -> dict[str, Any]:
        """The optimizer as the core takes it."""
        return {
            "kind": self._kind,
            "beta1": self.beta1,
            "beta2": self.beta2,
            "epsilon": self.epsilon,
            "weight_decay": self.weight_decay,
            "clip_norm": self.clip_norm,
        }


class AdamW(Adam):
    """Adam with decoupled weight decay, p -= learning_rate * weight_decay * p (Loshchilov and Hutter 2019)."""

    _kind = "adamw"

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm)


OptimizerLike: TypeAlias = str | Optimizer | type[SGD] | type[Adam]
_BY_NAME: dict[str, type[SGD | Adam]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def get(optimizer: OptimizerLike) -> Optimizer:
    """An Optimizer from an Optimizer, its class, or a name: "sgd", "adam" or "adamw"."""
    if isinstance(optimizer, type) and issubclass(optimizer, (SGD, Adam)):
        return optimizer()
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(
            f"argument 'optimizer' expected a name or an Optimizer, got {type(optimizer).__name__}"
        )
    if optimizer.lower() not in _BY_NAME:
        raise ValueError(f"argument 'optimizer' expected one of {', '.join(_BY_NAME)}, got {optimizer!r}")
    return _BY_NAME[optimizer.lower()]()
