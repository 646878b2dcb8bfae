"""Types that signatures share."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

NDArray: TypeAlias = npt.NDArray[Any]
# Weights and targets: an ndarray, a Tensor, a layer's Weight, or whatever numpy.asarray takes.
Operand: TypeAlias = Any
Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = int | tuple[int, int]
Padding: TypeAlias = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
Interpolation: TypeAlias = Literal["nearest", "bilinear"]
Reduction: TypeAlias = Literal["mean", "sum", "none"]
ClassWeight: TypeAlias = dict[int, float] | npt.ArrayLike | None
DTypeName: TypeAlias = Literal["float32", "float64"]
Rates: TypeAlias = npt.NDArray[np.float64]
