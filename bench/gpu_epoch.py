"""How long does an epoch of Fashion-MNIST take on a GPU, from the call to its return? LeNet, batch 128.

The images are on the host when the call begins, and the epoch is shuffled: what `fit` does with arrays, beside
PyTorch with its DataLoader, and beside a loop that does for PyTorch by hand what nnx does by itself (images on the
GPU, the whole step a CUDA graph). Without the data set, images of that shape are drawn, of ten classes that can be
learnt; both libraries have to get them right.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import fashion_mnist
import gpu
import models
import nnx
import numpy as np
import report
from common import Timing
from fashion_mnist import Images, Learner
from gpu_train_step import DRY_WORKLOADS, check

TITLE = "Seconds per epoch of Fashion-MNIST on a GPU"
RATE = fashion_mnist.LEARNING_RATE
WORKLOAD = models.Workload("LeNet, batch 128", models.lenet, 128)
DRY_WORKLOAD, DRY_SIDE, DRY_IMAGES = DRY_WORKLOADS[0], 8, 24
PIXELS = 127.5  # mean and deviation that put bytes into -1 .. 1


@dataclass(frozen=True)
class Data:
    """Images as bytes and as numbers, from where."""

    source: str
    bytes: Images
    floats: Images


def prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=fashion_mnist.DATA, help="a folder of IDX files")
    parser.add_argument("--workers", type=int, default=4, metavar="N", help="of PyTorch's DataLoader")


def main() -> None:
    options = gpu.start(__doc__, prepare)
    data = load(options)
    print(f"images: {data.source}")
    results = gpu.Results("epoch", TITLE, options, functools.partial(render, data), draw)
    workload = DRY_WORKLOAD if options.dry_run else WORKLOAD
    for precision in gpu.precisions(options):
        run = functools.partial(measure, workload, precision, data, options)
        results.measure(f"{workload.title}, {precision}", run)
    results.end()


def load(options: argparse.Namespace) -> Data:
    """Fashion-MNIST, or what stands in for it."""
    if options.data.exists() and not options.dry_run:
        (x, y), (x_test, y_test) = nnx.datasets.load_idx_folder(options.data)
        source = "Fashion-MNIST"
    else:
        count, side = (DRY_IMAGES, DRY_SIDE) if options.dry_run else (60_000, 28)
        x, y, x_test, y_test = drawn(count, side)
        source = f"not Fashion-MNIST, which is not here, but {count:,} drawn images of {side} x {side}"
    images = Images(x[..., None], y.astype(np.int64), x_test[..., None], y_test.astype(np.int64))

    def floats(pixels: np.ndarray) -> np.ndarray:
        return (pixels / np.float32(PIXELS) - 1).astype(np.float32)

    return Data(source, images, Images(floats(images.x), images.y, floats(images.x_test), images.y_test))


def drawn(count: int, side: int) -> tuple[np.ndarray, ...]:
    """Ten pictures under noise."""
    generator = np.random.default_rng(5)
    pictures = generator.integers(0, 256, (10, side, side))

    def some(number: int) -> tuple[np.ndarray, np.ndarray]:
        labels = generator.integers(0, 10, number)
        noise = generator.integers(0, 256, (number, side, side), dtype=np.uint8)
        return ((pictures[labels] + 2 * noise.astype(np.uint16)) // 3).astype(np.uint8), labels

    return (*some(count), *some(max(10, count // 6)))


def measure(
    workload: models.Workload, precision: str, data: Data, options: argparse.Namespace
) -> dict[str, Any]:
    """Checks a step, then times epochs by turns, then compares what was learnt. The first epoch is told apart."""
    check(workload, precision, options)
    learners = {
        "nnx": nnx_learner(workload, data.floats, False, precision, options),
        "nnx, bytes": nnx_learner(workload, data.bytes, True, precision, options),
    }
    if common.version("torch"):
        import gpu_torch_epoch

        learners |= gpu_torch_epoch.learners(workload, data.floats, RATE, precision, options)
    rounds = 1 if options.dry_run else min(options.turns, 5)
    first: dict[str, float] = {}
    timings: dict[str, Timing] = {}
    for turn in range(rounds + 1):
        for name, learner in list(learners.items()):
            taken = seconds(name, learner.epoch)
            if taken is None:
                del learners[name]
            elif turn == 0:
                first[name] = taken
                timings[name] = Timing()
            else:
                timings[name].rounds.append(taken)
    accuracy = {name: learner.accuracy() for name, learner in learners.items()}
    if not options.dry_run:
        for name in ("nnx", "nnx, bytes"):
            common.expect(f"{name}: wrong on test images", 1 - accuracy[name], 1 - fashion_mnist.ACCURACY)
            apart = max(accuracy.values()) - accuracy[name]
            common.expect(f"{name}: accuracies apart", apart, fashion_mnist.APART)
    row = {
        "precision": precision,
        "images": data.source,
        "epochs": rounds + 1,
        "seconds": {name: timings[name].median for name in learners},
        "rounds": {name: timings[name].rounds for name in learners},
        "first": {name: first[name] for name in learners},
        "accuracy": accuracy,
    }
    print("    " + "  ".join(f"{k} {report.number(v)}" for k, v in row["seconds"].items()), flush=True)
    return row


def seconds(name: str, epoch: Callable[[], object]) -> float | None:
    """None for a peer that fails."""
    begin = time.perf_counter()
    ok = gpu.attempt(name, lambda: (epoch(), True)[1])
    return time.perf_counter() - begin if ok else None


def nnx_learner(
    workload: models.Workload, images: Images, as_bytes: bool, precision: str, options: argparse.Namespace
) -> Learner:
    """`fit` on arrays; bytes are put into -1 .. 1 by the model's first layer, on the GPU."""
    model = workload.make()
    if as_bytes:
        scale = nnx.Normalize(np.full(1, PIXELS, np.float32), np.full(1, PIXELS, np.float32))
        model = models.built([scale, *model.layers], images.x.shape[1:])
    optimizer = nnx.SGD(RATE, momentum=models.MOMENTUM)
    model.compile(optimizer, "cross_entropy", device=options.device, precision=precision, seed=models.SEED)

    def epoch() -> None:
        batch = workload.batch
        model.fit(images.x, images.y, batch, verbose=0)

    def accuracy() -> float:
        return float(np.mean(model.predict(images.x_test).argmax(axis=1) == images.y_test))

    return Learner(epoch, accuracy)


def render(data: Data, rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    header = ("row", *names, "best PyTorch / nnx", "DataLoader / nnx")
    cells = []
    for row in rows:
        taken = row["seconds"]
        ours = min(taken["nnx"], taken["nnx, bytes"])
        theirs = [value for name, value in taken.items() if name.startswith("PyTorch")]
        loaders = [value for name, value in taken.items() if "loader" in name]
        cells.append(
            (
                row["row"],
                *(report.number(taken.get(name)) for name in names),
                report.number(gpu.ratio(min(theirs, default=None), ours)),
                report.number(gpu.ratio(min(loaders, default=None), ours)),
            )
        )
    learnt = [
        (
            row["row"],
            *(report.number(row["first"].get(name)) for name in names),
            *(f"{row['accuracy'][name]:.1%}" if name in row["accuracy"] else "-" for name in names),
        )
        for row in rows
    ]
    more = report.table(
        ("row", *(f"{n}, first epoch" for n in names), *(f"{n}, accuracy" for n in names)), learnt
    )
    notes = (
        f"Images: {data.source}. Medians in seconds of whole epochs from call to return, images on the host\n"
        "before it; ratios to the faster of nnx's two. The first epoch, with its captures and warm-ups, is told\n"
        "apart; accuracy is that on the test images after all of them."
    )
    return f"{report.table(header, cells)}\n\n{more}\n\n{notes}"


def draw(rows: list[dict[str, Any]]) -> Any:
    groups = [report.Bars(row["row"], row["seconds"]) for row in rows]
    return report.bars(groups, TITLE, "seconds, logarithmic; shorter is better")


if __name__ == "__main__":
    main()
