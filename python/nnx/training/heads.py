"""The outputs of a model as training sees them: each with its loss, its weight and its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx import losses
from nnx._checks import number
from nnx.data import TargetKind
from nnx.graph.tracing import Traced
from nnx.losses import Loss
from nnx.metrics import Metric, Setting


@dataclass(frozen=True)
class Head:
    """One of several outputs."""

    name: str
    loss: Loss | None
    weight: float
    metrics: tuple[Metric, ...]


class Watched(tuple[tuple[Head, "Setting | None"], ...]):
    """What the metrics of several outputs look at."""

    __slots__ = ()

    def specs(self) -> list[dict[str, Any]]:
        """What the core is to sum up: the loss of each output, and what its metrics need, each thing once."""
        specs: list[dict[str, Any]] = []
        for number_, (head, setting) in enumerate(self):
            if setting is None:
                continue
            wanted = [{"kind": "loss"}, *(metric.spec(setting) for metric in head.metrics)]
            for spec in ({**spec, "output": number_} for spec in wanted):
                if spec not in specs:
                    specs.append(spec)
        return specs

    def logs(self, counts: Sequence[np.ndarray[Any, Any]], samples: int) -> dict[str, Any]:
        """The losses of the outputs, then their metrics, under Keras's names."""
        found = list(zip(self.specs(), counts, strict=True))

        def of(spec: dict[str, Any], output: int) -> Any:
            return next(c for known, c in found if known == {**spec, "output": output})

        losses_now: dict[str, Any] = {}
        logs: dict[str, Any] = {}
        for k, (head, setting) in enumerate(self):
            if setting is None:
                continue
            total = float(of({"kind": "loss"}, k)[0]) if samples else np.nan
            losses_now[f"{head.name}_loss"] = total / samples if samples else np.nan
            for metric in head.metrics:
                value = metric.result(of(metric.spec(setting), k), samples, setting) if samples else np.nan
                logs[f"{head.name}_{metric.name}"] = value
        return losses_now | logs


def setting(traced: Traced, loss: Loss | None, kind: TargetKind, output: int = 0) -> Setting:
    """What the metrics of an output look at."""
    symbol = traced.outputs[output]
    shape = symbol.sample_shape
    entropy = loss if isinstance(loss, losses.BinaryCrossentropy) else None
    return Setting(
        shape,
        kind,
        binary=entropy is not None or (kind == "values" and shape[-1:] == (1,)),
        logits=entropy is not None and entropy.takes_logits(symbol.activation),
    )


def loss_spec(traced: Traced, head: Head, kind: TargetKind, output: int) -> dict[str, Any]:
    """An output's loss as the core takes it."""
    assert head.loss is not None
    spec = head.loss.spec_of(kind, traced.outputs[output])
    return spec if head.weight == 1.0 else {**spec, "weight": head.weight}


def resolve(traced: Traced, loss: Any, weights: Any, metrics: Any) -> list[Head]:
    """What a model was compiled with, by output; ValueError where it does not fit the outputs."""
    layout = traced.layout
    by_output = _losses(traced, loss)
    factors: list[Any] = [1.0] * len(by_output)
    if weights is not None:
        given = [weights] if isinstance(weights, (int, float)) else weights
        factors = [1.0 if w is None else w for w in layout.by_output(given, "loss_weights", partly=True)]
    measured = _metrics(traced, metrics)
    heads = []
    for name, loss_, factor, own in zip(layout.names, by_output, factors, measured, strict=True):
        if loss_ is None and own:
            raise ValueError(f"argument 'metrics' expected none for the output '{name}', which has no loss")
        heads.append(Head(name, loss_, number("compile", "loss_weights", factor), tuple(own)))
    if all(head.loss is None for head in heads):
        raise ValueError("argument 'loss' expected a loss for at least one output, got none")
    return heads


def _losses(traced: Traced, loss: Any) -> list[Loss | None]:
    if isinstance(loss, (Mapping, list, tuple)):
        return list(traced.layout.by_output(loss, "loss", partly=True))
    return [loss] * len(traced.outputs)


def _metrics(traced: Traced, metrics: Any) -> list[list[Metric]]:
    count = len(traced.outputs)
    if isinstance(metrics, Mapping):
        given = traced.layout.by_output(metrics, "metrics", partly=True)
    elif any(isinstance(item, (list, tuple)) or item is None for item in metrics) or (
        len(metrics) == count > 1
    ):
        given = traced.layout.by_output(list(metrics), "metrics")
    else:
        given = [list(metrics)] * count
    return [[] if own is None else list(own) if isinstance(own, (list, tuple)) else [own] for own in given]
