"""What `fit`, `evaluate`, `predict` and `train_step` do: epochs, and reports on the way."""

from __future__ import annotations

import functools
import math
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nnx import callbacks, data, programs, seeds, sources
from nnx._types import ClassWeight, NDArray
from nnx.callbacks import Callback, CallbackList, History, ProgressBar
from nnx.metrics import Setting
from nnx.reports import Reporter, Totals
from nnx.sources import Arrays, Batches, Source

if TYPE_CHECKING:
    from nnx.model import Model


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
    callbacks: list[Callback]
    initial_epoch: int
    verbose: int | str


def fit(model: Model, x: Any, y: Any, plan: Plan) -> History:
    """Trains a model; see `Model.fit`."""
    _expect_compiled(model)
    source = sources.source(model, x, y, plan.sample_weight, plan.class_weight)
    held_out: Source | None = None
    if plan.validation_data is not None:
        given = plan.validation_data
        held_out = sources.source(model, *(given, None) if data.is_batches(given) else data.unpack(given))
    elif plan.validation_split:
        if not isinstance(source, Arrays):
            raise ValueError("argument 'validation_split' expected 0 beside batches: use validation_data")
        source, held_out = source.split(plan.validation_split, model.seed or 0)
    _expect_samples("x", source)
    _expect_samples("validation_data" if plan.validation_data is not None else "validation_split", held_out)

    orders = _Orders(model, source, plan) if isinstance(source, Arrays) and plan.shuffle else None
    for arrays in (source, held_out):
        if isinstance(arrays, Arrays):
            arrays.move(model)
    history = History()
    verbose = callbacks.verbosity(plan.verbose)
    bars = [ProgressBar(verbose)] if verbose else []
    params = {
        "epochs": plan.epochs,
        "steps": math.ceil(source.samples / plan.batch_size) if isinstance(source, Arrays) else None,
        "samples": source.samples if isinstance(source, Arrays) else None,
        "verbose": verbose,
    }
    hooks = CallbackList([*bars, *plan.callbacks, history], model, params)
    model.stop_training = False
    training = _Training(model, plan, hooks, orders)
    logs: dict[str, Any] = {}
    try:
        hooks.call("on_train_begin", None)
        for epoch in range(plan.initial_epoch, plan.epochs):
            if model.stop_training:
                break
            model.epoch = epoch
            hooks.call("on_epoch_begin", epoch, None)
            logs = training.epoch(source, epoch)
            rate = logs.pop("learning_rate")
            if held_out is not None:
                result = _evaluate(model, held_out, plan.batch_size, hooks)
                logs.update({f"val_{name}": value for name, value in result.items()})
            logs["learning_rate"] = rate
            model.epoch = epoch + 1
            hooks.call("on_epoch_end", epoch, logs)
    finally:
        hooks.call("on_train_end", logs)
    return history


class _Orders:
    """The rows of each epoch, shuffled. A thread draws the next ones while a GPU is busy with other things."""

    def __init__(self, model: Model, source: Arrays, plan: Plan) -> None:
        self._model = model
        self._rows = source.samples if source.rows is None else source.rows
        self._last = plan.epochs - 1
        self._ahead = model.device != "cpu" and model.seed is not None
        self._drawn: dict[int, npt.NDArray[np.int64]] = {}
        self._thread: threading.Thread | None = None
        self._begin(plan.initial_epoch)

    def of(self, epoch: int) -> npt.NDArray[np.int64]:
        """Those of an epoch; each is asked for once."""
        if self._thread is not None:
            self._thread.join()
        if epoch not in self._drawn:
            self._draw(epoch)
        order = self._drawn.pop(epoch)
        self._begin(epoch + 1)
        return order

    def _begin(self, epoch: int) -> None:
        if self._ahead and epoch <= self._last:
            self._thread = threading.Thread(target=self._draw, args=(epoch,), daemon=True)
            self._thread.start()

    def _draw(self, epoch: int) -> None:
        self._drawn[epoch] = seeds.generator(self._model.seed or 0, epoch).permutation(self._rows)


class _Training:
    """One call of `fit`."""

    def __init__(self, model: Model, plan: Plan, hooks: CallbackList, orders: _Orders | None) -> None:
        self.model = model
        self.plan = plan
        self.hooks = hooks
        self.orders = orders
        self.warned = False

    def epoch(self, source: Source, epoch: int) -> dict[str, Any]:
        """Trains one epoch; its logs."""
        reporter = Reporter(self.hooks, "train")
        totals = Totals()
        if isinstance(source, Arrays):
            reporter.batch_begin(0)
            order = source.rows if self.orders is None else self.orders.of(epoch)
            return self._part(source, epoch, order, totals, reporter)
        logs: dict[str, Any] = {}
        for batch in source.prepared(self.model):
            reporter.batch_begin(totals.steps)
            logs = self._part(batch, epoch, None, totals, reporter, single=True)
            if self.model.stop_training:
                break
        self.hooks.call("on_train_progress", totals.samples, logs)
        return logs

    def _part(
        self,
        part: Arrays,
        epoch: int,
        order: npt.NDArray[np.int64] | None,
        totals: Totals,
        reporter: Reporter,
        single: bool = False,
    ) -> dict[str, Any]:
        """Trains on arrays: a whole epoch, or a `single` batch of one."""
        model, optimizer = self.model, self.model.optimizer
        assert optimizer is not None
        batch = max(1, part.samples if single else min(self.plan.batch_size, part.samples))
        traced = sources.graph_for(model, part.x.shape[1:])
        program = programs.for_targets(model, "train", traced, batch, part.kind)
        what = programs.setting(model, traced, part.kind)
        steps = math.ceil(part.samples / batch)
        rates = optimizer.rates(steps, epoch)
        first, done = optimizer.iterations, 0

        def progress(steps_done: int, samples: int, loss: float, counts: list[list[float]]) -> bool:
            nonlocal done
            done = steps_done
            so_far = totals.plus(samples, steps_done, loss, counts)
            rate = float(rates[min(steps_done, len(rates)) - 1])
            reporter.report(
                so_far.steps,
                so_far.samples,
                lambda: {**so_far.logs(model, what), "learning_rate": rate},
                final=not single and steps_done == steps,
                begin_next=not single and steps_done < steps,
            )
            return model.stop_training

        try:
            result = program.train_epoch(
                *part.fed, order, batch, rates, first, progress, reporter.interval, part.moved
            )
            done = result["steps"]
        finally:
            optimizer.iterations = first + done
        totals.add(result)
        self._warn(result["nonfinite"])
        return {**totals.logs(model, what), "learning_rate": float(rates[min(done, len(rates)) - 1])}

    def _warn(self, nonfinite: dict[str, Any] | None) -> None:
        if nonfinite is not None and not self.warned:
            self.warned = True
            warnings.warn(
                f"the loss is not finite from step {nonfinite['step']} on; "
                f"the first layer with such values: '{nonfinite['layer']}'",
                RuntimeWarning,
                stacklevel=6,
            )


def evaluate(
    model: Model,
    x: Any,
    y: Any,
    batch_size: int,
    sample_weight: npt.ArrayLike | None,
    extra: list[Callback],
) -> dict[str, Any]:
    """Loss and metrics; see `Model.evaluate`."""
    _expect_compiled(model)
    source = sources.source(model, x, y, sample_weight)
    _expect_samples("x", source)
    return _evaluate(model, source, batch_size, CallbackList(extra, model, {}))


def _evaluate(model: Model, source: Source, batch_size: int, hooks: CallbackList) -> dict[str, Any]:
    reporter = Reporter(hooks, "test")
    totals = Totals()
    hooks.call("on_test_begin", None)
    single = isinstance(source, Batches)
    logs: dict[str, Any] = {}
    for part in source.prepared(model) if isinstance(source, Batches) else [source]:
        batch = max(1, part.samples if single else min(batch_size, part.samples))
        traced = sources.graph_for(model, part.x.shape[1:])
        program = programs.for_targets(model, "evaluate", traced, batch, part.kind)
        what = programs.setting(model, traced, part.kind)
        reporter.batch_begin(totals.steps)

        def progress(
            steps: int,
            samples: int,
            loss: float,
            counts: list[list[float]],
            last: int = part.samples,
            what: Setting = what,
        ) -> bool:
            so_far = totals.plus(samples, steps, loss, counts)
            final = samples == last
            logs_now = functools.partial(so_far.logs, model, what)
            reporter.report(so_far.steps, so_far.samples, logs_now, final, begin_next=not final)
            return False

        totals.add(program.evaluate(*part.fed, batch, progress, reporter.interval, part.moved))
        logs = totals.logs(model, what)
    hooks.call("on_test_end", logs)
    return logs


def predict(model: Model, x: Any, batch_size: int, extra: list[Callback]) -> NDArray:
    """The model's outputs; see `Model.predict`."""
    inputs = data.features(x)
    traced = sources.graph_for(model, inputs.shape[1:])
    batch = max(1, min(batch_size, len(inputs)))
    program = programs.for_prediction(model, traced, batch)
    if not extra:
        return program.predict(inputs, batch)
    hooks = CallbackList(extra, model, {})
    reporter = Reporter(hooks, "predict")
    hooks.call("on_predict_begin", None)
    reporter.batch_begin(0)

    def progress(steps: int, samples: int, loss: float, counts: list[list[float]]) -> bool:
        final = samples == len(inputs)
        reporter.report(steps, samples, dict, final, begin_next=not final)
        return False

    outputs = program.predict(inputs, batch, progress, reporter.interval)
    hooks.call("on_predict_end", None)
    return outputs


def train_step(model: Model, x: Any, y: Any, sample_weight: npt.ArrayLike | None) -> float:
    """One step on one batch; see `Model.train_step`."""
    optimizer = _expect_compiled(model)
    part = sources.arrays(model, x, y, sample_weight)
    _expect_samples("x", part)
    traced = sources.graph_for(model, part.x.shape[1:])
    program = programs.for_targets(model, "train", traced, part.samples, part.kind)
    rate = float(optimizer.rates(1, model.epoch)[0])
    loss = program.train_step(part.x, part.y, part.weight, rate, optimizer.iterations)
    optimizer.iterations += 1
    return loss


def _expect_samples(argument: str, source: Source | None) -> None:
    if isinstance(source, Arrays) and source.samples == 0:
        raise ValueError(f"argument '{argument}' expected at least one sample, got none")


def _expect_compiled(model: Model) -> Any:
    if model.optimizer is None or model.loss is None:
        missing = "compile" if model.optimizer is None else "compile with a loss"
        raise ValueError(f"the model cannot be trained or evaluated yet: call {missing} first")
    return model.optimizer
