"""Weights: the named arrays of layers, and where their values live."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nnx import _core, seeds

if TYPE_CHECKING:
    from nnx.initializers import Initializer


class Weight:
    """An array of a layer, trained or not.

    Its value does not exist before somebody needs it. Then it lives here, until a model takes it into its
    parameter store on a device; from then on this is a window on that store. Stores of other models share it.
    """

    __slots__ = ("_index", "_store", "_value", "initializer", "name", "shape", "trainable")

    def __init__(
        self, name: str, shape: tuple[int, ...], initializer: Initializer, trainable: bool = True
    ) -> None:
        self.name = name
        self.shape = shape
        self.initializer = initializer
        self.trainable = trainable
        self._value: npt.NDArray[Any] | None = None
        self._store: _core.Parameters | None = None
        self._index = -1

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def store(self) -> _core.Parameters | None:
        """The parameter store that holds the value, if one does."""
        return self._store

    @property
    def index(self) -> int:
        """The place in that store."""
        return self._index

    def value(self, dtype: str = "float32", seed: int | None = None, number: int = 0) -> npt.NDArray[Any]:
        """What `numpy` copies, not to be written to: a large array is not there twice."""
        if self._store is not None:
            return self._store.get(self._index)
        if self._value is None:
            seed = seeds.draw() if seed is None else seed
            self._value = self.initializer(self.shape, seed=seed, number=number, dtype=dtype)
        return self._value

    def numpy(self, dtype: str = "float32", seed: int | None = None, number: int = 0) -> npt.NDArray[Any]:
        """A copy of the value; the first call makes it, from `seed` and `number`, as `dtype`."""
        value = self.value(dtype, seed, number)
        return np.array(value) if value is self._value else value

    def checked(self, value: npt.ArrayLike) -> npt.NDArray[Any]:
        """An array that may be assigned; ValueError, TypeError as `assign`."""
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"weight '{self.name}' expected real numbers, got dtype {array.dtype}")
        if array.shape != self.shape:
            raise ValueError(f"weight '{self.name}' expected shape {self.shape}, got {array.shape}")
        return array

    def assign(self, value: npt.ArrayLike) -> None:
        """Sets the value; ValueError where the shape differs, TypeError where it is not of real numbers.

        Where an average over training's steps is kept, it goes on from there.
        """
        array = self.checked(value)
        if self._store is not None:
            array = np.ascontiguousarray(array, dtype=self._store.dtype)
            self._store.set(self._index, array)
            if "average" in self._store.states and self._store.trainable[self._index]:
                self._store.set(self._index, array, "average")
        else:
            dtype = np.float64 if array.dtype == np.float64 else np.float32
            self._value = np.array(array, dtype=dtype, order="C")

    def take(self, value: npt.NDArray[Any]) -> None:
        """As `assign`, of a weight that lies in no store, and without a copy where there is no need of one."""
        array = self.checked(value)
        dtype = np.float64 if array.dtype == np.float64 else np.float32
        self._value = np.ascontiguousarray(array, dtype=dtype)

    def __getstate__(self) -> dict[str, Any]:
        value = self._value if self._store is None else self._store.get(self._index)
        return {
            "name": self.name,
            "shape": self.shape,
            "initializer": self.initializer,
            "trainable": self.trainable,
            "value": value,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.name, self.shape = state["name"], state["shape"]
        self.initializer, self.trainable = state["initializer"], state["trainable"]
        self._value, self._store, self._index = state["value"], None, -1

    def bind(self, store: _core.Parameters, index: int) -> None:
        """From now on the value is entry `index` of `store`."""
        self._store, self._index, self._value = store, index, None

    def leave(self, device: str, dtype: str) -> None:
        """Brings the value home from its store, where that is of another device or dtype."""
        if self._store is None:
            return
        there = f"{device}:0" if device == "cuda" else device
        if (self._store.device, self._store.dtype.name) != (there, dtype):
            self._value = self._store.get(self._index)
            self._store, self._index = None, -1

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        value = self.numpy()
        return value if dtype is None else value.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"Weight({self.name!r}, shape={self.shape}, trainable={self.trainable})"


def listed(problems: Mapping[str, Iterable[str]]) -> str:
    """The kinds of problems that have names, as in "missing: a, b; unexpected: c"; empty where none has."""
    given = {kind: ", ".join(names) for kind, names in problems.items()}
    return "; ".join(f"{kind}: {names}" for kind, names in given.items() if names)


def expect_arrays(named: Mapping[str, Weight], arrays: Mapping[str, Any], what: str = "weights") -> None:
    """ValueError lists what is missing, unexpected or of another shape."""
    problems = {
        "missing": [name for name in named if name not in arrays],
        "unexpected": [name for name in arrays if name not in named],
        "of another shape": [
            f"{name} expected {weight.shape}, got {np.shape(arrays[name])}"
            for name, weight in named.items()
            if name in arrays and np.shape(arrays[name]) != weight.shape
        ],
    }
    if text := listed(problems):
        raise ValueError(f"{what} {text}")


def assign_all(weights: Iterable[Weight], values: Iterable[npt.ArrayLike]) -> None:
    """Sets all weights or, where one value does not fit, none; errors as `Weight.assign`."""
    pairs = [(weight, weight.checked(value)) for weight, value in zip(weights, values, strict=True)]
    for weight, array in pairs:
        weight.assign(array)
