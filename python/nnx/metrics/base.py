"""What a metric is, and what it makes of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx import _core, data
from nnx._config import Configured
from nnx._types import NDArray, Shape
from nnx.data import TargetKind


@dataclass(frozen=True)
class Setting:
    """What a metric is to look at: the model's outputs and the targets beside them."""

    output_shape: Shape  # without the batch axis
    targets: TargetKind
    binary: bool  # every output is a yes or no of its own
    logits: bool = False  # ... given as a logit, not a probability

    def threshold(self, probability: float) -> float:
        """The output that means this probability."""
        if not self.logits:
            return probability
        with np.errstate(divide="ignore"):
            return float(np.log(probability) - np.log1p(-probability))


class Metric(Configured):
    """The base of all metrics."""

    _hidden = ("result",)

    name: str  # what it is reported under
    _settings = ("name",)

    def __init__(self) -> None:
        super().__init__()

    def spec(self, setting: Setting) -> dict[str, Any]:
        """What the core is to count."""
        raise NotImplementedError

    def result(self, counts: NDArray, samples: int, setting: Setting) -> Any:
        """The metric from those counts over `samples` samples."""
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """The metric of predictions y_pred against targets y_true."""
        y, prediction, setting = self._arrays(y_true, y_pred)
        counts = count(self.spec(setting), prediction, y)
        return self.result(counts, len(prediction), setting)

    def _arrays(self, y_true: Any, y_pred: Any) -> tuple[NDArray, NDArray, Setting]:
        return classification(y_true, y_pred)


def count(spec: dict[str, Any], prediction: NDArray, y: NDArray) -> NDArray:
    """The counts that a spec asks for, of arrays."""
    kind = spec["kind"]
    if kind == "top_k":
        counts = _core.count_top_k(prediction, y, spec["k"])
    elif kind == "binary":
        counts = _core.count_binary(prediction, y, spec["threshold"])
    elif kind == "confusion":
        counts = _core.confusion(prediction, y)
    elif kind == "binary_confusion":
        counts = _core.binary_confusion(prediction, y, spec["threshold"])
    else:
        counts = _core.regression_sums(prediction, y)
    return np.asarray(counts, dtype=np.float64)


def outputs(y_true: Any, y_pred: Any, binary: bool) -> tuple[NDArray, NDArray, Setting]:
    """Targets and predictions that are compared number by number."""
    prediction = data.floats(y_pred, "y_pred")
    if prediction.ndim == 1:
        prediction = prediction[:, None]
    y = data.values(y_true, prediction.shape[1:], "y_true").astype(prediction.dtype)
    _same_length(y, prediction)
    if binary and np.any((prediction < 0) | (prediction > 1)):  # NaN is neither
        raise ValueError(
            "argument 'y_pred' expected probabilities in [0, 1] or labels, got other values: of logits give "
            "nnx.ops.sigmoid(y_pred)"
        )
    return y, prediction, Setting(prediction.shape[1:], "values", binary)


def classification(y_true: Any, y_pred: Any) -> tuple[NDArray, NDArray, Setting]:
    """Targets and predictions that are classes: labels, scores, or probabilities of yes."""
    prediction = data.as_array(y_pred, "y_pred")
    if prediction.ndim == 1 and prediction.dtype.kind in "iub":
        truth = data.labels(data.as_array(y_true, "y_true"), 2**31 - 1, "y_true")
        chosen = data.labels(prediction, 2**31 - 1, "y_pred")
        _same_length(truth, chosen)
        classes = int(max(truth.max(initial=0), chosen.max(initial=0))) + 1
        if classes <= 2:
            return outputs(truth, chosen, binary=True)
        prediction = (chosen[:, None] == np.arange(classes)).astype(np.float32)
        return truth, prediction, Setting((classes,), "labels", binary=False)
    if prediction.ndim == 1 or prediction.shape[1:] == (1,):
        return outputs(y_true, prediction, binary=True)
    prediction = data.floats(prediction, "y_pred")
    y, kind = data.class_targets(y_true, prediction.shape[1:], "y_true")
    _same_length(y, prediction)
    if kind != "labels":
        y = y.astype(prediction.dtype)
    return y, prediction, Setting(prediction.shape[1:], kind, binary=False)


def _same_length(y: NDArray, prediction: NDArray) -> None:
    if len(y) != len(prediction):
        raise ValueError(f"y_true and y_pred expected one length, got {len(y)} and {len(prediction)}")
