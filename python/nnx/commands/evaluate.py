"""`nnx evaluate`: loss and metrics of a model on data."""

from __future__ import annotations

import argparse

import numpy as np

from nnx import loading, seeds
from nnx.commands import choices
from nnx.commands.images import load_to_evaluate
from nnx.model import Model


def run(options: argparse.Namespace) -> int:
    """Prints loss and metrics, a line each."""
    seed = choices.seed_of(options.model) if options.seed is None else seeds.check(options.seed)
    model = load_model(options)
    if model.loss is None:
        raise ValueError(f"{options.model}: the model was saved without a loss: compile it with one before")
    x, y, what = load_to_evaluate(options.data, seed)
    results = model.evaluate(x, y, options.batch_size)
    print(f"{len(x):,} samples: {what}")
    width = max(map(len, results))
    for name, value in results.items():
        text = np.array2string(value) if np.ndim(value) else f"{value:.6g}"
        print(f"{name.ljust(width)}  {text}" if "\n" not in text else f"{name}\n{text}")
    return 0


def load_model(options: argparse.Namespace) -> Model:
    """The model that the command names, on the device that was asked for; ValueError where it is not built."""
    model = loading.load(options.model, device=None if options.device == "auto" else options.device)
    if model.input_shape is None:
        raise ValueError(f"{options.model}: the model was saved before it was built: it has no weights")
    return model
