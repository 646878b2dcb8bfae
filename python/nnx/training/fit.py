"""What `fit` does: checks first, then epochs, with reports on the way."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from nnx import data
from nnx._types import ClassWeight
from nnx.training import sources
from nnx.training.evaluate import evaluate_source
from nnx.training.learner import Learner
from nnx.training.orders import Orders
from nnx.training.reports import Hooks, Reporter
from nnx.training.sources import Arrays, Source


@dataclass
class Plan:
    """The arguments of `fit`."""

    batch_size: int
    epochs: int
    shuffle: bool
    validation_split: float
    validation_data: Any
    class_weight: ClassWeight
    sample_weight: npt.ArrayLike | None
    initial_epoch: int | None  # None: where the model stands


class Run:
    """One call of `fit`: made, everything is checked; `train` then trains."""

    def __init__(self, learner: Learner, x: Any, y: Any, plan: Plan) -> None:
        learner.expect_compiled()
        if learner.state.running:
            raise RuntimeError("fit: the model trains already, in a call that is not over: a callback's?")
        self.learner = learner
        self.plan = plan
        with learner.graphs.tentative():
            self._check(x, y)
        start = learner.state.epoch if plan.initial_epoch is None else plan.initial_epoch
        self.epochs = range(start, start + plan.epochs if plan.initial_epoch is None else plan.epochs)
        self.orders: Orders | None = None
        self._warned = False

    def _check(self, x: Any, y: Any) -> None:
        """Finds the samples, and looks at all that can be looked at before the first step."""
        learner, plan = self.learner, self.plan
        self.source = sources.source(learner, x, y, plan.sample_weight, plan.class_weight)
        self.held_out: Source | None = None
        if plan.validation_data is not None:
            given = plan.validation_data
            self.held_out = sources.source(
                learner, *(given, None) if data.is_batches(given) else data.unpack(given)
            )
            sources.check_first(learner, self.held_out, "validation_data")
        elif plan.validation_split:
            if not isinstance(self.source, Arrays):
                raise ValueError("argument 'validation_split' expected 0 beside batches: use validation_data")
            self.source, self.held_out = self.source.split(plan.validation_split, learner.state.drawn_seed())
        sources.expect_samples("x", self.source)
        held_out_by = "validation_data" if plan.validation_data is not None else "validation_split"
        sources.expect_samples(held_out_by, self.held_out)

    @property
    def params(self) -> dict[str, Any]:
        """What callbacks are told about it."""
        arrays = self.source if isinstance(self.source, Arrays) else None
        return {
            "epochs": self.epochs.stop,
            "steps": math.ceil(arrays.samples / self.plan.batch_size) if arrays else None,
            "samples": arrays.samples if arrays else None,
        }

    def train(self, hooks: Hooks) -> None:
        """Trains epoch after epoch."""
        learner, source = self.learner, self.source
        if isinstance(source, Arrays) and self.plan.shuffle:
            rows = source.samples if source.rows is None else source.rows
            self.orders = Orders(rows, learner.state.drawn_seed(), self.epochs, learner.device != "cpu")
        for arrays in (source, self.held_out):
            if isinstance(arrays, Arrays):
                arrays.move(learner.device, learner.dtype)
        state = learner.state
        state.begin()
        if self.plan.initial_epoch is not None:
            state.epoch = self.plan.initial_epoch
        if self.params["steps"] is not None:
            state.steps_per_epoch = self.params["steps"]
        logs: dict[str, Any] = {}
        try:
            hooks.call("on_train_begin", None)
            for epoch in self.epochs:
                if state.stop_training:
                    break
                state.begin_epoch(epoch)
                hooks.call("on_epoch_begin", epoch, None)
                logs = self._epoch(epoch, hooks)
                rate = logs.pop("learning_rate")
                if self.held_out is not None:
                    result = evaluate_source(learner, self.held_out, self.plan.batch_size, hooks)
                    logs.update({f"val_{name}": value for name, value in result.items()})
                logs["learning_rate"] = rate
                state.end_epoch()
                state.history.append((epoch, logs))
                hooks.call("on_epoch_end", epoch, logs)
        finally:
            state.running = False
            hooks.call("on_train_end", logs)

    def _epoch(self, epoch: int, hooks: Hooks) -> dict[str, Any]:
        """Trains one epoch; its logs."""
        source, state = self.source, self.learner.state
        reporter = Reporter(hooks, "train", state)
        if isinstance(source, Arrays):
            reporter.batch_begin(0)
            order = source.rows if self.orders is None else self.orders.of(epoch)
            return self._part(source, epoch, order, reporter)
        logs: dict[str, Any] = {}
        for batch in source.prepared(self.learner):
            reporter.batch_begin(state.totals.steps)
            logs = self._part(batch, epoch, None, reporter, single=True)
            if state.stop_training:
                break
        else:
            state.steps_per_epoch = state.totals.steps
        hooks.call("on_train_progress", state.totals.samples, logs)
        return logs

    def _part(
        self,
        part: Arrays,
        epoch: int,
        order: npt.NDArray[Any] | None,
        reporter: Reporter,
        single: bool = False,
    ) -> dict[str, Any]:
        """Trains on arrays: a whole epoch, or a `single` batch of one."""
        learner, state = self.learner, self.learner.state
        optimizer, metrics = learner.optimizer, learner.metrics
        assert optimizer is not None
        batch = max(1, part.samples if single else min(self.plan.batch_size, part.samples))
        traced = learner.graph(part.x.shape[1:])
        program = learner.program("train", traced, batch, part.kind)
        what = learner.setting(traced, part.kind)
        steps = math.ceil(part.samples / batch)
        rates = optimizer.rates(steps, epoch)
        first = optimizer.iterations

        def progress(steps_done: int, samples: int, loss: float, counts: list[list[float]]) -> bool:
            so_far = state.totals.plus(samples, steps_done, loss, counts)
            rate = float(rates[min(steps_done, len(rates)) - 1])
            reporter.report(
                so_far.steps,
                so_far.samples,
                lambda: {**so_far.logs(metrics, what), "learning_rate": rate},
                final=not single and steps_done == steps,
                begin_next=not single and steps_done < steps,
            )
            return state.stop_training

        result = program.train_epoch(
            *part.fed, order, batch, rates, first, progress, reporter.interval, part.moved, optimizer
        )
        state.totals.add(result)
        self._warn(result["nonfinite"])
        rate = float(rates[min(result["steps"], len(rates)) - 1])
        return {**state.totals.logs(metrics, what), "learning_rate": rate}

    def _warn(self, nonfinite: dict[str, Any] | None) -> None:
        if nonfinite is not None and not self._warned:
            self._warned = True
            warnings.warn(
                f"the loss is not finite from step {nonfinite['step']} on; "
                f"the first layer with such values: '{nonfinite['layer']}'",
                RuntimeWarning,
                stacklevel=6,
            )
