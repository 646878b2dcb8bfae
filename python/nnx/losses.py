"""Losses: what training makes small.

A loss says how its targets look, and which fused kernel computes it within a program. Called on arrays,
`loss(y_true, y_pred)`, it gives its value at once.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nnx import _core, data
from nnx._checks import number
from nnx._config import Configured, look_up, our_string
from nnx._types import NDArray, Reduction, Shape
from nnx.data import TargetKind

# What models end in whose outputs are probabilities; the last where the graph shows that they lie in [0, 1].
_PROBABILITIES = ("hard_sigmoid", "sigmoid", "softmax", "step", "probabilities")

FromLogits: TypeAlias = bool | Literal["auto"]


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


class MeanSquaredError(Loss):
    """Mean of (y - t)^2 over all outputs of all samples."""

    kind = "mean_squared_error"


class MeanAbsoluteError(Loss):
    """Mean of |y - t| over all outputs of all samples."""

    kind = "mean_absolute_error"


class HalfSumSquaredError(Loss):
    """E = 1/2 * sum of (t - y)^2 over outputs and samples; reduction "mean" averages over samples."""

    kind = "half_sum_squared_error"

    def __init__(self, reduction: Reduction = "sum") -> None:
        super().__init__(reduction)


class Huber(Loss):
    """e^2 / 2 where |e| = |y - t| <= delta, else delta * (|e| - delta / 2); the mean over all outputs."""

    kind = "huber"

    def __init__(self, delta: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.delta = number("Huber", "delta", delta, closed="neither")

    def spec(self, targets: TargetKind, activation: str | None) -> dict[str, Any]:
        """The loss as the core takes it."""
        return {**super().spec(targets, activation), "delta": self.delta}

    def _value(self, y: NDArray, y_pred: NDArray, weight: NDArray | None) -> Any:
        return _core.huber(y_pred, y, self.delta, self.reduction, weight)


class _Entropy(Loss):
    def __init__(self, from_logits: FromLogits, label_smoothing: float, reduction: Reduction) -> None:
        super().__init__(reduction)
        if from_logits not in (True, False, "auto"):
            raise ValueError(f"argument 'from_logits' expected True, False or 'auto', got {from_logits!r}")
        self.from_logits = from_logits
        self.label_smoothing = number(type(self).__name__, "label_smoothing", label_smoothing, high=1.0)

    def takes_logits(self, activation: str | None) -> bool:
        """Whether the output of a model that ends in `activation` counts as logits."""
        if self.from_logits == "auto":
            return activation not in _PROBABILITIES
        return self.from_logits

    def spec(self, targets: TargetKind, activation: str | None) -> dict[str, Any]:
        """The loss as the core takes it."""
        return {
            **super().spec(targets, activation),
            "from_logits": self.takes_logits(activation),
        }


class BinaryCrossentropy(_Entropy):
    """-t log p - (1 - t) log(1 - p), the mean over all outputs; targets in [0, 1].

    Args:
        from_logits: whether outputs are logits; "auto": unless the model's graph shows that they lie in [0, 1],
            as those of a sigmoid or softmax do, also behind a reshape, pool, mean or product of them, or in a model
            inside. Called on arrays, "auto" means probabilities.
        label_smoothing: in [0, 1]; targets are drawn towards 1/2 by this share.
        reduction: "mean" or "sum"; "none" on arrays alone.
    """

    kind = "binary_cross_entropy"

    def __init__(
        self, from_logits: FromLogits = "auto", label_smoothing: float = 0.0, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(from_logits, label_smoothing, reduction)

    def targets(self, y: Any, output_shape: Shape) -> tuple[NDArray, TargetKind]:
        """Targets in [0, 1], of the output's shape."""
        array = data.values(y, output_shape)
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise ValueError(
                f"{type(self).__name__}: targets expected in [0, 1], got {array.min()} to {array.max()}"
            )
        if self.label_smoothing:
            array = array * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return array, "values"

    def _value(self, y: NDArray, y_pred: NDArray, weight: NDArray | None) -> Any:
        function = (
            _core.sigmoid_binary_cross_entropy if self.from_logits is True else _core.binary_cross_entropy
        )
        return function(y_pred, y, self.reduction, weight)


class CategoricalCrossentropy(_Entropy):
    """-log of the target class's probability, the mean over samples.

    Targets are labels (N,) or distributions (N, K), one-hot for instance; shape and dtype tell which.

    Args:
        from_logits: whether outputs are logits; "auto": unless the model's graph shows that they lie in [0, 1],
            as those of a softmax or sigmoid do, also behind a reshape, pool, mean or product of them, or in a model
            inside. Probabilities are divided by their sum, as Keras does. Called on arrays, "auto" means
            probabilities.
        label_smoothing: in [0, 1]; this share of the target is spread over all classes.
        reduction: "mean" or "sum"; "none" on arrays alone.
    """

    kind = "softmax_cross_entropy"

    def __init__(
        self, from_logits: FromLogits = "auto", label_smoothing: float = 0.0, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(from_logits, label_smoothing, reduction)

    def targets(self, y: Any, output_shape: Shape) -> tuple[NDArray, TargetKind]:
        """Labels (N,), checked against the number of classes, or distributions (N, K)."""
        return data.class_targets(y, output_shape)

    def spec(self, targets: TargetKind, activation: str | None) -> dict[str, Any]:
        """The loss as the core takes it."""
        return {**super().spec(targets, activation), "label_smoothing": self.label_smoothing}

    def _value(self, y: NDArray, y_pred: NDArray, weight: NDArray | None) -> Any:
        if self.from_logits is not True:
            y_pred = np.log(np.maximum(y_pred, 1e-12))
        return _core.softmax_cross_entropy(y_pred, y, self.label_smoothing, self.reduction, weight)


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """`CategoricalCrossentropy` under the name that Keras gives it for labels."""


LossLike: TypeAlias = str | Loss | type[Loss]
_BY_NAME: dict[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
    "half_sum_squared_error": HalfSumSquaredError,
    "bce": BinaryCrossentropy,
    "cross_entropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


def get(loss: LossLike) -> Loss:
    """A Loss from a Loss, its class, or a name."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if not isinstance(loss, str):
        raise TypeError(f"argument 'loss' expected a name or a Loss, got {type(loss).__name__}")
    return look_up("loss", "loss", loss, _BY_NAME)()
