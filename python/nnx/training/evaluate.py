"""What `evaluate` and `predict` do."""

from __future__ import annotations

import functools
from typing import Any

from nnx import data
from nnx.training import several, sources
from nnx.training.learner import Learner
from nnx.training.reports import Hooks, Reporter
from nnx.training.sources import Batches, Source
from nnx.training.totals import Totals


def evaluate(
    learner: Learner, x: Any, y: Any, batch_size: int, sample_weight: Any, hooks: Hooks
) -> dict[str, Any]:
    """Loss and metrics; see `Model.evaluate`."""
    learner.expect_compiled()
    with learner.graphs.tentative():
        source = sources.source(learner, x, y, sample_weight)
        sources.expect_samples("x", source)
    return evaluate_source(learner, source, batch_size, hooks)


def evaluate_source(learner: Learner, source: Source, batch_size: int, hooks: Hooks) -> dict[str, Any]:
    """Loss and metrics of checked samples."""
    reporter = Reporter(hooks, "test", learner.state)
    totals = Totals()
    hooks.call("on_test_begin", None)
    single = isinstance(source, Batches)
    logs: dict[str, Any] = {}
    for part in source.prepared(learner) if isinstance(source, Batches) else [source]:
        batch = max(1, part.samples if single else min(batch_size, part.samples))
        traced = learner.graph(part.shape)
        program = learner.program("evaluate", traced, batch, part.kind)
        metrics, what = learner.metrics_of(traced), learner.setting(traced, part.kind)
        reporter.batch_begin(totals.steps)

        def progress(
            steps: int,
            samples: int,
            loss_sum: float,
            counts: list[list[float]],
            last: int = part.samples,
            what: Any = what,
            metrics: Any = metrics,
        ) -> bool:
            so_far = totals.plus(samples, steps, loss_sum, counts)
            final = samples == last
            logs_now = functools.partial(so_far.logs, metrics, what)
            reporter.report(so_far.steps, so_far.samples, logs_now, final, begin_next=not final)
            return False

        totals.add(program.evaluate(*part.fed, batch, progress, reporter.interval, part.moved))
        logs = totals.logs(metrics, what)
    hooks.call("on_test_end", logs)
    return logs


def predict(learner: Learner, x: Any, batch_size: int, hooks: Hooks | None = None) -> Any:
    """The model's outputs (N, ...); see `Model.predict`."""
    parts = several.inputs(learner.graphs.root, x, learner.graphs.input_shape)
    inputs: Any = data.features(x) if parts is None else parts.arrays
    samples = len(inputs if parts is None else parts.arrays[0])
    traced = learner.graph(several.shape_of(inputs, () if parts is None else parts.names))
    batch = max(1, min(batch_size, samples))
    program = learner.prediction_program(traced, batch)
    if hooks is None:
        return traced.layout.packed(program.predict(inputs, batch))
    reporter = Reporter(hooks, "predict", learner.state)
    hooks.call("on_predict_begin", None)
    reporter.batch_begin(0)

    def progress(steps: int, done: int, loss_sum: float, counts: list[list[float]]) -> bool:
        final = done == samples
        reporter.report(steps, done, dict, final, begin_next=not final)
        return False

    outputs = program.predict(inputs, batch, progress, reporter.interval)
    hooks.call("on_predict_end", None)
    return traced.layout.packed(outputs)
