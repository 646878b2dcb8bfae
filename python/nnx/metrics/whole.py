"""Metrics of a whole evaluated set, computed in NumPy from all targets and outputs at once.

They are part of what `evaluate` gives and of validation, and have no value while an epoch trains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from nnx._checks import integer
from nnx._types import NDArray
from nnx.metrics.base import Metric, Setting


class WholeSet(Metric):
    """The base: `of(y_true, y_pred)` gives the metric of all samples."""

    def of(self, y_true: NDArray, y_pred: NDArray) -> Any:
        """The metric of targets, labels (N,) or arrays (N, ...), and outputs (N, ...)."""
        raise NotImplementedError(f"{type(self).__name__} expected a method of(self, y_true, y_pred)")

    def spec(self, setting: Setting) -> dict[str, Any]:
        """Nothing is counted batch by batch."""
        raise TypeError(f"{self.name}: nothing is counted batch by batch")

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """The metric of predictions y_pred against targets y_true."""
        y, prediction = np.asarray(y_true), np.asarray(y_pred)
        if y.ndim == 0 or len(y) != len(prediction):
            raise ValueError(
                f"{self.name}: y_true and y_pred expected one length, got shapes {y.shape} and {prediction.shape}"
            )
        return self.of(y, prediction)


class Function(WholeSet):
    """A function f(y_true, y_pred) of NumPy arrays, one of scikit-learn's metrics say, as a metric.

    Args:
        function: takes targets, labels (N,) or arrays (N, ...), and outputs (N, ...); returns a number.
        name: what it is reported under; None: the function's own.

    Raises:
        TypeError: where it is no function.
    """

    def __init__(self, function: Callable[[Any, Any], Any], name: str | None = None) -> None:
        super().__init__()
        if not callable(function):
            raise TypeError(
                f"Function: argument 'function' expected a function, got {type(function).__name__}"
            )
        self.function = function
        self.name = name or str(getattr(function, "__name__", "function"))

    def of(self, y_true: NDArray, y_pred: NDArray) -> Any:
        """See the function."""
        return self.function(y_true, y_pred)


class AUC(WholeSet):
    """The area under the curve of true positives over false ones ("ROC"), or of precision over recall ("PR").

    Args:
        num_thresholds: how many thresholds between 0 and 1 the curve is taken at, as Keras does; None: all there are,
            which for "ROC" is the chance that a positive sample's score is above a negative one's, ties counting half
            (Hanley and McNeil 1982), for "PR" the average precision.
        curve: "ROC" or "PR".
        name: what it is reported under.

    Targets are 0 and 1, or labels of classes, which count as one-hot; several outputs count as so many samples. NaN where
    all targets are equal.

    Raises:
        ValueError: for an unknown curve, "PR" with thresholds, or fewer than 2 of them.
    """

    name = "auc"

    def __init__(
        self,
        num_thresholds: int | None = None,
        curve: Literal["ROC", "PR"] = "ROC",
        name: str | None = None,
    ) -> None:
        super().__init__()
        if curve not in ("ROC", "PR"):
            raise ValueError(f"AUC: argument 'curve' expected 'ROC' or 'PR', got {curve!r}")
        if curve == "PR" and num_thresholds is not None:
            raise ValueError(
                f"AUC: argument 'num_thresholds' expected None for curve 'PR', got {num_thresholds}"
            )
        self.num_thresholds = (
            None if num_thresholds is None else integer("AUC", "num_thresholds", num_thresholds, low=2)
        )
        self.curve = curve
        self.name = name or self.name

    def of(self, y_true: NDArray, y_pred: NDArray) -> float:
        """The area, a float."""
        scores = np.asarray(y_pred, np.float64)
        if y_true.ndim == 1 and scores.ndim == 2 and scores.shape[1] > 1:
            y_true = np.eye(scores.shape[1])[y_true.astype(np.int64)]
        positive = np.asarray(y_true).reshape(-1) > 0.5
        scores = scores.reshape(-1)
        if scores.size != positive.size:
            raise ValueError(
                f"AUC: y_true and y_pred expected one shape, got {y_true.shape} and {y_pred.shape}"
            )
        if np.isnan(scores).any() or positive.all() or not positive.any():
            return float("nan")
        if self.num_thresholds is not None:
            return _at_thresholds(positive, scores, self.num_thresholds)
        return _average_precision(positive, scores) if self.curve == "PR" else _rank_area(positive, scores)


def _rank_area(positive: NDArray, scores: NDArray) -> float:
    """By the ranks of scores, equal ones sharing theirs."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (positive.size - n)))


def _average_precision(positive: NDArray, scores: NDArray) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # of equal scores
    found, seen = hits[last], np.flatnonzero(last) + 1
    return float(np.sum(np.diff(np.append(0, found)) * (found / seen)) / positive.sum())


def _at_thresholds(positive: NDArray, scores: NDArray, count: int) -> float:
    """Keras's: thresholds from just below 0 to just above 1, and trapezoids."""
    inner = np.arange(1, count - 1) / (count - 1)
    thresholds = np.concatenate([[-1e-7], inner, [1 + 1e-7]])
    above = [scores > threshold for threshold in thresholds]
    true = np.array([np.sum(a & positive) for a in above]) / positive.sum()
    false = np.array([np.sum(a & ~positive) for a in above]) / (~positive).sum()
    return float(np.sum((false[:-1] - false[1:]) * (true[:-1] + true[1:]) / 2))
