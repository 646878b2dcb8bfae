"""What `fit` does: checks first, then epochs, with reports on the way."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnx._checks import warn
from nnx.training import fingerprints, resuming, sources
from nnx.training.evaluate import evaluate_source
from nnx.training.learner import Learner
from nnx.training.orders import Orders
from nnx.training.plan import Plan, limited_epoch
from nnx.training.reports import Hooks, Reporter
from nnx.training.sources import Arrays, Batches, Source
from nnx.training.state import Record


class Run:
    """One call of `fit`: made, everything is checked; `train` then trains."""

    def __init__(self, learner: Learner, x: Any, y: Any, plan: Plan) -> None:
        learner.expect_compiled()
        if plan.initial_epoch is not None and plan.initial_epoch > plan.epochs:
            warnings.warn(
                f"fit: nothing is trained: argument 'epochs', the epoch to stop before, is {plan.epochs}, "
                f"initial_epoch {plan.initial_epoch}",
                UserWarning,
                stacklevel=4,
            )
        self.learner = learner
        self.plan = plan
        with learner.graphs.tentative():
            self._check(x, y)
        self.epochs, self.record = self._span()
        self.orders: Orders | None = None
        self._warned = False
        self.measure_every = 0

    def _span(self) -> tuple[range, Record]:
        """The epochs to train, and what the run is to be known by."""
        state, plan = self.learner.state, self.plan
        absolute = plan.initial_epoch is not None
        if plan.resume:
            record = state.record or Record(0)
            resuming.expect_same_run(record, plan.compared, self._fingerprints)
            origin = 0 if absolute else record.origin
            return range(state.epoch, origin + plan.epochs), replace(record, arguments=plan.compared)
        start = plan.initial_epoch if plan.initial_epoch is not None else state.epoch
        stop = plan.epochs if absolute else start + plan.epochs
        return range(start, stop), Record(0 if absolute else start, plan.compared)

    def _fingerprints(self) -> dict[str, str]:
        """Those of the data; computed where somebody asks."""
        held_out = {f"validation_data's {n}": f for n, f in fingerprints.of_source(self.held_out).items()}
        return {**fingerprints.of_source(self.source), **(held_out if self.plan.validation_data else {})}

    def _check(self, x: Any, y: Any) -> None:
        """Finds the samples, and looks at all that can be looked at before the first step."""
        learner, plan = self.learner, self.plan
        self.source = sources.source(learner, x, y, plan.sample_weight, plan.class_weight)
        self.held_out: Source | None = None
        if plan.validation_data is not None:
            if plan.validation_split:
                warn("fit: argument 'validation_split' has no effect beside validation_data")
            self.held_out = sources.held_out(learner, plan.validation_data)
            sources.check_first(learner, self.held_out, "validation_data")
        elif plan.validation_split:
            if not isinstance(self.source, Arrays):
                raise ValueError("argument 'validation_split' expected 0 beside batches: use validation_data")
            self.source, self.held_out = self.source.split(plan.validation_split, learner.state.drawn_seed())
        sources.expect_samples("x", self.source)
        held_out_by = "validation_data" if plan.validation_data is not None else "validation_split"
        sources.expect_samples(held_out_by, self.held_out)
        if self.held_out is not None:
            self.held_out = sources.limited(
                self.held_out, plan.validation_steps, plan.validated_at_once, "validation_steps"
            )
        self.samples, self.steps = limited_epoch(self.source, plan)

    @property
    def params(self) -> dict[str, Any]:
        """What callbacks are told about it."""
        return {
            "epochs": self.epochs.stop,
            "steps": self.steps,
            "samples": self.samples,
            "validation_freq": None if self.held_out is None else self.plan.validation_freq,
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
        state, resumed = learner.state, self.plan.resume
        self.measure_every = hooks.measure_every()
        look = functools.partial(self._look, hooks)
        if resumed:
            state.record = self.record
            state.resume(look)
            if isinstance(source, Batches) and source.limit is not None:
                source.skip(learner.graphs.lock, len(state.history) * source.limit)
        else:
            state.begin(self.record, look)
            state.epoch = self.epochs.start
        if self.steps is not None:
            state.steps_per_epoch = self.steps
        logs: dict[str, Any] = {}
        cut = True
        try:
            if resumed:
                self._resume(hooks)
            else:
                hooks.call("on_train_begin", None)
            for epoch in self.epochs:
                if state.stop_training:
                    break
                if not (resumed and state.totals.steps):  # else within an epoch that has begun
                    state.begin_epoch(epoch)
                    hooks.call("on_epoch_begin", epoch, None)
                logs = self._epoch(epoch, hooks)
                rate = logs.pop("learning_rate")
                if self.held_out is not None and self.plan.validates(epoch):
                    result = evaluate_source(learner, self.held_out, self.plan.validated_at_once, hooks)
                    logs.update({f"val_{name}": value for name, value in result.items()})
                logs["learning_rate"] = rate
                if self.measure_every:
                    state.diagnostics.append(state.measurements.by_layer())
                state.end_epoch()
                state.history.append((epoch, logs))
                hooks.call("on_epoch_end", epoch, logs)
            cut = False
        finally:
            try:
                state.end(cut)
            finally:  # also where a callback cannot tell its state
                sources.close(source, self.held_out)
                hooks.call("on_train_end", logs)

    def _look(self, hooks: Hooks) -> None:
        state = self.learner.state
        if self.record.fingerprints is None:
            self.record.fingerprints = self._fingerprints()
        state.callbacks = hooks.states()

    def _resume(self, hooks: Hooks) -> None:
        """Begins where the run was cut off: callbacks are told as if it began, and get their states back."""
        optimizer, state = self.learner.optimizer, self.learner.state
        assert optimizer is not None
        rate = optimizer.learning_rate
        hooks.call("on_train_begin", None)
        if state.totals.steps:
            hooks.call("on_epoch_begin", state.epoch, None)
        hooks.set_states(state.callbacks, state.history)
        optimizer.learning_rate = rate

    def _epoch(self, epoch: int, hooks: Hooks) -> dict[str, Any]:
        """Trains one epoch, or what is left of it; its logs."""
        source, state = self.source, self.learner.state
        reporter = Reporter(hooks, "train", state)
        if isinstance(source, Arrays):
            order = source.rows if self.orders is None else self.orders.of(epoch)
            done, samples = state.totals.samples, self.samples
            if done or samples != source.samples:
                order = np.arange(source.samples) if order is None else order
                order = np.ascontiguousarray(order[done:samples])
            if samples is None or done < samples:
                reporter.batch_begin(state.totals.steps)
            return self._part(source, epoch, order, reporter)
        logs: dict[str, Any] = {}
        done = state.totals.steps
        for number, batch in enumerate(source.steps(self.learner, self.plan.accumulate)):
            if number < done:  # trained on before the run was cut off
                logs = self._logs(batch, epoch) if number == done - 1 else {}
                continue
            reporter.batch_begin(state.totals.steps)
            logs = self._part(batch, epoch, None, reporter, single=True)
            if state.stop_training:
                break
        else:
            state.steps_per_epoch = state.totals.steps
            state.stop_training = state.stop_training or source.ended
        hooks.call("on_train_progress", state.totals.samples, logs)
        return logs

    def _logs(self, part: Arrays, epoch: int) -> dict[str, Any]:
        """Those of the epoch so far, after a step."""
        learner = self.learner
        optimizer = learner.optimizer
        assert optimizer is not None
        traced = learner.graph(part.shape)
        logs = learner.state.totals.logs(learner.metrics_of(traced), learner.setting(traced, part.kind))
        return {**logs, "learning_rate": optimizer.last_rate(epoch)}

    def _part(
        self,
        part: Arrays,
        epoch: int,
        order: npt.NDArray[Any] | None,
        reporter: Reporter,
        single: bool = False,
    ) -> dict[str, Any]:
        """Trains on arrays: an epoch, what `order` says of it, or a `single` batch of one."""
        learner, state = self.learner, self.learner.state
        optimizer = learner.optimizer
        assert optimizer is not None
        samples = part.samples if order is None else len(order)
        if not samples and state.totals.steps:
            return self._logs(part, epoch)
        batch = max(1, part.largest or (part.samples if single else min(self.plan.batch_size, part.samples)))
        traced = learner.graph(part.shape)
        program = learner.program("train", traced, batch, part.kind, self.plan.accumulate, self.measure_every)
        metrics, what = learner.metrics_of(traced), learner.setting(traced, part.kind)
        measured = state.measurements
        steps = math.ceil(samples / (batch * self.plan.accumulate))
        rates = optimizer.rates(steps, epoch)
        if reporter.per_step:  # they may be changed on the way
            rates = np.broadcast_to(rates, steps).copy()
        first, before, known = optimizer.iterations, state.totals, optimizer.learning_rate

        def progress(steps_done: int, samples: int, loss_sum: float, counts: list[list[float]]) -> bool:
            nonlocal known
            state.totals = so_far = before.gone_on(samples, steps_done, loss_sum, counts)
            if self.measure_every and reporter.per_step:  # somebody may save the model
                state.measurements = measured.plus(program.measured())
            rate = float(rates[min(steps_done, len(rates)) - 1])
            reporter.report(
                so_far.steps,
                so_far.samples,
                lambda: {**so_far.logs(metrics, what), "learning_rate": rate},
                final=not single and steps_done == steps,
                begin_next=not single and steps_done < steps,
            )
            if optimizer.learning_rate is not known and reporter.per_step and steps_done < steps:
                known = optimizer.learning_rate
                rates[steps_done:] = optimizer.rates(steps - steps_done, epoch)  # the core reads on
            return state.stop_training

        try:
            result = program.train_epoch(
                *part.fed,
                order,
                batch,
                rates,
                first,
                progress,
                reporter.interval,
                part.moved,
                optimizer,
                before.start(),
            )
        finally:  # also of a run that is interrupted: what was done
            last = program.last
            if last["steps"]:
                state.totals = before.gone_on(
                    last["samples"], last["steps"], last["loss_sum"], last["metrics"]
                )
                if self.measure_every:
                    state.measurements = measured.plus(program.measured())
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
