"""What ops take they also give back: NumPy in, NumPy out; a Tensor gives a Tensor, a Symbol a Symbol."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy.typing as npt

from nnx._core import Tensor
from nnx.graph.symbol import Symbol

Array = TypeVar("Array", npt.NDArray[Any], Tensor, Symbol)
Concrete = TypeVar("Concrete", npt.NDArray[Any], Tensor)
