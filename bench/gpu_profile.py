"""Which kernels make up a training step on a GPU, how long does each take, and how long does the GPU wait between?

Read from PyTorch's profiler, which sees every kernel of the process, nnx's too. With --plain the steps run without
it, for a profiler around the program.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import gpu
import gpu_train_step
import models
import nnx
import numpy as np
import report
from models import Workload

TITLE = "Kernels of a training step on a GPU"
STEPS = 64  # of nnx that are looked at, and of a graph
SHOWN = 24  # kernels of a step in a table


def prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="only run a few steps of nnx, one by one")


def main() -> None:
    options = gpu.start(__doc__, prepare)
    results = gpu.Results("profile", TITLE, options, render, lambda rows: None)
    for precision in gpu.precisions(options):
        for workload in gpu_train_step.workloads(options):
            title = f"{workload.title}, {precision}"
            if options.plain:
                if common.chosen(title, options):
                    plain(workload, precision, options)
                continue
            run = functools.partial(measure, workload, precision, options)
            results.measure(title, run)
    if not options.plain:
        results.end()


def plain(workload: Workload, precision: str, options: argparse.Namespace) -> None:
    model = workload.model(0.001, options.device, precision)
    x, y = models.samples(model, workload.loss, workload.batch)
    for _ in range(4):
        print(f"{workload.title}, {precision}: loss {model.train_step(x, y):.6f}")


def measure(workload: Workload, precision: str, options: argparse.Namespace) -> dict[str, Any]:
    """The kernels of nnx's steps, and of PyTorch's captured ones."""
    model = workload.model(0.001, options.device, precision)
    steps = 3 if options.dry_run else 4 if workload.title.startswith("AlexNet") else STEPS
    x, y = gpu_train_step.batches(model, workload, steps * workload.batch)

    def epoch() -> None:
        model.fit(x, y, workload.batch, shuffle=False, verbose=0)

    row = {"steps": steps, "nnx": profiled(epoch, steps)}
    if options.device == "cuda" and not nnx.cuda.is_emulated() and not row["nnx"]["kernels"]:
        raise RuntimeError("the profiler saw no kernel of nnx")
    import gpu_torch

    if gpu_torch.device(options).type == "cuda":
        place = gpu_torch.device(options)
        first = x[: workload.batch], y[: workload.batch]

        def graph() -> Callable[[], None]:
            return gpu_torch.Training(model, *first, precision, place, channels_last=x.ndim == 4).graph()

        replay = gpu.attempt("PyTorch graph", graph)
        if replay is not None:

            def steps_of_it() -> None:
                for _ in range(steps):
                    replay()
                gpu_torch.wait()

            row["PyTorch graph"] = profiled(steps_of_it, steps)
    for name in ("nnx", "PyTorch graph"):
        if name in row:
            found = row[name]
            print(
                f"    {name}: {found['kernels']:.1f} kernels a step, {found['busy_us']:.1f} us of {found['span_us']:.1f}"
            )
    return row


def profiled(run: Callable[[], object], steps: int) -> dict[str, Any]:
    """Kernels and copies between the first and the last kernel, per step; the second of two runs."""
    from torch.profiler import ProfilerActivity, profile

    run()
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
        run()
        gpu.finish()
    # A trace of its own is the one form that all versions of the profiler share.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return per_step(events, steps)


def per_step(events: list[dict[str, Any]], steps: int) -> dict[str, Any]:
    """Sums over a trace's device events."""
    on_device = [e for e in events if e.get("ph") == "X" and e.get("cat") in ("kernel", "gpu_memset")]
    totals: dict[str, list[float]] = defaultdict(list)
    for event in on_device:
        totals[event["name"]].append(float(event["dur"]))
    begin = min((e["ts"] for e in on_device), default=0.0)
    end = max((e["ts"] + e["dur"] for e in on_device), default=0.0)
    kernels = [
        {
            "name": name,
            "calls": len(times) / steps,
            "us": sum(times) / steps,
            "median_us": float(np.median(times)),
        }
        for name, times in sorted(totals.items(), key=lambda item: -sum(item[1]))
    ]
    return {
        "kernels": len(on_device) / steps,
        "busy_us": sum(k["us"] for k in kernels),
        "span_us": (end - begin) / steps,
        "list": kernels,
    }


def short(name: str) -> str:
    """A kernel's name without what is the same in all of them."""
    name = re.sub(r"nnx::cuda::|\(anonymous namespace\)::|void |at::native::", "", name).split("(")[0]
    return name if len(name) <= 100 else f"{name[:97]}..."


def render(rows: list[dict[str, Any]]) -> str:
    sides = [(row, name) for row in rows for name in ("nnx", "PyTorch graph") if name in row]
    header = ("row", "side", "kernels a step", "busy, us", "from first to last, us", "waiting")
    cells = []
    parts = []
    for row, name in sides:
        found = row[name]
        waiting = 1 - found["busy_us"] / found["span_us"] if found["span_us"] else None
        cells.append(
            (
                row["row"],
                name,
                f"{found['kernels']:.1f}",
                report.number(found["busy_us"]),
                report.number(found["span_us"]),
                report.percent(waiting),
            )
        )
        lines = [
            (short(k["name"]), f"{k['calls']:.2f}", report.number(k["us"]), report.number(k["median_us"]))
            for k in found["list"][:SHOWN]
        ]
        head = ("kernel", "calls a step", "us a step", "median, us")
        parts.append(f"## {row['row']}: {name}\n\n{report.table(head, lines)}")
    notes = "Microseconds on the device. The span of nnx holds what the host does between calls as well."
    return "\n\n".join([report.table(header, cells), notes, *parts])


if __name__ == "__main__":
    main()
