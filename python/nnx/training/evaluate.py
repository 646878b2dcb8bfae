"""What `evaluate` and `predict` do."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from nnx import data
from nnx._types import NDArray
from nnx.metrics import Setting
from nnx.training import sources
from nnx.training.learner import Learner
from nnx.training.reports import Hooks, Reporter
from nnx.training.sources import Batches, Source
from nnx.training.streams import Stream, warn_of_end
from nnx.training.totals import Totals


def evaluate(
    learner: Learner,
    x: Any,
    y: Any,
    batch_size: int,
    sample_weight: Any,
    hooks: Hooks,
    steps: int | None = None,
) -> dict[str, Any]:
    """Loss and metrics; see `Model.evaluate`."""
    learner.expect_compiled()
    with learner.graphs.tentative():
        source = sources.source(learner, x, y, sample_weight)
        sources.expect_samples("x", source)
    source = sources.limited(source, steps, batch_size, "steps")
    try:
        return evaluate_source(learner, source, batch_size, hooks)
    finally:
        sources.close(source)


def evaluate_source(learner: Learner, source: Source, batch_size: int, hooks: Hooks) -> dict[str, Any]:
    """Loss and metrics of checked samples."""
    reporter = Reporter(hooks, "test", learner.state)
    totals = Totals()
    hooks.call("on_test_begin", None)
    single = isinstance(source, Batches)
    logs: dict[str, Any] = {}
    for part in source.prepared(learner) if isinstance(source, Batches) else [source]:
        batch = max(1, part.samples if single else min(batch_size, part.samples))
        traced = learner.graph(part.x.shape[1:])
        program = learner.program("evaluate", traced, batch, part.kind)
        what = learner.setting(traced, part.kind)
        reporter.batch_begin(totals.steps)

        def progress(
            steps: int,
            samples: int,
            loss_sum: float,
            counts: list[list[float]],
            last: int = part.samples,
            what: Setting = what,
        ) -> bool:
            so_far = totals.plus(samples, steps, loss_sum, counts)
            final = samples == last
            logs_now = functools.partial(so_far.logs, learner.metrics, what)
            reporter.report(so_far.steps, so_far.samples, logs_now, final, begin_next=not final)
            return False

        totals.add(program.evaluate(*part.fed, batch, progress, reporter.interval, part.moved))
        logs = totals.logs(learner.metrics, what)
    hooks.call("on_test_end", logs)
    return logs


def predict(
    learner: Learner, x: Any, batch_size: int, hooks: Hooks | None = None, steps: int | None = None
) -> NDArray:
    """The model's outputs (N, ...); see `Model.predict`."""
    reporter = None if hooks is None else Reporter(hooks, "predict", learner.state)
    if not data.is_batches(x):
        inputs = data.features(x)
        if steps is not None:
            there = math.ceil(len(inputs) / batch_size)
            if there < steps:
                warn_of_end("x", "steps", steps, there)
            inputs = inputs[: steps * batch_size]
        outputs = _outputs(learner, inputs, batch_size, reporter, True)
    else:
        stream = Stream(x, limit=steps, limited_by="steps")
        try:
            parts = [
                _outputs(learner, inputs, len(inputs), reporter, number == 0)
                for number, inputs in enumerate(
                    data.features(data.inputs_of(batch)) for batch in stream.given(learner.graphs.lock)
                )
            ]
        finally:
            stream.close()
        outputs = np.concatenate(parts)
    if hooks is not None:
        hooks.call("on_predict_end", None)
    return outputs


def _outputs(
    learner: Learner, inputs: NDArray, batch_size: int, reporter: Reporter | None, first: bool
) -> NDArray:
    """Those for an array, the only or `first` one, or a further one."""
    traced = learner.graph(inputs.shape[1:])
    batch = max(1, min(batch_size, len(inputs)))
    program = learner.prediction_program(traced, batch)
    if reporter is None:
        return program.predict(inputs, batch)
    if first:
        reporter.hooks.call("on_predict_begin", None)
    before = reporter.steps, reporter.samples
    reporter.batch_begin(before[0])

    def progress(steps: int, samples: int, loss_sum: float, counts: list[list[float]]) -> bool:
        final = samples == len(inputs)
        reporter.report(before[0] + steps, before[1] + samples, dict, final, begin_next=not final)
        return False

    return program.predict(inputs, batch, progress, reporter.interval)
