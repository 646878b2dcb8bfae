"""Initial values of weights, drawn by the counter-based generator Philox4x32-10.

fan_in and fan_out are what one output sums over and what one input feeds: for dense weights `[in, out]`, and
for convolutions `[kh, kw, in, out]`, where both count the window's kh * kw points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnx import _core
from nnx._config import Configured, look_up

InitializerLike: TypeAlias = "str | Initializer | float | npt.ArrayLike | Callable[[tuple[int, ...]], Any]"


class Initializer(Configured):
    """Fills a new weight. Subclasses define `_fill`."""

    def __call__(
        self, shape: tuple[int, ...], *, seed: int = 0, number: int = 0, dtype: str = "float32"
    ) -> npt.NDArray[Any]:
        """An array of `shape` and `dtype`; `number` tells weights of one model and seed apart."""
        return self._fill(tuple(shape), seed, number, dtype)

    def _fill(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        raise NotImplementedError


class Constant(Initializer):
    """Every element is `value`; an array must have the weight's shape."""

    def __init__(self, value: npt.ArrayLike) -> None:
        self.value = np.array(value, dtype=np.float64)
        if not np.isfinite(self.value).all():
            raise ValueError("initializer expected finite numbers, got NaN or infinity")

    def _fill(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        if self.value.ndim > 0 and self.value.shape != shape:
            raise ValueError(f"initializer expected an array of shape {shape}, got {self.value.shape}")
        return np.array(np.broadcast_to(self.value, shape), dtype=dtype, order="C")


class Uniform(Initializer):
    """Uniform in [low, high)."""

    def __init__(self, low: float = -0.05, high: float = 0.05) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"Uniform: expected finite low <= high, got {low} and {high}")
        self.low, self.high = float(low), float(high)

    def _fill(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        return _core.random_uniform(shape, self.low, self.high, seed, layer=number, dtype=dtype)


class Normal(Initializer):
    """Normal with a mean and a standard deviation."""

    def __init__(self, mean: float = 0.0, std: float = 0.05) -> None:
        if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
            raise ValueError(f"Normal: expected a finite mean and std >= 0, got {mean} and {std}")
        self.mean, self.std = float(mean), float(std)

    def _fill(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        return _core.random_normal(shape, self.mean, self.std, seed, layer=number, dtype=dtype)


class VarianceScaling(Initializer):
    """Zero mean and variance `scale / fan`, fan being fan_in or, for mode "average", (fan_in + fan_out) / 2."""

    def __init__(self, scale: float, mode: str, distribution: str) -> None:
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def _fill(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        fan_in, fan_out = fans(shape)
        fan = fan_in if self.mode == "in" else (fan_in + fan_out) / 2
        deviation = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * deviation
            return _core.random_uniform(shape, -limit, limit, seed, layer=number, dtype=dtype)
        return _core.random_normal(shape, 0.0, deviation, seed, layer=number, dtype=dtype)


class _Given(Initializer):
    """A user's function of the shape."""

    def __init__(self, function: Callable[[tuple[int, ...]], Any]) -> None:
        self.function = function

    def _fill(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        return Constant(self.function(shape))(shape, dtype=dtype)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """fan_in and fan_out of a weight's shape."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def zeros() -> Initializer:
    """All 0."""
    return Constant(0.0)


def ones() -> Initializer:
    """All 1."""
    return Constant(1.0)


def constant(value: npt.ArrayLike = 0.0) -> Initializer:
    """All `value`, or exactly the array `value`."""
    return Constant(value)


def uniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """Uniform in [low, high)."""
    return Uniform(low, high)


def normal(mean: float = 0.0, std: float = 0.05) -> Initializer:
    """Normal with that mean and standard deviation."""
    return Normal(mean, std)


def glorot_uniform() -> Initializer:
    """Variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010), uniform."""
    return VarianceScaling(1.0, "average", "uniform")


def glorot_normal() -> Initializer:
    """Variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010), normal, not truncated."""
    return VarianceScaling(1.0, "average", "normal")


def he_uniform() -> Initializer:
    """Variance 2 / fan_in (He et al. 2015), uniform."""
    return VarianceScaling(2.0, "in", "uniform")


def he_normal() -> Initializer:
    """Variance 2 / fan_in (He et al. 2015), normal, not truncated."""
    return VarianceScaling(2.0, "in", "normal")


def lecun_uniform() -> Initializer:
    """Variance 1 / fan_in (LeCun et al. 1998), uniform."""
    return VarianceScaling(1.0, "in", "uniform")


def lecun_normal() -> Initializer:
    """Variance 1 / fan_in (LeCun et al. 1998), normal, not truncated."""
    return VarianceScaling(1.0, "in", "normal")


_BY_NAME: dict[str, Callable[[], Initializer]] = {
    f.__name__: f
    for f in (
        zeros, ones, constant, uniform, normal, glorot_uniform, glorot_normal,
        he_uniform, he_normal, lecun_uniform, lecun_normal,
    )
}  # fmt: skip


def get(initializer: InitializerLike) -> Initializer:
    """An Initializer from a name, an Initializer, a number, an array, or a function of the shape."""
    if isinstance(initializer, Initializer):
        return initializer
    if isinstance(initializer, str):
        return look_up("initializer", "initializer", initializer, _BY_NAME)()
    if callable(initializer):
        # nnx.initializers.zeros, not called, is as good as its name
        named = _BY_NAME.get(getattr(initializer, "__name__", ""))
        given: object = initializer
        return named() if named is given and named is not None else _Given(initializer)
    return Constant(initializer)
