"""A whole model as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from nnx import seeds
from nnx._checks import integer
from nnx._config import Decoder, Encoder
from nnx._types import NDArray
from nnx.graph.inputs import read_shape
from nnx.graph.weight import expect_arrays
from nnx.layers.base import Layer
from nnx.losses import Loss
from nnx.metrics import Metric
from nnx.optimizers import Optimizer
from nnx.saving import container, snapshot
from nnx.saving.container import Contents, FileError
from nnx.saving.snapshot import Snapshot
from nnx.training.learner import Learner
from nnx.training.measurements import Measurements
from nnx.training.state import Record, RunState
from nnx.training.totals import Totals

if TYPE_CHECKING:
    from pathlib import Path


def save(model: Any, learner: Learner, path: str | Path) -> None:
    """Writes a model: its architecture, weights, and all that training has made of it."""
    arrays: list[NDArray] = []
    encoder = Encoder(arrays, tuples=True)
    now = snapshot.take(learner)
    about: dict[str, Any] = {
        "model": encoder.item(model),
        "layers": {name: _about_layer(layer) for name, layer in model.walk()},
        "input_shape": now.input_shape,
        "compiled": _about_compiled(now, encoder),
        "run": _about_run(now.run, encoder),
    }
    tensors: dict[str, NDArray] = {}
    if now.input_shape is not None:
        learner.bound()  # a value drawn now is drawn from the model's seed
        tensors |= {name: weight.numpy() for name, weight in learner.graphs.named_weights().items()}
    about["weights"] = list(tensors)
    about["states"] = {slot: _add(tensors, slot, by_name) for slot, by_name in now.states.items()}
    about["arrays"] = list(_add(tensors, "array", dict(enumerate(arrays))).values())
    container.write(path, "model", {name: container.plain(array) for name, array in tensors.items()}, about)


def _add(tensors: dict[str, NDArray], prefix: str, arrays: dict[Any, NDArray]) -> dict[Any, str]:
    """Puts arrays among the tensors, and tells the names that they have there."""
    names = {}
    for key, array in arrays.items():
        name = f"{prefix}:{key}"
        while name in tensors:
            name += "'"
        tensors[name] = array
        names[key] = name
    return names


def _about_layer(layer: Layer) -> dict[str, Any]:
    """The class, and what of its attributes a constructor of someone else's may not know: plain values."""
    return {
        "class_name": type(layer).__name__,
        "values": Encoder(tuples=True).value(layer.plain_values()),
    }


def _about_compiled(now: Snapshot, encoder: Encoder) -> dict[str, Any]:
    return {
        "optimizer": None if now.optimizer is None else encoder.item(now.optimizer),
        "iterations": None if now.optimizer is None else now.optimizer.iterations,
        "loss": encoder.value(now.loss, "loss"),
        "metrics": encoder.value(now.metrics, "metrics"),
        "loss_weights": encoder.value(now.loss_weights, "loss_weights"),
        "device": now.device,
        "precision": now.precision,
    }


def _about_run(run: RunState, encoder: Encoder) -> dict[str, Any]:
    record, totals = run.record, run.totals
    about = {
        "seed": run.seed,
        "epoch": run.epoch,
        "steps_per_epoch": run.steps_per_epoch,
        "single_steps": run.single_steps,
        "stop_training": run.stop_training,
        "totals": {field.name: getattr(totals, field.name) for field in fields(totals)},
        "measurements": run.measurements.state(),
        "diagnostics": run.diagnostics,
        "history": [[epoch, logs] for epoch, logs in run.history],
        "record": record and {field.name: getattr(record, field.name) for field in fields(record)},
        "callbacks": run.callbacks,
    }
    return {key: encoder.value(value, f"run.{key}") for key, value in about.items()}


def load(path: str | Path, classes: Iterable[Any], make: Callable[[Any], Learner], device: str | None) -> Any:
    """Reads a model; `make` gives its learner.

    Raises:
        FileError: a ValueError that names the file and what is wrong with it.
        OSError: where it cannot be read.
    """
    contents = container.read(path)
    if contents.kind != "model":
        what = "weights alone" if contents.kind == "weights" else "arrays that nnx did not write"
        raise FileError(f"{path}: expected a model, got {what}: make the model, and use its load_weights")
    try:
        return _load(contents, classes, make, device)
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from error
    except Warning:  # made an error of by whoever asked for that
        raise
    except Exception as error:  # whatever constructors make of values that no file of ours has
        text = (
            str(error) if isinstance(error, (ValueError, TypeError)) else f"{type(error).__name__}: {error}"
        )
        raise FileError(f"{path}: {text}") from error


def _load(
    contents: Contents, classes: Iterable[Any], make: Callable[[Any], Learner], device: str | None
) -> Any:
    about, tensors = contents.about, contents.tensors
    decoder = Decoder(classes, [tensors[name] for name in about["arrays"]])
    decoder.check(about)
    model = decoder.value(about["model"])
    learner = make(model)
    _set_layers(model, about["layers"])
    now = Snapshot(
        None
        if about["input_shape"] is None
        else read_shape(about["input_shape"], lambda shape: tuple(map(int, shape))),
        **_compiled(about["compiled"], decoder),
        run=_run(about["run"], decoder),
        states={
            str(slot): {name: tensors[place] for name, place in places.items()}
            for slot, places in about["states"].items()
        },
    )
    if now.input_shape is not None:
        learner.graphs.build(now.input_shape)
        named = learner.graphs.named_weights()
        expect_arrays(named, {name: tensors[name] for name in about["weights"]})
        for slot, by_name in now.states.items():
            expect_arrays({name: named[name] for name in by_name}, by_name, f"the optimizer's {slot}")
        for name, weight in named.items():
            weight.take(tensors[name])
    snapshot.restore(learner, now, device)
    return model


def _set_layers(model: Any, layers: dict[str, Any]) -> None:
    """Gives layers the values that they had; ValueError where the layers are not those of the file."""
    found = dict(model.walk())
    differences = [f"missing: {name}" for name in layers if name not in found]
    differences += [f"unexpected: {name}" for name in found if name not in layers]
    differences += [
        f"{name or 'the model'} expected {layers[name]['class_name']}, got {type(layer).__name__}"
        for name, layer in found.items()
        if name in layers and layers[name]["class_name"] != type(layer).__name__
    ]
    if differences:
        raise ValueError(f"the layers are not those that were saved: {'; '.join(differences)}")
    decoder = Decoder()
    for name, layer in found.items():
        now = layer.plain_values()
        for attribute, kept in layers[name]["values"].items():
            value = decoder.value(kept)
            if attribute in now and now[attribute] != value:
                setattr(layer, attribute, value)


def _compiled(about: dict[str, Any], decoder: Decoder) -> dict[str, Any]:
    optimizer = _expect(decoder.value(about["optimizer"]), Optimizer)
    if optimizer is not None:
        optimizer.iterations = integer("load", "iterations", about["iterations"], low=0)
    return {
        "optimizer": optimizer,
        "loss": _expect_each(decoder.value(about["loss"]), Loss),
        "metrics": _expect_each(decoder.value(about["metrics"]), Metric),
        "loss_weights": decoder.value(about.get("loss_weights")),
        "device": about["device"],
        "precision": about["precision"],
    }


def _expect_each(value: Any, cls: type) -> Any:
    """The value, of that class, or lists or dicts of such."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _expect_each(item, cls)
    return value if isinstance(value, (dict, list)) else _expect(value, cls)


def _expect(value: Any, cls: type, none: bool = True) -> Any:
    """The value, of that class or, where it may be, None."""
    if not (isinstance(value, cls) or (none and value is None)):
        raise TypeError(f"expected a {cls.__name__.lower()}, got {type(value).__name__}")
    return value


def _run(about: dict[str, Any], decoder: Decoder) -> RunState:
    values = {key: decoder.value(value) for key, value in about.items()}
    if values["seed"] is not None:
        seeds.check(values["seed"])
    for name in ("epoch", "single_steps"):
        integer("load", name, values[name], low=0)
    if values["steps_per_epoch"] is not None:
        integer("load", "steps_per_epoch", values["steps_per_epoch"])
    values["totals"] = Totals(**values["totals"])
    values["measurements"] = Measurements(**values.get("measurements", {}))
    values["history"] = [(int(epoch), logs) for epoch, logs in values["history"]]
    values["record"] = None if values["record"] is None else Record(**values["record"])
    return RunState(**values)
