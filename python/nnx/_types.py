"""Types that signatures share."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from nnx._core import Tensor
from nnx.symbol import Symbol

# What an op takes it also gives back: NumPy in, NumPy out; a Tensor gives a Tensor, a Symbol a Symbol.
Array = TypeVar("Array", npt.NDArray[Any], Tensor, Symbol)
Concrete = TypeVar("Concrete", npt.NDArray[Any], Tensor)

NDArray: TypeAlias = npt.NDArray[Any]
# Weights and targets: an ndarray, a Tensor, a layer's Weight, or whatever numpy.asarray takes.
Operand: TypeAlias = Any
Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = int | tuple[int, int]
Padding: TypeAlias = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
Reduction: TypeAlias = Literal["mean", "sum", "none"]
ClassWeight: TypeAlias = dict[int, float] | npt.ArrayLike | None
DTypeName: TypeAlias = Literal["float32", "float64"]
Rates: TypeAlias = npt.NDArray[np.float64]
