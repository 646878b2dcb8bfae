"""What `evaluate` and `predict` do."""

from __future__ import annotations

import functools
import math
from typing import Any

from nnx import data
from nnx.graph.inputs import each, listed
from nnx.graph.outputs import Layout
from nnx.training import several, sources
from nnx.training.learner import Learner
from nnx.training.reports import Hooks, Reporter
from nnx.training.sources import Batches, Source
from nnx.training.streams import Stream, warn_of_end
from nnx.training.totals import Totals
from nnx.training.whole import WholeSets


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
    totals, whole = Totals(), WholeSets(learner.metrics)
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
        whole.add(learner, traced, part, batch)
    logs |= whole.logs()
    hooks.call("on_test_end", logs)
    return logs


def predict(
    learner: Learner, x: Any, batch_size: int, hooks: Hooks | None = None, steps: int | None = None
) -> Any:
    """The model's outputs (N, ...); see `Model.predict`."""
    reporter = None if hooks is None else Reporter(hooks, "predict", learner.state)
    if not data.is_batches(x):
        inputs, names = _inputs(learner, x)
        if steps is not None:
            there = math.ceil(len(listed(inputs)[0]) / batch_size)
            if there < steps:
                warn_of_end("x", "steps", steps, there)
            inputs = each(lambda array: array[: steps * batch_size], inputs)
        outputs, layout = _outputs(learner, inputs, names, batch_size, reporter, True)
    else:
        stream = Stream(x, limit=steps, limited_by="steps")
        try:
            parts = []
            for number, batch in enumerate(stream.given(learner.graphs.lock)):
                inputs, names = _inputs(learner, data.inputs_of(batch))
                size = len(listed(inputs)[0])
                part, layout = _outputs(learner, inputs, names, size, reporter, number == 0)
                parts.append(part)
        finally:
            stream.close()
        outputs = several.joined(parts)
    if hooks is not None:
        hooks.call("on_predict_end", None)
    return layout.packed(outputs)


def _inputs(learner: Learner, x: Any) -> tuple[Any, tuple[str, ...]]:
    """An array, or a tuple of those of several inputs, and the names of a dict for an only argument."""
    parts = several.inputs(learner.graphs.root, x, learner.graphs.input_shape)
    return (data.features(x), ()) if parts is None else (parts.arrays, tuple(parts.names))


def _outputs(
    learner: Learner,
    inputs: Any,
    names: tuple[str, ...],
    batch_size: int,
    reporter: Reporter | None,
    first: bool,
) -> tuple[Any, Layout]:
    """Those for an array, the only or `first` one, or a further one, as arrays, and how the model has them."""
    samples = len(listed(inputs)[0])
    traced = learner.graph(several.shape_of(inputs, names))
    batch = max(1, min(batch_size, samples))
    program = learner.prediction_program(traced, batch)
    if reporter is None:
        return program.predict(inputs, batch), traced.layout
    if first:
        reporter.hooks.call("on_predict_begin", None)
    before = reporter.steps, reporter.samples
    reporter.batch_begin(before[0])

    def progress(steps: int, done: int, loss_sum: float, counts: list[list[float]]) -> bool:
        final = done == samples
        reporter.report(before[0] + steps, before[1] + done, dict, final, begin_next=not final)
        return False

    return program.predict(inputs, batch, progress, reporter.interval), traced.layout
