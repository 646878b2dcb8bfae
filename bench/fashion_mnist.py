"""How long does an epoch of Fashion-MNIST take? All of it: shuffling, batches, steps; LeNet and an MLP.

Each epoch goes on from the last; the accuracy on the test images after them says that both learn the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checks
import common
import models
import nnx
import numpy as np
import report
from common import Timing

TITLE = "Seconds per epoch of Fashion-MNIST"
DATA = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it
LEARNING_RATE = 0.02
ACCURACY, APART = 0.80, 0.03  # after the first epochs: at least; and between libraries, at most


@dataclass(frozen=True)
class Images:
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass
class Learner:
    """A library's way through an epoch, and its accuracy."""

    epoch: Callable[[], object]
    accuracy: Callable[[], float]


WORKLOADS = [
    models.Workload("LeNet, batch 128", models.lenet, 128),
    models.Workload("LeNet, batch 32", models.lenet, 32),
    models.Workload("MLP 784-128-10, batch 32", models.mlp, 32),
    models.Workload("MLP 784-128-10, batch 1", models.mlp, 1),
]


def prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="a folder of IDX files")


def main() -> None:
    options = common.start(__doc__, prepare)
    arrays = nnx.datasets.load_idx_folder(options.data)
    rows = []
    for workload in WORKLOADS:
        left_out = options.quick and workload.batch == 1
        if common.chosen(workload.title, options) and not left_out:
            rows.append(measure(workload, prepared(arrays, workload, options), options))
            print(f"{workload.title}: {rows[-1]}", flush=True)
    if rows:
        write(rows, options)


def prepared(arrays: Any, workload: models.Workload, options: argparse.Namespace) -> Images:
    """Pixels from -1 to 1, in the shape the model takes; a tenth of them for --quick."""
    (x, y), (x_test, y_test) = arrays
    every = 10 if options.quick else 1
    shape = workload.make().input_shape or ()

    def pixels(images: np.ndarray) -> np.ndarray:
        return (images.reshape(len(images), *shape) / np.float32(127.5) - 1).astype(np.float32)

    return Images(pixels(x[::every]), y[::every].astype(np.int64), pixels(x_test), y_test.astype(np.int64))


def measure(workload: models.Workload, images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """Checks a step, then times epochs by turns, then compares what was learnt."""
    checks.check_training(workload)
    learners = {"nnx": nnx_learner(workload, images)}
    if common.version("torch"):
        learners["PyTorch"] = torch_learner(workload, images)
    epochs = 1 if workload.batch == 1 else 3
    timings = {name: Timing() for name in learners}
    for _ in range(epochs):
        for name, learner in learners.items():
            begin = time.perf_counter()
            learner.epoch()
            timings[name].rounds.append(time.perf_counter() - begin)
    accuracy = {name: learner.accuracy() for name, learner in learners.items()}
    if not options.quick:
        common.expect(f"{workload.title}: wrong on test images", 1 - accuracy["nnx"], 1 - ACCURACY)
        common.expect(f"{workload.title}: accuracies apart", max(accuracy.values()) - accuracy["nnx"], APART)
    seconds = {name: timing.median for name, timing in timings.items()}
    return {"row": workload.title, "epochs": epochs, "seconds": seconds, "accuracy": accuracy}


def rate(workload: models.Workload) -> float:
    return LEARNING_RATE if workload.batch > 1 else LEARNING_RATE / 20


def nnx_learner(workload: models.Workload, images: Images) -> Learner:
    model = workload.model(rate(workload))

    def epoch() -> None:
        model.fit(images.x, images.y, batch_size=workload.batch, verbose=0)

    return Learner(
        epoch, lambda: float(np.mean(model.predict(images.x_test).argmax(axis=1) == images.y_test))
    )


def torch_learner(workload: models.Workload, images: Images) -> Learner:
    import torch
    import torch_twin

    network = torch_twin.twin(workload.model())
    optimizer = torch.optim.SGD(network.parameters(), lr=rate(workload), momentum=models.MOMENTUM, fused=True)
    x, x_test = torch_twin.inputs(images.x), torch_twin.inputs(images.x_test)
    y, y_test = torch.from_numpy(images.y), torch.from_numpy(images.y_test)

    def epoch() -> None:
        network.train()
        for rows in torch.randperm(len(x)).split(workload.batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()

    def accuracy() -> float:
        network.eval()
        with torch.inference_mode():
            right = sum(
                int((network(a).argmax(dim=1) == b).sum())
                for a, b in zip(x_test.split(256), y_test.split(256), strict=True)
            )
        return right / len(x_test)

    return Learner(epoch, accuracy)


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    header = ("row", "nnx", "PyTorch eager", "PyTorch / nnx", "epochs", "accuracy, nnx", "accuracy, PyTorch")
    cells = []
    for row in rows:
        seconds, accuracy = row["seconds"], row["accuracy"]
        other = seconds.get("PyTorch")
        cells.append(
            (
                row["row"],
                report.number(seconds["nnx"]),
                report.number(other),
                report.number(other / seconds["nnx"] if other else None),
                str(row["epochs"]),
                f"{accuracy['nnx']:.1%}",
                f"{accuracy['PyTorch']:.1%}" if other else "-",
            )
        )
    notes = "Medians in seconds over the epochs; accuracy on the test images after them."
    text = f"{report.table(header, cells)}\n\n{notes}"
    print(f"\n{text}")
    groups = [report.Bars(row["row"], row["seconds"]) for row in rows]
    picture = report.bars(groups, TITLE, "seconds, logarithmic; shorter is better")
    report.write("fashion_mnist", TITLE, options, text, rows, picture)


if __name__ == "__main__":
    main()
