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

from nnx import _core, seeds
from nnx._checks import number
from nnx._config import Configured, look_up, our_string

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


class _Drawn(Initializer):
    """Random values; a seed of its own takes the place of the model's."""

    def __init__(self, seed: int | None) -> None:
        self.seed = None if seed is None else seeds.check(seed)

    def _fill(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        return self._draw(shape, seed if self.seed is None else self.seed, number, dtype)

    def _draw(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        raise NotImplementedError


class Uniform(_Drawn):
    """Uniform in [low, high)."""

    def __init__(self, low: float = -0.05, high: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"Uniform: expected finite low <= high, got {low} and {high}")
        self.low, self.high = float(low), float(high)

    def _draw(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        return _core.random_uniform(shape, self.low, self.high, seed, layer=number, dtype=dtype)


class Normal(_Drawn):
    """Normal with a mean and a standard deviation."""

    def __init__(self, mean: float = 0.0, std: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
            raise ValueError(f"Normal: expected a finite mean and std >= 0, got {mean} and {std}")
        self.mean, self.std = float(mean), float(std)

    def _draw(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        return _core.random_normal(shape, self.mean, self.std, seed, layer=number, dtype=dtype)


class VarianceScaling(_Drawn):
    """Zero mean and variance scale / fan.

    Args:
        scale: > 0.
        mode: the fan: "in", "out", or "average" of both; Keras's "fan_in", "fan_out" and "fan_avg", too.
        distribution: "uniform" or "normal"; Keras's "truncated_normal" is taken for the latter.
        seed: in place of the model's.
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "in", distribution: str = "normal", seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.scale = number("VarianceScaling", "scale", scale, closed="neither")
        self.mode = our_string("mode", mode)
        self.distribution = our_string("distribution", distribution)
        if self.mode not in ("in", "out", "average"):
            raise ValueError(
                f"VarianceScaling: argument 'mode' expected 'in', 'out' or 'average', got {mode!r}"
            )
        if self.distribution not in ("uniform", "normal"):
            raise ValueError(
                f"VarianceScaling: argument 'distribution' expected 'uniform' or 'normal', got {distribution!r}"
            )

    def _draw(self, shape: tuple[int, ...], seed: int, number: int, dtype: str) -> npt.NDArray[Any]:
        fan_in, fan_out = fans(shape)
        fan = {"in": fan_in, "out": fan_out, "average": (fan_in + fan_out) / 2}[self.mode]
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


def uniform(low: float = -0.05, high: float = 0.05, seed: int | None = None) -> Initializer:
    """Uniform in [low, high)."""
    return Uniform(low, high, seed)


def normal(mean: float = 0.0, std: float = 0.05, seed: int | None = None) -> Initializer:
    """Normal with that mean and standard deviation."""
    return Normal(mean, std, seed)


def glorot_uniform(seed: int | None = None) -> Initializer:
    """Variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010), uniform."""
    return VarianceScaling(1.0, "average", "uniform", seed)


def glorot_normal(seed: int | None = None) -> Initializer:
    """Variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010), normal, not truncated."""
    return VarianceScaling(1.0, "average", "normal", seed)


def he_uniform(seed: int | None = None) -> Initializer:
    """Variance 2 / fan_in (He et al. 2015), uniform."""
    return VarianceScaling(2.0, "in", "uniform", seed)


def he_normal(seed: int | None = None) -> Initializer:
    """Variance 2 / fan_in (He et al. 2015), normal, not truncated."""
    return VarianceScaling(2.0, "in", "normal", seed)


def lecun_uniform(seed: int | None = None) -> Initializer:
    """Variance 1 / fan_in (LeCun et al. 1998), uniform."""
    return VarianceScaling(1.0, "in", "uniform", seed)


def lecun_normal(seed: int | None = None) -> Initializer:
    """Variance 1 / fan_in (LeCun et al. 1998), normal, not truncated."""
    return VarianceScaling(1.0, "in", "normal", seed)


# Keras's names; what differs stands in docs/keras.md.
Zeros, Ones, RandomNormal, RandomUniform = zeros, ones, Normal, Uniform
GlorotUniform, GlorotNormal = glorot_uniform, glorot_normal
HeUniform, HeNormal = he_uniform, he_normal
LecunUniform, LecunNormal = lecun_uniform, lecun_normal

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
    if isinstance(initializer, type) and issubclass(initializer, Initializer):
        return initializer()
    if callable(initializer):
        # nnx.initializers.zeros, not called, is as good as its name
        named = _BY_NAME.get(getattr(initializer, "__name__", ""))
        given: object = initializer
        return named() if named is given and named is not None else _Given(initializer)
    return Constant(initializer)
