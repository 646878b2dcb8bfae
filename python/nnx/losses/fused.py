"""Losses that kernels of their own compute, together with their gradient."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from nnx import _core, data
from nnx._checks import number
from nnx._types import NDArray, Reduction, Shape
from nnx.data import TargetKind
from nnx.losses.base import Loss

# What models end in whose outputs are probabilities; the last where the graph shows that they lie in [0, 1].
_PROBABILITIES = ("hard_sigmoid", "sigmoid", "softmax", "step", "probabilities")

FromLogits: TypeAlias = bool | Literal["auto"]


def takes_logits(from_logits: FromLogits, activation: str | None) -> bool:
    """Whether the outputs of a model that ends in `activation` count as logits."""
    return activation not in _PROBABILITIES if from_logits == "auto" else from_logits


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
        return takes_logits(self.from_logits, activation)

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
