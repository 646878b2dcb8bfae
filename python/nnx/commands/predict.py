"""`nnx predict`: classes and probabilities of samples in files."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from nnx import losses, ops
from nnx._types import NDArray
from nnx.commands import samples
from nnx.commands.evaluate import load_model
from nnx.layers import Softmax
from nnx.model import Model


def run(options: argparse.Namespace) -> int:
    """Prints a line for each sample."""
    model = load_model(options)
    assert model.input_shape is not None
    parts = [(name, samples.read(Path(name), model.input_shape)) for name in options.files]
    writer = csv.writer(sys.stdout, lineterminator="\n") if options.csv else None
    for number, (name, x) in enumerate(parts):
        outputs = model.predict(x, options.batch_size)
        if outputs.ndim != 2:
            raise ValueError(f"{options.model}: expected a model with outputs (N, K), got {outputs.shape}")
        probabilities = _probabilities(model, outputs)
        if writer and number == 0:
            writer.writerow(_header(probabilities, outputs, options.top))
        for index in range(len(x)):
            place = f"{name}[{index}]" if len(x) > 1 else name
            if probabilities is None:
                values = outputs[index].tolist()
                if writer:
                    writer.writerow([name, index, *values])
                else:
                    print(f"{place}: {', '.join(f'{value:.6g}' for value in values)}")
                continue
            row = probabilities[index]
            best = np.argsort(-row, kind="stable")[: options.top].tolist()
            if writer:
                writer.writerow([name, index, *(cell for k in best for cell in (k, f"{row[k]:.6g}"))])
            else:
                print(f"{place}: " + ", ".join(f"class {k} {row[k]:.2%}" for k in best))
    return 0


def _header(probabilities: NDArray | None, outputs: NDArray, top: int) -> list[str]:
    if probabilities is None:
        return ["file", "index", *(f"output_{k}" for k in range(outputs.shape[1]))]
    ranks = range(1, min(top, probabilities.shape[1]) + 1)
    return ["file", "index", *(f"{what}_{rank}" for rank in ranks for what in ("class", "probability"))]


def _probabilities(model: Model, outputs: NDArray) -> NDArray | None:
    """Probabilities (N, K) of classes from a model's outputs; None for a model of values."""
    last = model.layers[-1] if model.layers else None
    activation = getattr(last, "activation", None)
    if isinstance(model.loss, losses.BinaryCrossentropy) and outputs.shape[1] == 1:
        given = activation == "sigmoid" or type(last).__name__ == "Sigmoid"
        p = outputs if given else ops.sigmoid(outputs)
        return np.concatenate([1 - p, p], axis=1)
    entropies = (losses.CategoricalCrossentropy, losses.SparseCategoricalCrossentropy)
    if model.loss is not None and not isinstance(model.loss, entropies):
        return None
    if outputs.shape[1] == 1:
        return None
    given = activation == "softmax" or isinstance(last, Softmax)
    return outputs if given else np.asarray(ops.softmax(outputs))
