"""`nnx train`: a classifier of images from data to files."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from nnx import metrics, models, optimizers, schedules, seeds
from nnx._types import NDArray
from nnx.callbacks import History
from nnx.commands.images import Images, load
from nnx.layers import Layer, Normalize
from nnx.saving import files
from nnx.sequential import Sequential

EPOCHS = {"lenet": 8, "mlp": 15, "alexnet": 20}
SMALL = 10_000  # samples; below, more epochs are needed and cheap
SMALL_EPOCHS = 30


def run(options: argparse.Namespace) -> int:
    """Trains, reports the held-out accuracy, and leaves weights, history and pictures."""
    seeds.check(options.seed)
    images = load(options.data, options.seed)
    model = _model(options.model, images)
    epochs = options.epochs or (SMALL_EPOCHS if len(images.x_train) < SMALL else EPOCHS[options.model])
    model.compile(
        _optimizer(options, epochs), "cross_entropy", ["accuracy"], options.device, seed=options.seed
    )
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: expected a folder, and {out} is a file")
    out.mkdir(parents=True, exist_ok=True)
    print(
        f"{options.model} on {options.data}: {len(images.x_train):,} samples to train on, "
        f"{len(images.x_test):,} held out, {images.classes} classes, device {model.device}"
    )
    history, interrupted = History(), False
    try:
        model.fit(
            images.x_train,
            images.y_train,
            batch_size=options.batch_size,
            epochs=epochs,
            validation_data=(images.x_test, images.y_test),
            callbacks=[history],
        )
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted: leaving the model as it is", file=sys.stderr)
    matrix = metrics.confusion_matrix(images.y_test, model.predict(images.x_test))
    written = _write(out, model, history, matrix)
    print(f"Held-out accuracy: {np.trace(matrix) / matrix.sum():.2%}")
    print(f"Wrote {', '.join(written)} to {out}{'' if str(out).endswith('/') else '/'}")
    return 130 if interrupted else 0


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
    return x.mean(axis=axes, dtype=np.float64), x.std(axis=axes, dtype=np.float64)


def _optimizer(options: argparse.Namespace, epochs: int) -> optimizers.Optimizer:
    rate = options.lr or (0.02 if options.optimizer == "sgd" else 0.001)
    schedule: schedules.Schedule = schedules.Constant(rate)
    if options.decay == "step":
        schedule = schedules.StepDecay(rate, factor=0.5, every=max(1, epochs // 4))
    elif options.decay == "exp":
        schedule = schedules.ExponentialDecay(rate, 3.0 / epochs)
    elif options.decay == "cosine":
        schedule = schedules.CosineDecay(rate, epochs)
    if options.optimizer == "sgd":
        return optimizers.SGD(schedule, momentum=0.9)
    return (optimizers.Adam if options.optimizer == "adam" else optimizers.AdamW)(schedule)


def _write(out: Path, model: Sequential, history: History, matrix: NDArray) -> list[str]:
    from safetensors.numpy import save

    state = model.state_dict()
    contents = {"weights.safetensors": save(state), "history.csv": _csv(history)}
    if importlib.util.find_spec("matplotlib") is None:
        print("no pictures: matplotlib is not installed (pip install nnx-native[plot])", file=sys.stderr)
    else:
        contents |= _pictures(state, history, matrix)
    for name, content in contents.items():
        files.write_atomically(out / name, content)
    return list(contents)


def _csv(history: History) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history.history])
    writer.writerows(zip([epoch + 1 for epoch in history.epoch], *history.history.values(), strict=True))
    return text.getvalue().encode()


def _pictures(state: dict[str, NDArray], history: History, matrix: NDArray) -> dict[str, bytes]:
    import matplotlib

    matplotlib.use("Agg")
    from nnx import plots

    figures: dict[str, Any] = {"confusion.png": plots.confusion(matrix).figure}
    if history.epoch:
        figures["curves.png"] = plots.curves(history)[0].figure
    kernel = next((value for name, value in state.items() if value.ndim == 4), None)
    if kernel is not None:
        figures["filters.png"] = plots.filters(kernel).figure
    pictures = {}
    for name, figure in figures.items():
        content = io.BytesIO()
        figure.savefig(content, format="png")
        pictures[name] = content.getvalue()
    return pictures
