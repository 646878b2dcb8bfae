"""Layers that normalise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nnx import ops
from nnx._types import Shape
from nnx.graph.weight import Weight
from nnx.layers.base import Layer


class BatchNorm(Layer):
    """Zero mean and unit variance per channel, then `gamma` and `beta` (Ioffe and Szegedy 2015).

    Training takes the batch's statistics and keeps running ones, momentum * running + (1 - momentum) * batch;
    predicting takes those.

    Args:
        momentum: in [0, 1]. Keras's default is 0.99; PyTorch's momentum is 1 - this one, its default our 0.9.
        epsilon: > 0, added to the variance. Keras's default is 1e-3.
        name: for summaries and state dicts.
        center: False keeps beta at 0.
        scale: False keeps gamma at 1.
    """

    def __init__(
        self,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        name: str | None = None,
        center: bool = True,
        scale: bool = True,
    ) -> None:
        super().__init__(name)
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm: argument 'momentum' expected a number in [0, 1], got {momentum}")
        if not (epsilon > 0 and np.isfinite(epsilon)):
            raise ValueError(f"BatchNorm: argument 'epsilon' expected a finite number > 0, got {epsilon}")
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        if not (center or scale):
            raise ValueError(
                "BatchNorm: arguments 'center' and 'scale' expected True for one of them at least: a norm without "
                "weights to train works as in prediction here"
            )
        self.center = bool(center)
        self.scale = bool(scale)
        self.gamma: Weight | None = None
        self.beta: Weight | None = None
        self.running_mean: Weight | None = None
        self.running_var: Weight | None = None

    def build(self, input_shape: Shape) -> None:
        """Makes gamma, beta, running_mean and running_var, each (C,)."""
        if not input_shape:
            raise ValueError("BatchNorm: expected inputs of shape (N, ..., C), got (N,)")
        channels = (input_shape[-1],)
        self.gamma = self.add_weight("gamma", channels, "ones", trainable=self.scale)
        self.beta = self.add_weight("beta", channels, "zeros", trainable=self.center)
        self.running_mean = self.add_weight("running_mean", channels, "zeros", trainable=False)
        self.running_var = self.add_weight("running_var", channels, "ones", trainable=False)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.batch_norm`."""
        return ops.batch_norm(
            x,
            self.gamma,
            self.beta,
            self.running_mean,
            self.running_var,
            momentum=self.momentum,
            epsilon=self.epsilon,
        )


class LocalResponseNorm(Layer):
    """x / (k + alpha * sum of x^2 over `size` neighbouring channels)^beta (Krizhevsky et al. 2012)."""

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.size = size
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.k = float(k)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.local_response_norm`."""
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)


class Normalize(Layer):
    """(x - mean) / std with fixed numbers, one for all channels or one per channel.

    As a model's first layer it takes images as they are (uint8, 0 to 255). A std of 0, of a feature that
    never varies, counts as 1.
    """

    def __init__(self, mean: npt.ArrayLike, std: npt.ArrayLike, name: str | None = None) -> None:
        super().__init__(name)
        self.mean = np.array(mean, dtype=np.float64)
        deviation = np.array(std, dtype=np.float64)
        if not np.all(np.isfinite(self.mean)):
            raise ValueError(f"Normalize: argument 'mean' expected finite numbers, got {self.mean}")
        if not np.all(np.isfinite(deviation) & (deviation >= 0)):
            raise ValueError(f"Normalize: argument 'std' expected finite numbers >= 0, got {deviation}")
        self.std = np.where(deviation == 0, 1.0, deviation)
        self._mean: Weight | None = None
        self._std: Weight | None = None

    def build(self, input_shape: Shape) -> None:
        """Makes the fixed weights mean and std, each (C,)."""
        if not input_shape:
            raise ValueError("Normalize: expected inputs of shape (N, ..., C), got (N,)")
        channels = (input_shape[-1],)
        for argument, value in (("mean", self.mean), ("std", self.std)):
            if value.size != 1 and value.shape != channels:
                raise ValueError(
                    f"Normalize: argument '{argument}' expected one number or shape {channels}, "
                    f"got shape {value.shape}"
                )
        self._mean = self.add_weight(
            "mean", channels, np.broadcast_to(self.mean.ravel(), channels), trainable=False
        )
        self._std = self.add_weight(
            "std", channels, np.broadcast_to(self.std.ravel(), channels), trainable=False
        )

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.normalize`."""
        return ops.normalize(x, self._mean, self._std)
