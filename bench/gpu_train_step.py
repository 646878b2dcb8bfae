"""How long does a training step take on a GPU? Forward, loss, backward, SGD with momentum; nnx and PyTorch by turns.

nnx is timed as `fit` runs it, from the second epoch on: a data set on the GPU, gathered batch by batch. PyTorch
runs the body of a training loop on one batch that lies on the GPU and never changes.
"""

from __future__ import annotations

import argparse
import functools
import time
from typing import Any

import checks
import common
import floors
import gpu
import models
import nnx
import numpy as np
import report
from gpu import Way
from models import Workload

TITLE = "Milliseconds per training step on a GPU"
WORKLOADS = [  # the smallest first
    Workload("MLP 784-128-10, batch 128", models.mlp, 128),
    Workload("MLP 784-512-512-10 dropout, batch 128", models.wide_mlp, 128),
    Workload("LeNet, batch 128", models.lenet, 128),
    Workload("LeNet, batch 512", models.lenet, 512),
    Workload("AlexNet, batch 128", models.alexnet, 128),
]
MEGABYTES = 200  # of a data set: Fashion-MNIST has 188
DRY_WORKLOADS = [
    Workload("LeNet of 8 x 8, batch 4", functools.partial(nnx.models.lenet, (8, 8, 1), 10), 4),
    Workload("MLP 20-16-10 dropout, batch 4", lambda: nnx.models.mlp(20, 16, 10, dropout=0.5), 4),
]


def main() -> None:
    options = gpu.start(__doc__)
    name = "train_step" if options.no_compile else "train_step_compile"
    results = gpu.Results(name, TITLE, options, render, draw)
    for workload in workloads(options):
        for precision in gpu.precisions(options):
            run = functools.partial(measure, workload, precision, options)
            results.measure(f"{workload.title}, {precision}", run)
    results.end()


def workloads(options: argparse.Namespace) -> list[Workload]:
    """The rows; of a dry run, small ones."""
    return DRY_WORKLOADS if options.dry_run else WORKLOADS


def measure(workload: Workload, precision: str, options: argparse.Namespace) -> dict[str, Any]:
    """Checks, then times one row."""
    error = check(workload, precision, options)
    print(f"    worst error of the weights {error:.1e}", flush=True)
    ways = nnx_ways(workload, precision, options)
    if common.version("torch"):
        ways |= peers(workload, precision, options)
    timings = gpu.turns(ways, options)
    row = summary(workload, precision, error, timings, options)
    print("    " + "  ".join(f"{name} {report.number(ms)}" for name, ms in row["ms"].items()), flush=True)
    return row


def check(workload: Workload, precision: str, options: argparse.Namespace) -> float:
    """The worst relative error of the weights after two steps, against float64."""
    reference = None
    if common.version("torch"):
        import gpu_torch
        import torch_reference

        gpu_torch.settle("float32")
        reference = torch_reference.TorchReference
    return checks.check_training(workload, options.device, precision, reference)


class Clock(nnx.Callback):
    """The time from the second epoch's beginning to the last one's end."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.first = self.model.epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.first + 1:
            self.begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.end = time.perf_counter()


def nnx_ways(workload: Workload, precision: str, options: argparse.Namespace) -> dict[str, Way]:
    """Per step inside epochs over a data set on the GPU, and step by step from the host."""
    model = workload.model(0.001, options.device, precision)
    megabytes = 1 if options.dry_run else max(MEGABYTES, 12 * image_megabytes(model, workload.batch))
    steps = 3 if options.dry_run else 468
    count = models.epoch_samples(model, workload.batch, steps, megabytes)
    x, y = batches(model, workload, count)
    per_epoch = count // workload.batch

    def epochs(wanted: int) -> tuple[float, int]:
        clock, n = Clock(), max(1, -(-wanted // per_epoch))
        model.fit(x, y, workload.batch, epochs=n + 1, shuffle=False, callbacks=[clock], verbose=0)
        return clock.end - clock.begin, n * per_epoch

    stepper = workload.model(0.001, options.device, precision)
    batch_x, batch_y = x[: workload.batch], y[: workload.batch]
    return {
        "nnx": Way(epochs),
        "nnx train_step": gpu.calls(lambda: stepper.train_step(batch_x, batch_y), gpu.finish),
    }


def image_megabytes(model: nnx.Sequential, batch: int) -> int:
    """Of one batch, rounded up."""
    return -(-4 * batch * int(np.prod(model.input_shape or ())) // 1_000_000)


def batches(model: nnx.Sequential, workload: Workload, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random samples; where they are large, a batch of them again and again."""
    drawn = max(workload.batch, 100_000_000 // (1_000_000 * image_megabytes(model, 1)))
    x, y = models.samples(model, workload.loss, min(count, drawn))
    rows = np.arange(count) % len(x)
    return x[rows], y[rows]


def peers(workload: Workload, precision: str, options: argparse.Namespace) -> dict[str, Way]:
    """PyTorch, once its network has been seen to be the same."""
    import gpu_torch

    untrained = workload.model(0.001, options.device, precision)
    x, y = models.samples(untrained, workload.loss, workload.batch)
    theirs = gpu_torch.outputs(untrained, x, precision, options)
    ours = untrained.predict(x, batch_size=len(x))
    allowed = 1e-4 if precision == "float32" else 2 * checks.tolerances(precision).outputs
    common.expect("outputs of PyTorch", common.relative_error(theirs, ours), allowed)
    return gpu_torch.ways(untrained, x, y, precision, options)


def summary(
    workload: Workload,
    precision: str,
    error: float,
    timings: dict[str, common.Timing],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """A row of the table, times in ms."""
    ms = {name: 1e3 * timing.median for name, timing in timings.items()}
    torch = {name: value for name, value in ms.items() if name.startswith("PyTorch")}
    best = min(torch, key=lambda name: torch[name], default=None)
    costs = floors.training(workload.make(), workload.batch)
    known = gpu.limits(options)
    flops = floors.flops(costs)
    return {
        "workload": workload.title,
        "precision": precision,
        "error": error,
        "ms": ms,
        "rounds": {name: timing.rounds for name, timing in timings.items()},
        "torch_best": best,
        "ratio": gpu.ratio(torch[best] if best else None, ms["nnx"]),
        "ratio_eager": gpu.ratio(torch.get("PyTorch eager"), ms["nnx"]),
        "flops": flops,
        "bytes": sum(cost.bytes for cost in costs),
        "floor_ms": known and 1e3 * known.seconds(costs, precision),
        "share": known and flops / timings["nnx"].median / known.flops[precision],
    }


def render(rows: list[dict[str, Any]]) -> str:
    header = (
        "row",
        "nnx",
        "nnx train_step",
        "PyTorch eager",
        "PyTorch best",
        "which",
        "best / nnx",
        "eager / nnx",
        "floor",
        "share of peak",
        "error",
    )
    cells = []
    for row in rows:
        ms, best = row["ms"], row["torch_best"]
        cells.append(
            (
                row["row"],
                report.number(ms["nnx"]),
                report.number(ms["nnx train_step"]),
                report.number(ms.get("PyTorch eager")),
                report.number(ms.get(best)),
                best.removeprefix("PyTorch ") if best else "-",
                report.number(row["ratio"]),
                report.number(row["ratio_eager"]),
                report.number(row["floor_ms"]),
                report.percent(row["share"]),
                f"{row['error']:.1e}",
            )
        )
    notes = (
        "Medians in ms. `nnx` reads its batches from a data set on the GPU, `train_step` from the host; PyTorch has\n"
        "one batch on the GPU. Precision is set alike on both sides. The error is that of the weights after two\n"
        "steps, against float64; floor and share are by the datasheet, see NOTES.md."
    )
    return f"{report.table(header, cells)}\n\n{notes}"


def draw(rows: list[dict[str, Any]]) -> Any:
    groups = []
    for row in rows:
        values = {"nnx": row["ms"]["nnx"]}
        if row["torch_best"]:
            values["PyTorch, its best"] = row["ms"][row["torch_best"]]
        if "PyTorch eager" in row["ms"]:
            values["PyTorch eager"] = row["ms"]["PyTorch eager"]
        groups.append(report.Bars(row["row"], values, row["floor_ms"]))
    return report.bars(groups, TITLE, "ms, logarithmic; shorter is better")


if __name__ == "__main__":
    main()
