"""Losses: what training makes small.

A loss says how its targets look, and what computes it within a program: a kernel of its own, or operations traced from
a formula. Called on arrays, `loss(y_true, y_pred)`, it gives its value at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nnx._config import look_up
from nnx.losses.base import Loss
from nnx.losses.fused import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    FromLogits,
    HalfSumSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from nnx.losses.traced import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CosineSimilarity,
    FunctionLoss,
    Hinge,
    KLDivergence,
    LogCosh,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
    TracedLoss,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CosineSimilarity",
    "FromLogits",
    "FunctionLoss",
    "HalfSumSquaredError",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossLike",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "TracedLoss",
    "get",
]

LossLike: TypeAlias = str | Loss | type[Loss] | Callable[[Any, Any], Any]
_BY_NAME: dict[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
    "half_sum_squared_error": HalfSumSquaredError,
    "bce": BinaryCrossentropy,
    "cross_entropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "kl_divergence": KLDivergence,
    "poisson": Poisson,
    "log_cosh": LogCosh,
    "cosine_similarity": CosineSimilarity,
    "binary_focal_crossentropy": BinaryFocalCrossentropy,
    "categorical_focal_crossentropy": CategoricalFocalCrossentropy,
}


def get(loss: LossLike) -> Loss:
    """A Loss from a Loss, its class, a name, or a function of y_true and y_pred."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if not isinstance(loss, str):
        return FunctionLoss(loss)
    return look_up("loss", "loss", loss, _BY_NAME)()
