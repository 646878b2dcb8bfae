"""Metrics: numbers to watch, which training does not use.

Programs count what a metric needs (right answers, a confusion matrix, sums of errors) next to the loss, over
exactly the samples seen; the metric makes a number of the counts. Each is also a function of arrays,
`accuracy(y_true, y_pred)`, and can be given to `compile` by name, by class, by object or as that function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from nnx._config import look_up
from nnx._types import NDArray
from nnx.metrics import names
from nnx.metrics.base import Metric, Setting
from nnx.metrics.kinds import (
    F1,
    MAE,
    MSE,
    R2,
    RMSE,
    Accuracy,
    Average,
    BinaryAccuracy,
    ConfusionMatrix,
    Precision,
    Recall,
    TopK,
)
from nnx.metrics.names import *
from nnx.metrics.whole import AUC, Function, WholeSet

__all__ = [
    "AUC",
    "F1",
    "MAE",
    "MSE",
    "R2",
    "RMSE",
    "Accuracy",
    "BinaryAccuracy",
    "ConfusionMatrix",
    "Function",
    "Metric",
    "Precision",
    "Recall",
    "Setting",
    "TopK",
    "WholeSet",
    "accuracy",
    "binary_accuracy",
    "confusion_matrix",
    "f1",
    "get",
    "mae",
    "mse",
    "precision",
    "r2",
    "recall",
    "rmse",
    "top_k",
]  # fmt: skip
__all__ += names.__all__


def accuracy(y_true: Any, y_pred: Any) -> float:
    """The share of right answers; y_pred are labels (N,), scores (N, K), or probabilities (N,) or (N, 1)."""
    return float(Accuracy()(y_true, y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> float:
    """The share of probabilities on the right side of the threshold."""
    return float(BinaryAccuracy(threshold)(y_true, y_pred))


def top_k(y_true: Any, y_pred: Any, k: int = 5) -> float:
    """The share of samples whose class is among the k largest scores (N, K)."""
    return float(TopK(k)(y_true, y_pred))


def precision(y_true: Any, y_pred: Any, average: Average = "macro") -> float:
    """Right answers among those given for a class; of class 1 for two classes, else averaged."""
    return float(Precision(average)(y_true, y_pred))


def recall(y_true: Any, y_pred: Any, average: Average = "macro") -> float:
    """Right answers among the samples of a class; of class 1 for two classes, else averaged."""
    return float(Recall(average)(y_true, y_pred))


def f1(y_true: Any, y_pred: Any, average: Average = "macro") -> float:
    """The harmonic mean of precision and recall; of class 1 for two classes, else averaged."""
    return float(F1(average)(y_true, y_pred))


def confusion_matrix(y_true: Any, y_pred: Any) -> NDArray:
    """Counts (K, K): rows are the targets' classes, columns the predicted ones."""
    return np.asarray(ConfusionMatrix()(y_true, y_pred))


def mse(y_true: Any, y_pred: Any) -> float:
    """The mean squared error."""
    return float(MSE()(y_true, y_pred))


def rmse(y_true: Any, y_pred: Any) -> float:
    """The square root of the mean squared error."""
    return float(RMSE()(y_true, y_pred))


def mae(y_true: Any, y_pred: Any) -> float:
    """The mean absolute error."""
    return float(MAE()(y_true, y_pred))


def r2(y_true: Any, y_pred: Any) -> float:
    """The share of the targets' variance that is explained, averaged over outputs."""
    return float(R2()(y_true, y_pred))


MetricLike: TypeAlias = str | Metric | type[Metric] | Callable[..., Any]
_CLASSES: tuple[type[Metric], ...] = (
    Accuracy, BinaryAccuracy, TopK, Precision, Recall, F1, ConfusionMatrix, MSE, RMSE, MAE, R2, AUC,
)  # fmt: skip
_BY_NAME: dict[str, type[Metric]] = {metric.name: metric for metric in _CLASSES}


def get(metric: MetricLike) -> Metric:
    """A Metric from a Metric, its class, its function, or a name, which it is then reported under.

    A function of one's own, f(y_true, y_pred) of NumPy arrays, is a `Function`.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, type) and issubclass(metric, Metric):
        return metric()
    if callable(metric) and not str(getattr(metric, "__module__", "")).startswith("nnx."):
        return Function(metric)
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))
    found = look_up("metric", "metrics", name, _BY_NAME)()
    if isinstance(metric, str) and found.name != metric:
        found.name = metric
    return found
