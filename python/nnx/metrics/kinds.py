"""The metrics."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np

from nnx._checks import integer, number
from nnx._types import NDArray
from nnx.metrics.base import Metric, Setting, outputs

Average: TypeAlias = Literal["macro", "micro", "weighted"]


class TopK(Metric):
    """The share of samples whose class is among the k largest outputs."""

    name = "top_k"

    def __init__(self, k: int = 5) -> None:
        self.k = integer("TopK", "k", k)

    def spec(self, setting: Setting) -> dict[str, Any]:
        """What the core is to count."""
        return {"kind": "top_k", "k": min(self.k, setting.output_shape[-1])}

    def result(self, counts: NDArray, samples: int, setting: Setting) -> float:
        """The share."""
        return float(counts[0]) / max(1, samples)


class BinaryAccuracy(Metric):
    """The share of outputs on the same side of the threshold as their targets are of 1/2."""

    name = "binary_accuracy"

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = number("BinaryAccuracy", "threshold", threshold, high=1.0)

    def spec(self, setting: Setting) -> dict[str, Any]:
        """What the core is to count."""
        return {"kind": "binary", "threshold": setting.threshold(self.threshold)}

    def result(self, counts: NDArray, samples: int, setting: Setting) -> float:
        """The share."""
        return float(counts[0]) / max(1, samples * int(np.prod(setting.output_shape)))

    def _arrays(self, y_true: Any, y_pred: Any) -> tuple[NDArray, NDArray, Setting]:
        return outputs(y_true, y_pred, binary=True)


class Accuracy(Metric):
    """The share of right answers: of classes, or, for a single or binary outputs, of those beyond 1/2."""

    name = "accuracy"

    def spec(self, setting: Setting) -> dict[str, Any]:
        """What the core is to count."""
        return self._kind(setting).spec(setting)

    def result(self, counts: NDArray, samples: int, setting: Setting) -> float:
        """The share."""
        return self._kind(setting).result(counts, samples, setting)

    @staticmethod
    def _kind(setting: Setting) -> TopK | BinaryAccuracy:
        return BinaryAccuracy() if setting.binary else TopK(1)


class ConfusionMatrix(Metric):
    """How often a class (row) was taken for another (column): a (K, K) array of counts."""

    name = "confusion_matrix"

    def spec(self, setting: Setting) -> dict[str, Any]:
        """What the core is to count."""
        if setting.binary:
            return {"kind": "binary_confusion", "threshold": setting.threshold(0.5)}
        return {"kind": "confusion"}

    def result(self, counts: NDArray, samples: int, setting: Setting) -> Any:
        """The matrix, of integers."""
        classes = round(np.sqrt(counts.size))
        return counts.reshape(classes, classes).astype(np.int64)


class _Averaged(ConfusionMatrix):
    """Of a binary output its class 1, of several classes the average of all."""

    def __init__(self, average: Average = "macro") -> None:
        if average not in ("macro", "micro", "weighted"):
            raise ValueError(f"argument 'average' expected 'macro', 'micro' or 'weighted', got {average!r}")
        self.average: Average = average

    def result(self, counts: NDArray, samples: int, setting: Setting) -> float:
        """The average over classes."""
        matrix = super().result(counts, samples, setting).astype(np.float64)
        right, actual, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        if setting.binary:
            return float(self._score(right[1:], actual[1:], predicted[1:])[0])
        if self.average == "micro":
            return float(self._score(*(np.array([v.sum()]) for v in (right, actual, predicted)))[0])
        scores = self._score(right, actual, predicted)
        weights = actual if self.average == "weighted" else (actual + predicted > 0).astype(np.float64)
        return float((scores * weights).sum() / max(1.0, weights.sum()))

    def _score(self, right: NDArray, actual: NDArray, predicted: NDArray) -> NDArray:
        raise NotImplementedError


class Precision(_Averaged):
    """Right answers among those given for a class; 0 where none was given."""

    name = "precision"

    def _score(self, right: NDArray, actual: NDArray, predicted: NDArray) -> NDArray:
        return np.asarray(right / np.maximum(predicted, 1.0))


class Recall(_Averaged):
    """Right answers among the samples of a class; 0 where there are none."""

    name = "recall"

    def _score(self, right: NDArray, actual: NDArray, predicted: NDArray) -> NDArray:
        return np.asarray(right / np.maximum(actual, 1.0))


class F1(_Averaged):
    """The harmonic mean of precision and recall."""

    name = "f1"

    def _score(self, right: NDArray, actual: NDArray, predicted: NDArray) -> NDArray:
        return np.asarray(2.0 * right / np.maximum(actual + predicted, 1.0))


class _Regression(Metric):
    def spec(self, setting: Setting) -> dict[str, Any]:
        """What the core is to count."""
        if setting.targets == "labels":
            raise ValueError(f"metric '{self.name}' expected targets like the outputs, got labels")
        return {"kind": "regression"}

    def result(self, counts: NDArray, samples: int, setting: Setting) -> float:
        """The metric over all outputs."""
        # columns: sum (y-t)^2, sum |y-t|, sum t, sum t^2; a row for each output
        return self._from_sums(counts.reshape(-1, 4), max(1, samples))

    def _arrays(self, y_true: Any, y_pred: Any) -> tuple[NDArray, NDArray, Setting]:
        return outputs(y_true, y_pred, binary=False)

    def _from_sums(self, sums: NDArray, samples: int) -> float:
        raise NotImplementedError


class MSE(_Regression):
    """The mean squared error over all outputs."""

    name = "mse"

    def _from_sums(self, sums: NDArray, samples: int) -> float:
        return float(sums[:, 0].mean()) / samples


class RMSE(MSE):
    """The square root of the mean squared error over all outputs, in the targets' units."""

    name = "rmse"

    def _from_sums(self, sums: NDArray, samples: int) -> float:
        return math.sqrt(super()._from_sums(sums, samples))


class MAE(_Regression):
    """The mean absolute error over all outputs."""

    name = "mae"

    def _from_sums(self, sums: NDArray, samples: int) -> float:
        return float(sums[:, 1].mean()) / samples


class R2(_Regression):
    """The share of the targets' variance that is explained, averaged over outputs.

    Of an output whose targets never vary: 1 where it is always right, else 0.
    """

    name = "r2"

    def _from_sums(self, sums: NDArray, samples: int) -> float:
        error, total, squares = sums[:, 0], sums[:, 2], sums[:, 3]
        spread = squares - total**2 / samples
        varies = spread > 1e-12 * np.abs(squares)
        scores = np.where(varies, 1.0 - error / np.where(varies, spread, 1.0), error == 0)
        return float(scores.mean())
