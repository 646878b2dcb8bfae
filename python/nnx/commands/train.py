"""`nnx train`: a classifier of images from data to files."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from nnx import metrics, models, optimizers, schedules, seeds
from nnx._types import NDArray
from nnx.callbacks import Callback, History
from nnx.commands import choices, outputs
from nnx.commands.images import Images, load
from nnx.layers import Layer, Normalize
from nnx.loading import load as load_model
from nnx.model import Model
from nnx.sequential import Sequential

FILE = "model.safetensors"
EPOCHS = {"lenet": 8, "mlp": 15, "alexnet": 20}
SMALL = 10_000  # samples; below, more epochs are needed and cheap
SMALL_EPOCHS = 30
DIVERGED, INTERRUPTED = 1, 130  # exit codes


class _Keep(Callback):
    """Saves the model after each epoch, as long as its loss is finite; ends training where it is not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.diverged: int | None = None  # the epoch, counted from 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves, or ends training."""
        if all(math.isfinite((logs or {}).get(name, 0.0)) for name in ("loss", "val_loss")):
            self.model.save(self.path)
            return
        self.diverged = epoch + 1
        self.model.stop_training = True


def run(options: argparse.Namespace) -> int:
    """Trains, reports the held-out accuracy, and leaves the model, its history and pictures."""
    choices.settle(options)
    seeds.check(options.seed)
    images = load(options.data, options.seed)
    out = Path(options.out)
    model = _begun(options, images, out)
    print(
        f"{options.model} on {options.data}: {len(images.x_train):,} samples to train on, "
        f"{len(images.x_test):,} held out, {images.classes} classes, device {model.device}",
        flush=True,
    )
    if options.resume:
        print(f"resuming: {model.epoch} of {options.epochs} epochs are done", flush=True)
    history, keep, interrupted = History(), _Keep(out / FILE), False
    try:
        model.fit(
            images.x_train,
            images.y_train,
            batch_size=options.batch_size,
            epochs=options.epochs,
            validation_data=(images.x_test, images.y_test),
            callbacks=[history, keep],
            resume=True,
        )
    except KeyboardInterrupt:
        interrupted = True
    if keep.diverged is not None:
        outputs.write_history(out, history)
        kept = f"after epoch {keep.diverged - 1}" if keep.diverged > 1 else "before training"
        print(
            f"nnx: error: the loss is not finite in epoch {keep.diverged}: try a smaller --lr than "
            f"{options.lr:g}. {out / FILE} is the model {kept}",
            file=sys.stderr,
        )
        return DIVERGED
    if not (interrupted and _is_broken(model)):
        model.save(out / FILE)
    if interrupted:
        print(f"interrupted: nnx train --resume --out {out} goes on from here", file=sys.stderr)
    try:
        _report(out, model, history, images)
    except KeyboardInterrupt:
        print(f"interrupted: the model is in {out / FILE}", file=sys.stderr)
        return INTERRUPTED
    return INTERRUPTED if interrupted else 0


def _report(out: Path, model: Model, history: History, images: Images) -> None:
    written = [FILE, outputs.write_history(out, history)]
    matrix = metrics.confusion_matrix(images.y_test, model.predict(images.x_test))
    print(f"Held-out accuracy: {np.trace(matrix) / matrix.sum():.2%}", flush=True)
    written += outputs.write_pictures(out, model.state_dict(), history, matrix)
    print(f"Wrote {', '.join(written)} to {out}{'' if str(out).endswith('/') else '/'}")
    print(f"Next: nnx predict {out / FILE} FILE..., or nnx.load({str(out / FILE)!r}) in Python")


def _is_broken(model: Model) -> bool:
    """Whether a weight is not finite."""
    return not all(np.isfinite(weight).all() for weight in model.get_weights())


def _begun(options: argparse.Namespace, images: Images, out: Path) -> Model:
    """The model of the run that is resumed, or a new one; the folder can be written to."""
    if options.resume and (out / FILE).exists():
        outputs.prepare(out, (out / FILE).stat().st_size)
        return load_model(out / FILE, device=None if options.device == "auto" else options.device)
    small = len(images.x_train) < SMALL
    options.epochs = options.epochs or (SMALL_EPOCHS if small else EPOCHS[options.model])
    options.lr = options.lr or (0.02 if options.optimizer == "sgd" else 0.001)
    model = _model(options.model, images)
    model.compile(_optimizer(options), "cross_entropy", ["accuracy"], options.device, seed=options.seed)
    states = 1 if options.optimizer == "sgd" else 2
    outputs.prepare(out, (1 + states) * 4 * model.count_params())
    (out / FILE).unlink(missing_ok=True)  # of another run: --resume would go on with it
    choices.keep(options)
    model.save(out / FILE)
    return model


def _model(name: str, images: Images) -> Sequential:
    shape = images.x_train.shape[1:]
    if name != "mlp" and len(shape) != 3:
        raise ValueError(f"--model {name}: expected images (N, H, W, C), got rows of {shape[0]}: use mlp")
    if name == "mlp":
        body = models.mlp(shape, (256, 128), images.classes, dropout=0.2)
    elif name == "lenet":
        body = models.lenet(shape, images.classes)
    else:
        body = models.alexnet(shape, images.classes)
    layers: list[Layer] = [Normalize(*_moments(images.x_train)), *body.layers]
    model = Sequential(layers)
    model.build(shape)
    return model


def _moments(x: NDArray) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of each channel, or, of rows, over all features."""
    axes = tuple(range(x.ndim - 1)) if x.ndim > 2 else None
    return np.asarray(x.mean(axis=axes, dtype=np.float64)), np.asarray(x.std(axis=axes, dtype=np.float64))


def _optimizer(options: argparse.Namespace) -> optimizers.Optimizer:
    rate, epochs = options.lr, options.epochs
    schedule: schedules.Schedule = schedules.Constant(rate)
    if options.decay == "step":
        schedule = schedules.StepDecay(rate, factor=0.5, every=max(1, epochs // 4))
    elif options.decay == "exp":
        schedule = schedules.ExponentialDecay(rate, rate=3.0 / epochs)
    elif options.decay == "cosine":
        schedule = schedules.CosineDecay(rate, length=epochs)
    if options.optimizer == "sgd":
        return optimizers.SGD(schedule, momentum=0.9)
    return (optimizers.Adam if options.optimizer == "adam" else optimizers.AdamW)(schedule)
