"""How much memory does a training step take? Each library in a process of its own.

Measured is what the process holds at its peak, and what memory of its own came into use after the library and
the batch were there; `summary` promises the latter. Not in use are code, which comes from files as it is first
called, and what the C library keeps of memory that was given back.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import checks
import common
import models
import report

TITLE = "Megabytes that training takes"
ROWS = ("AlexNet, batch 16", "LeNet, batch 128", "MLP 784-512-512-10 dropout, batch 128")
STEPS = 3
TOLERANCE = 0.10  # of the summary's estimate


def prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--child", nargs=2, metavar=("LIBRARY", "ROW"), help=argparse.SUPPRESS)


def main() -> None:
    options = common.start(__doc__, prepare)
    if options.child:
        library, row = options.child
        print(json.dumps(CHILDREN[library](workload_of(row), options)))
        return
    rows = []
    for title in ROWS:
        if common.chosen(title, options):
            rows.append(measure(title, options))
            print(f"{title}: {rows[-1]}", flush=True)
    if rows:
        write(rows, options)


def workload_of(title: str) -> models.Workload:
    return next(w for w in models.WORKLOADS if w.title == title)


def measure(title: str, options: argparse.Namespace) -> dict[str, Any]:
    """Checks, then runs each library in a process of its own."""
    if not options.quick:
        checks.check_training(workload_of(title))
    libraries = [name for name in CHILDREN if name == "nnx" or common.version("torch")]
    found: dict[str, Any] = {"row": title}
    for library in libraries:
        command = [sys.executable, __file__, "--threads", str(options.threads), "--child", library, title]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        found[library] = json.loads(lines[-1])
    return found


def nnx_child(workload: models.Workload, options: argparse.Namespace) -> dict[str, float]:
    model = workload.make()
    x, y = models.samples(model, workload.loss, workload.batch)
    before = in_use()
    model = workload.model()
    for _ in range(STEPS):
        model.train_step(x, y)
    peak, after = resident("VmHWM"), in_use()
    return {"before": before, "after": after, "peak": peak, "summary": estimate(model, workload.batch)}


def torch_child(workload: models.Workload, options: argparse.Namespace) -> dict[str, float]:
    import torch
    import torch_twin

    torch.set_num_threads(options.threads)
    model = workload.make()
    x, y = models.samples(model, workload.loss, workload.batch)
    torch.nn.functional.relu(torch.zeros(1))
    before = in_use()
    network = torch_twin.twin(model, same_weights=False)  # nnx's weights would count too
    loop = torch_twin.training(network, workload.loss, x, y)
    for _ in range(STEPS):
        loop.call()
    return {"before": before, "after": in_use(), "peak": resident("VmHWM")}


CHILDREN = {"nnx": nnx_child, "PyTorch": torch_child}


def in_use() -> float:
    """MB of the process's own memory, once the C library has returned what is free."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
    return resident("RssAnon")


def resident(field: str) -> float:
    """MB, a million bytes each: RssAnon the process's own now, VmHWM all of it at most so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"no {field} in /proc/self/status")


def estimate(model: Any, batch: int) -> float:
    """MB, as `summary` says them."""
    text = model.summary(batch_size=batch, print_fn=None)
    line = next(line for line in text.splitlines() if line.startswith("Memory to train on"))
    value, unit = line.rsplit(": ", 1)[1].split()
    return float(value.replace(",", "")) * {"kB": 1e-3, "MB": 1.0, "GB": 1e3}[unit]


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    header = (
        "row",
        "nnx peak",
        "PyTorch peak",
        "nnx training",
        "PyTorch training",
        "summary",
        "summary / measured",
    )
    cells = []
    for row in rows:
        own, other = row["nnx"], row.get("PyTorch")
        taken = own["after"] - own["before"]
        cells.append(
            (
                row["row"],
                f"{own['peak']:,.0f}",
                f"{other['peak']:,.0f}" if other else "-",
                f"{taken:,.0f}",
                f"{other['after'] - other['before']:,.0f}" if other else "-",
                f"{own['summary']:,.1f}",
                f"{own['summary'] / taken:.2f}",
            )
        )
    notes = (
        "MB resident: at the peak, library included; and what training took, from before the model was built to\n"
        f"after {STEPS} steps (without code, and without what is free in the heap), beside what `summary` says of it."
    )
    text = f"{report.table(header, cells)}\n\n{notes}"
    print(f"\n{text}")
    groups = [
        report.Bars(
            row["row"], {name: row[name]["peak"] for name in CHILDREN if name in row}, row["nnx"]["summary"]
        )
        for row in rows
    ]
    picture = report.bars(groups, TITLE, "MB at the peak, logarithmic; shorter is better", "nnx's summary")
    report.write("memory", TITLE, options, text, rows, picture)


if __name__ == "__main__":
    main()
