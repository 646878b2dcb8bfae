"""What `compile` is given, checked: one of a thing, or several by output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from nnx import losses
from nnx._checks import number
from nnx.callbacks import Callback
from nnx.losses import LossLike
from nnx.metrics import Metric, MetricLike
from nnx.metrics import get as _metric

Callbacks: TypeAlias = Callback | Iterable[Callback] | None
LossesLike: TypeAlias = LossLike | Sequence[LossLike | None] | Mapping[str, LossLike | None] | None
MetricsLike: TypeAlias = (
    MetricLike
    | Iterable[MetricLike | Iterable[MetricLike] | None]
    | Mapping[str, MetricLike | Iterable[MetricLike] | None]
    | None
)


def _get_loss(loss: Any) -> Any:
    return None if loss is None else losses.get(loss)


def losses_of(loss: Any) -> Any:
    """Losses, in lists and dicts as they are given."""
    if isinstance(loss, Mapping):
        return {str(name): _get_loss(item) for name, item in loss.items()}
    if isinstance(loss, (list, tuple)):
        return [_get_loss(item) for item in loss]
    return _get_loss(loss)


def _is_one(metric: Any) -> bool:
    return isinstance(metric, (str, Metric, type)) or callable(metric)


def _several(metrics: Any) -> Any:
    if metrics is None or _is_one(metrics):
        return metrics if metrics is None else _metric(metrics)
    return [_metric(metric) for metric in metrics]


def metrics_of(metrics: Any) -> Any:
    """Metrics: a list, or a dict by output; in them metrics, lists of those, or None."""
    if metrics is None:
        return []
    if isinstance(metrics, Mapping):
        return {str(name): _several(item) for name, item in metrics.items()}
    if _is_one(metrics):
        return [_metric(metrics)]
    return [_several(item) for item in metrics]


def weights_of(weights: Any) -> Any:
    """Weights of losses, in lists and dicts as they are given."""

    def one(weight: Any) -> float | None:
        return None if weight is None else number("compile", "loss_weights", weight)

    if isinstance(weights, Mapping):
        return {str(name): one(weight) for name, weight in weights.items()}
    if isinstance(weights, (list, tuple)):
        return [one(weight) for weight in weights]
    return one(weights)


def list_of(callbacks: Callbacks) -> list[Callback]:
    """One callback, several, or none."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, (str, type)):
        got = callbacks.__name__ if isinstance(callbacks, type) else type(callbacks).__name__
        raise TypeError(f"argument 'callbacks' expected Callback objects, got {got}")
    return list(callbacks)
