"""What `evaluate` and `predict` do."""

from __future__ import annotations

import functools
from typing import Any

from nnx import data
from nnx._types import NDArray
from nnx.metrics import Setting
from nnx.training import sources
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


def predict(learner: Learner, x: Any, batch_size: int, hooks: Hooks | None = None) -> NDArray:
    """The model's outputs (N, ...); see `Model.predict`."""
    inputs = data.features(x)
    traced = learner.graph(inputs.shape[1:])
    batch = max(1, min(batch_size, len(inputs)))
    program = learner.prediction_program(traced, batch)
    if hooks is None:
        return program.predict(inputs, batch)
    reporter = Reporter(hooks, "predict", learner.state)
    hooks.call("on_predict_begin", None)
    reporter.batch_begin(0)

    def progress(steps: int, samples: int, loss_sum: float, counts: list[list[float]]) -> bool:
        final = samples == len(inputs)
        reporter.report(steps, samples, dict, final, begin_next=not final)
        return False

    outputs = program.predict(inputs, batch, progress, reporter.interval)
    hooks.call("on_predict_end", None)
    return outputs
