"""What do more threads bring, and what does a busy neighbour cost? LeNet batch 128 and AlexNet batch 16.

The neighbour is a process that computes without end on a CPU of its choice; it is halted except in its turns.
What threads lose beside it at least, on this machine, show tasks of 30 us that nobody waits for.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import checks
import common
import models
import nnx
import peaks
import report
from common import Candidate, Timing

TITLE = "Milliseconds per training step, by threads, and beside a busy process"
BUSY = "while True: pass"
YARDSTICK = "independent tasks"


def prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alone", action="store_true", help="without the busy process")


def main() -> None:
    options = common.start(__doc__, prepare)
    if options.threads < 2:
        raise SystemExit("scaling needs two threads at least")
    rows = []
    for title in ("LeNet, batch 128", "AlexNet, batch 16"):
        workload = next(w for w in models.WORKLOADS if w.title == title)
        if common.chosen(title, options) and not (options.quick and title.startswith("AlexNet")):
            with contextlib.nullcontext() if options.alone else busy_process() as neighbour:
                rows.append(measure(workload, neighbour, options))
            print(f"{title}: {rows[-1]}", flush=True)
    if rows:
        write(rows, options)


@contextlib.contextmanager
def busy_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that never waits, halted for now."""
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        os.kill(process.pid, signal.SIGSTOP)
        try:
            yield process
        finally:
            process.kill()


def measure(
    workload: models.Workload, neighbour: subprocess.Popen[bytes] | None, options: argparse.Namespace
) -> dict[str, Any]:
    """Checks, then times one row."""
    checks.check_training(workload)
    candidates: dict[str, Candidate] = {}
    for name, (steps, call) in ways(workload).items():
        for threads in (1, options.threads):
            candidates[f"{name}, {threads}"] = Candidate(functools.partial(call, threads), steps)
        if neighbour is not None:
            beside_it = beside(neighbour, functools.partial(call, options.threads))
            candidates[f"{name}, {options.threads}, busy"] = Candidate(beside_it, steps)
    timings, _ = common.race(candidates, options, long=workload.aim > 100)
    return {"row": workload.title, **summary(timings, options.threads)}


def ways(workload: models.Workload) -> dict[str, tuple[int, Callable[[int], object]]]:
    """Steps per call, and the call, which takes the number of threads."""
    model = workload.model(0.001)
    steps = 3 if workload.aim > 100 else 10
    x, y = models.samples(model, workload.loss, steps * workload.batch)
    few = x[: workload.batch], y[: workload.batch]

    def epoch(threads: int) -> None:
        nnx.set_num_threads(threads)
        model.fit(x, y, batch_size=workload.batch, shuffle=False, verbose=0)

    found: dict[str, tuple[int, Callable[[int], object]]] = {"nnx": (steps, epoch)}
    if common.version("torch"):
        import torch
        import torch_twin

        train = torch_twin.training(torch_twin.twin(model), workload.loss, *few, channels_last=True).call

        def step(threads: int) -> None:
            torch.set_num_threads(threads)
            train()

        found["PyTorch"] = (1, step)
    tasks = peaks.independent_tasks()
    if tasks is not None:
        found[YARDSTICK] = (1, tasks)
    return found


def beside(neighbour: subprocess.Popen[bytes], train: Callable[[], object]) -> Callable[[], object]:
    def call() -> None:
        os.kill(neighbour.pid, signal.SIGCONT)
        train()
        os.kill(neighbour.pid, signal.SIGSTOP)

    return call


def summary(timings: dict[str, Timing], threads: int) -> dict[str, Any]:
    """Times in ms; the speed-up by threads; the slow-down beside the busy process."""
    ms = {name: 1e3 * timing.median for name, timing in timings.items()}
    found: dict[str, Any] = {"ms": ms, "speed-up": {}, "slow-down": {}}
    for name in dict.fromkeys(key.split(",")[0] for key in ms):
        many = ms[f"{name}, {threads}"]
        found["speed-up"][name] = ms[f"{name}, 1"] / many
        if f"{name}, {threads}, busy" in ms:
            found["slow-down"][name] = ms[f"{name}, {threads}, busy"] / many
    return found


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    threads = options.threads
    header = ("row", "1 thread", f"{threads} threads", "speed-up", "beside a busy process", "slow-down")
    cells = [
        (
            f"{row['row']}, {name}",
            report.number(row["ms"][f"{name}, 1"]),
            report.number(row["ms"][f"{name}, {threads}"]),
            f"{speed_up:.2f}",
            report.number(row["ms"].get(f"{name}, {threads}, busy")),
            report.number(row["slow-down"].get(name)),
        )
        for row in rows
        for name, speed_up in row["speed-up"].items()
    ]
    fair = (threads + 1) / threads
    notes = (
        "Medians in ms; PyTorch is channels_last. Threads that share evenly with one more lose a factor of "
        f"{fair:.2f};\nhalf of one of two CPUs lost, and the other waiting for it, is a factor of 2. {YARDSTICK}: "
        "some 6,000 of 30 us,\nwhich threads take as they are free; what they lose is what the system takes."
    )
    text = f"{report.table(header, cells)}\n\n{notes}"
    print(f"\n{text}")
    picture = report.bars(
        [report.Bars(r["row"], {k: v for k, v in r["ms"].items() if YARDSTICK not in k}) for r in rows],
        TITLE,
        "ms, logarithmic; shorter is better",
    )
    report.write("scaling", TITLE, options, text, rows, picture)


if __name__ == "__main__":
    main()
