"""How long does a training step take? Forward, loss, backward, SGD with momentum; nnx and its peers by turns.

nnx is timed as `fit` runs it, per step inside one epoch over a data set, and step by step by `train_step`.
PyTorch runs the usual loop body on one batch that never changes: eager, channels_last, torch.compile.
JAX runs one compiled step, or, where the model is small, a whole epoch in one scan.
"""

from __future__ import annotations

import argparse
from typing import Any

import checks
import common
import floors
import models
import report
from common import Candidate, Timing

TITLE = "Milliseconds per training step"
SLOW = ("AlexNet",)  # left out by --quick


def main() -> None:
    options = common.start(__doc__)
    rows = []
    for workload in models.WORKLOADS:
        if common.chosen(workload.title, options) and not (options.quick and workload.title.startswith(SLOW)):
            rows.append(measure(workload, options))
            print(line(rows[-1]), flush=True)
    if rows:
        write(rows, options)


def measure(workload: models.Workload, options: argparse.Namespace) -> dict[str, Any]:
    """Checks, then times one row."""
    print(f"{workload.title}: ", end="", flush=True)
    error = checks.check_training(workload)
    print(f"worst error of the weights {error:.1e}", flush=True)
    timings, peak = common.race(ways(workload), options, long=workload.aim > 100)
    costs = floors.training(workload.make(), workload.batch)
    return summary(
        workload, error, timings, floors.flops(costs), floors.seconds(costs, peak, options.threads), peak
    )


def ways(workload: models.Workload) -> dict[str, Candidate]:
    """nnx, and the peers that are installed."""
    model = workload.model(0.001)
    count = models.epoch_samples(model, workload.batch)
    x, y = models.samples(model, workload.loss, count)
    batch_x, batch_y = x[: workload.batch], y[: workload.batch]
    stepper = workload.model(0.001)

    def epoch() -> None:
        model.fit(x, y, batch_size=workload.batch, shuffle=False, verbose=0)

    found = {
        "nnx": Candidate(epoch, count // workload.batch),
        "nnx train_step": Candidate(lambda: stepper.train_step(batch_x, batch_y)),
    }
    untrained = workload.model()
    if common.version("torch"):
        import torch_twin

        torch_twin.check(untrained, batch_x, workload.title)
        found |= torch_twin.ways(untrained, workload.loss, batch_x, batch_y)
    if common.version("jax"):
        import jax_twin

        jax_twin.check(untrained, batch_x, workload.title)
        found["JAX jit"] = jax_twin.jit(untrained, workload.loss, batch_x, batch_y)
        if workload.scan:
            found["JAX scan"] = jax_twin.scan(untrained, workload.loss, x, y, workload.batch)
    return found


def summary(
    workload: models.Workload,
    error: float,
    timings: dict[str, Timing],
    flops: int,
    floor: float | None,
    peak: float,
) -> dict[str, Any]:
    """A row of the table, times in ms."""
    ms = {name: 1e3 * timing.median for name, timing in timings.items()}
    torch = {name: value for name, value in ms.items() if name.startswith("PyTorch")}
    best = min(torch, key=lambda name: torch[name], default=None)
    return {
        "workload": workload.title,
        "error": error,
        "ms": ms,
        "best_ms": {name: 1e3 * timing.best for name, timing in timings.items()},
        "torch_best": best,
        "ratio": torch[best] / ms["nnx"] if best else None,
        "flops": flops,
        "peak_gflops": peak / 1e9,
        "share": flops / timings["nnx"].median / peak if peak else None,
        "floor_ms": None if floor is None else 1e3 * floor,
        "aim_ms": workload.aim,
        "aim_ratio": workload.peer / workload.aim,
    }


def line(row: dict[str, Any]) -> str:
    times = "  ".join(f"{name} {report.number(ms)}" for name, ms in row["ms"].items())
    return (
        f"    {times}\n"
        f"    floor {report.number(row['floor_ms'])} ms, {report.percent(row['share'])} of the peak's "
        f"{row['peak_gflops']:.0f} GFLOP/s, PyTorch / nnx {report.number(row['ratio'])}"
    )


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    header = (
        "workload",
        "nnx",
        "nnx train_step",
        "PyTorch best",
        "which",
        "JAX jit",
        "JAX scan",
        "PyTorch / nnx",
        "floor",
        "share of peak",
        "aim",
        "aim's ratio",
    )
    cells = []
    for row in rows:
        ms = row["ms"]
        best = row["torch_best"]
        cells.append(
            (
                row["workload"],
                report.number(ms["nnx"]),
                report.number(ms["nnx train_step"]),
                report.number(ms[best]) if best else "-",
                best.removeprefix("PyTorch ") if best else "-",
                report.number(ms.get("JAX jit")),
                report.number(ms.get("JAX scan")),
                report.number(row["ratio"]),
                report.number(row["floor_ms"]),
                report.percent(row["share"]),
                report.number(row["aim_ms"]),
                report.number(row["aim_ratio"]),
            )
        )
    notes = (
        "Medians in ms. The floor and the share are those of the FMA peak measured by turns with the row.\n"
        "JAX runs without dropout. The aims are of another machine; see NOTES.md."
    )
    text = f"{report.table(header, cells)}\n\n{notes}"
    print(f"\n{text}")
    groups = [report.Bars(row["workload"], drawn(row), row["floor_ms"]) for row in rows]
    picture = report.bars(groups, TITLE, "ms, logarithmic; shorter is better")
    report.write("train_step", TITLE, options, text, rows, picture)


def drawn(row: dict[str, Any]) -> dict[str, float]:
    """nnx and the best of each peer."""
    ms = row["ms"]
    values = {"nnx": ms["nnx"]}
    if row["torch_best"]:
        values["PyTorch, its best"] = ms[row["torch_best"]]
    return values | {name: ms[name] for name in ("JAX jit", "JAX scan") if name in ms}


if __name__ == "__main__":
    main()
