"""Python's operators, for what stands for arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self


def is_number(value: Any) -> bool:
    """Whether it is a real number, of Python or NumPy, or an array without axes."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "fiu"
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


class Operators:
    """`+ - * / ** abs` in terms of `apply(operation, operands)`, which a subclass has."""

    __slots__ = ()

    def apply(self, operation: str, operands: Sequence[Any]) -> Self:
        """Operation(operands), this object among them."""
        raise NotImplementedError

    def _takes(self, other: object) -> bool:
        return isinstance(other, type(self)) or is_number(other)

    def __add__(self, other: Any) -> Self:
        return self.apply("add", (self, other)) if self._takes(other) else NotImplemented

    def __radd__(self, other: Any) -> Self:
        return self.apply("add", (other, self)) if self._takes(other) else NotImplemented

    def __sub__(self, other: Any) -> Self:
        return self.apply("subtract", (self, other)) if self._takes(other) else NotImplemented

    def __rsub__(self, other: Any) -> Self:
        return self.apply("subtract", (other, self)) if self._takes(other) else NotImplemented

    def __mul__(self, other: Any) -> Self:
        return self.apply("multiply", (self, other)) if self._takes(other) else NotImplemented

    def __rmul__(self, other: Any) -> Self:
        return self.apply("multiply", (other, self)) if self._takes(other) else NotImplemented

    def __truediv__(self, other: Any) -> Self:
        return self.apply("divide", (self, other)) if self._takes(other) else NotImplemented

    def __rtruediv__(self, other: Any) -> Self:
        return self.apply("divide", (other, self)) if self._takes(other) else NotImplemented

    def __pow__(self, other: Any) -> Self:
        return self.apply("power", (self, other)) if self._takes(other) else NotImplemented

    def __rpow__(self, other: Any) -> Self:
        return self.apply("power", (other, self)) if self._takes(other) else NotImplemented

    def __neg__(self) -> Self:
        return self.apply("negate", (self,))

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self.apply("absolute", (self,))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        # NumPy's numbers try their own operator before ours.
        operation = _OF_UFUNCS.get(ufunc.__name__)
        if operation is not None and method == "__call__" and not options and all(map(self._takes, inputs)):
            return self.apply(operation, inputs)
        raise TypeError(
            f"numpy.{ufunc.__name__} cannot take a {type(self).__name__}, which has no values while a model is "
            "traced; use nnx.ops functions, layers, or the operators + - * / ** abs"
        )


_OF_UFUNCS = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "divide": "divide",
    "true_divide": "divide",
    "power": "power",
    "float_power": "power",
}
