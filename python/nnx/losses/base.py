"""What a loss is."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnx import _core, data
from nnx._config import Configured, our_string
from nnx._types import NDArray, Reduction, Shape
from nnx.data import TargetKind


class Loss(Configured):
    """The base of all losses."""

    _hidden = ("kind", "targets")

    kind: ClassVar[str]

    def __init__(self, reduction: Reduction = "mean") -> None:
        if isinstance(reduction, str):
            reduction = our_string("reduction", reduction)  # type: ignore[assignment]
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"argument 'reduction' expected 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction: Reduction = reduction

    def targets(self, y: Any, output_shape: Shape) -> tuple[NDArray, TargetKind]:
        """Targets `y` in the form that a model of this output shape (without the batch axis) takes."""
        return data.values(y, output_shape), "values"

    def spec(self, targets: TargetKind, activation: str | None) -> dict[str, Any]:
        """The loss as the core takes it, for a model that ends in `activation`."""
        if self.reduction == "none":
            raise ValueError("argument 'reduction' expected 'mean' or 'sum' to train with, got 'none'")
        return {"kind": self.kind, "targets": targets, "reduction": self.reduction}

    def spec_of(self, targets: TargetKind, output: Any) -> dict[str, Any]:
        """The loss of a model's output, a Symbol, as the core takes it."""
        return self.spec(targets, output.activation)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: npt.ArrayLike | None = None) -> Any:
        """The loss of predictions: a float, or an array for reduction "none"."""
        y_pred = data.floats(y_pred, "y_pred")
        y, kind = self.targets(y_true, y_pred.shape[1:])
        if len(y) != len(y_pred):
            raise ValueError(f"y_true and y_pred expected one length, got {len(y)} and {len(y_pred)}")
        if kind != "labels":
            y = y.astype(y_pred.dtype, copy=False)
        weight = None if sample_weight is None else data.sample_weights(sample_weight, len(y))
        if weight is not None:
            data.expect_representable(weight, y_pred.dtype.name, "sample_weight")
        value = np.asarray(self._value(y, y_pred, weight))
        return float(value) if value.ndim == 0 else value

    def _value(self, y: NDArray, y_pred: NDArray, weight: NDArray | None) -> Any:
        function = getattr(_core, self.kind)
        return function(y_pred, y, reduction=self.reduction, sample_weight=weight)
