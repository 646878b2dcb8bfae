"""What the programs for GPUs share: arguments, the device and its limits, timing by turns, results row by row."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

import common
import floors
import nnx
import numpy as np
import report
from common import Timing

PRECISIONS = ("float32", "tf32", "bfloat16")
STARTED = time.monotonic()
# What a library may raise that does not run here, or a check that finds something.
ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SubprocessError,
    SystemExit,
    TypeError,
    ValueError,
)


def start(
    description: str | None, prepare: Callable[[argparse.ArgumentParser], object] | None = None
) -> argparse.Namespace:
    """The arguments; ends the program where there is no GPU and no --dry-run."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    add = parser.add_argument
    add("--precision", nargs="*", choices=PRECISIONS, default=list(PRECISIONS), metavar="NAME")
    add("--rows", nargs="*", default=[], metavar="TEXT", help="only rows with one of these in their names")
    add("--quick", action="store_true", help="fewer and shorter turns, and fewer rows")
    add(
        "--turns",
        type=int,
        default=7,
        metavar="N",
        help="of each way to do it; three or fewer are short ones",
    )
    add("--named", default="", metavar="WORD", help="in the results' name")
    add("--dry-run", action="store_true", help="tiny sizes, on the CPU where there is no GPU: does it run?")
    add("--no-compile", action="store_true", help="without torch.compile")
    add("--compile-seconds", type=float, default=100, metavar="S", help="at most so long for one compile")
    add("--budget", type=float, default=420, metavar="S", help="after so long, no torch.compile any more")
    add("--resume", action="store_true", help="leave out rows that today's results have already")
    add("--output", type=Path, default=common.RESULTS, metavar="DIR")
    if prepare is not None:
        prepare(parser)
    options = parser.parse_args()
    if options.quick:
        options.turns = min(options.turns, 3)
    options.device = "cuda" if nnx.cuda.is_available() else "cpu"
    if options.device == "cpu" and not options.dry_run:
        sys.exit(f"no GPU for nnx: {nnx.info()['cuda']['reason']}")
    return options


def precisions(options: argparse.Namespace) -> list[str]:
    """Those asked for that the device has."""
    return [p for p in options.precision if options.device != "cpu" or p == "float32"]


def seconds_left(options: argparse.Namespace) -> float:
    """Of the budget for what is slow and can be left out."""
    return float(options.budget - (time.monotonic() - STARTED))


# The device


@dataclass(frozen=True)
class Limits:
    """Dense FLOP/s by precision and bytes per second, by the datasheet."""

    flops: dict[str, float]
    bandwidth: float

    def seconds(self, costs: Iterable[floors.Cost], precision: str) -> float:
        """Layer by layer the larger of the times for operations and for bytes; see NOTES.md."""
        rate = self.flops[precision]
        return sum(max(cost.flops / rate, cost.bytes / self.bandwidth) for cost in costs)


# TFLOP/s in float32, TF32 and bfloat16 without sparsity, and TB/s; the first name that fits counts.
DATASHEETS = (
    ("GH200 480GB", 67, 495, 989, 4.0),
    ("H200", 67, 495, 989, 4.8),
    ("H100 PCIe", 51, 378, 756, 2.0),
    ("H100", 67, 495, 989, 3.35),
    ("A100-SXM4-80GB", 19.5, 156, 312, 2.04),
    ("A100 80GB PCIe", 19.5, 156, 312, 1.94),
    ("A100", 19.5, 156, 312, 1.56),
    ("L40S", 91.6, 183, 366, 0.864),
    ("L4", 30.3, 60, 121, 0.3),
    ("RTX 4090", 82.6, 82.6, 165, 1.01),
)


def device_name(options: argparse.Namespace) -> str:
    """As the driver has it."""
    devices = nnx.info()["cuda"]["devices"] if options.device == "cuda" else []
    return str(devices[0]["name"]) if devices else "the CPU (dry run)"


def limits(options: argparse.Namespace) -> Limits | None:
    """None for a GPU that is not in the table."""
    for name, *flops, bandwidth in DATASHEETS:
        if name in device_name(options):
            rates = dict(zip(PRECISIONS, (1e12 * f for f in flops), strict=True))
            return Limits(rates, 1e12 * bandwidth)
    return None


def about(options: argparse.Namespace) -> dict[str, str]:
    """The device and the software, in words."""
    info = nnx.info()
    cuda = info["cuda"]
    words = {"device": device_name(options)}
    if options.device == "cuda":
        device = cuda["devices"][0]
        known = limits(options)
        words |= {
            "emulated": str(cuda["emulated"]),
            "compute capability": f"{device['compute_capability']}, {device['multiprocessors']} multiprocessors",
            "plugin": f"built for {cuda['architectures']}, runtime {cuda['runtime']}, driver {cuda['driver']}",
            "limits": "unknown: no floors"
            if known is None
            else ", ".join(f"{rate / 1e12:g} TFLOP/s {name}" for name, rate in known.flops.items())
            + f", {known.bandwidth / 1e12:g} TB/s, by the datasheet",
        }
    words |= {"system": common.machine(nnx.get_num_threads())["system"], "nnx": info["version"]}
    if common.version("torch"):
        import torch

        words["torch"] = f"{torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
    return words


def finish() -> None:
    """Waits for everything that nnx has left running."""
    nnx.tensor(np.zeros(1, np.float32), device="cuda" if nnx.cuda.is_available() else "cpu").numpy()


# Timing


@dataclass
class Way:
    """Something to time: run(n) does n steps, or somewhat more; the seconds they took, and their number."""

    run: Callable[[int], tuple[float, int]]


def calls(call: Callable[[], object], wait: Callable[[], object], steps: int = 1) -> Way:
    """Calls of `steps` steps each, one after the other, and at the end a wait for the device."""

    def run(wanted: int) -> tuple[float, int]:
        count = max(1, -(-wanted // steps))
        wait()
        begin = time.perf_counter()
        for _ in range(count):
            call()
        wait()
        return time.perf_counter() - begin, count * steps

    return Way(run)


def turns(ways: dict[str, Way], options: argparse.Namespace) -> dict[str, Timing]:
    """Seconds per step by turns, so that what the GPU's clock does meets all alike; nnx has to run, peers need not."""
    rounds, seconds = options.turns, 0.1 if options.turns <= 3 else 0.25
    if options.dry_run:
        rounds, seconds = 1, 0.0
    steps: dict[str, int] = {}
    for name, way in ways.items():
        found = attempt(name, functools.partial(_steps, way, seconds))
        if found is not None:
            steps[name] = found
    timings = {name: Timing() for name in steps}
    names = list(steps)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            ways[name].run(1)
            taken, done = ways[name].run(steps[name])
            timings[name].rounds.append(taken / done)
    return timings


def _steps(way: Way, seconds: float) -> int:
    way.run(1)
    steps = 1
    while True:
        taken, done = way.run(steps)
        if taken >= seconds / 4:
            return max(1, round(done * seconds / taken))
        steps = max(4 * steps, done)


def attempt(name: str, function: Callable[[], Any]) -> Any:
    """What the function gives; of a peer that fails, None, and a line that says so."""
    if name.startswith("nnx"):
        return function()
    try:
        return function()
    except ERRORS as error:
        print(f"    {name} left out: {_in_a_line(error)}", flush=True)
        return None


def optional(name: str, make: Callable[[], Way]) -> dict[str, Way]:
    """{name: way}, or nothing where it cannot be made."""
    way = attempt(name, make)
    return {} if way is None else {name: way}


def _in_a_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:200]}"


# Results


@dataclass
class Results:
    """The rows of a program, written after each one."""

    name: str
    title: str
    options: argparse.Namespace
    render: Callable[[list[dict[str, Any]]], str]
    draw: Callable[[list[dict[str, Any]]], Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        named = f"-{self.options.named}" if self.options.named else ""
        self.name = f"gpu_{self.name}{named}{'-dry-run' if self.options.dry_run else ''}"
        path = report.path_of(self.name, self.options).with_suffix(".json")
        if self.options.resume and path.exists():
            self.rows = json.loads(path.read_text())["data"]

    def measure(self, title: str, function: Callable[[], dict[str, Any]]) -> None:
        """One row, where it is wanted; one that fails is a row too."""
        if not common.chosen(title, self.options) or any(row["row"] == title for row in self.rows):
            return
        print(f"{title}:", flush=True)
        begin = time.monotonic()
        try:
            row = {"row": title, **function()}
        except ERRORS as error:
            row = {"row": title, "failed": _in_a_line(error)}
            print(f"    FAILED: {row['failed']}", flush=True)
        row["took"] = time.monotonic() - begin
        self.rows.append(row)
        self._write(None)
        if "failed" in row:
            self._restart_where_the_device_is_lost()

    def _restart_where_the_device_is_lost(self) -> None:
        # After a fault in a kernel nothing runs in this process any more; a new one takes the rows that are left.
        try:
            finish()
        except ERRORS:
            print("the device is lost to this process: going on in a new one", flush=True)
            again = [] if "--resume" in sys.argv else ["--resume"]
            os.execv(sys.executable, [*sys.orig_argv, *again])

    def end(self) -> None:
        """The table and the picture; the program's exit code says whether a row failed."""
        sound = [row for row in self.rows if "failed" not in row]
        print(f"\n{self._text()}")
        path = self._write(self.draw(sound) if sound else None)
        print(f"\nWrote {path}.*")
        sys.exit(1 if len(sound) < len(self.rows) or not self.rows else 0)

    def _text(self) -> str:
        sound = [row for row in self.rows if "failed" not in row]
        lines = [f"- FAILED {row['row']}: {row['failed']}" for row in self.rows if "failed" in row]
        return "\n".join([*([self.render(sound)] if sound else []), "", *lines]).rstrip()

    def _write(self, picture: Any) -> Path:
        about_it = about(self.options)
        return report.save(self.name, self.title, self.options, self._text(), self.rows, picture, about_it)


def ratio(other: float | None, ours: float) -> float | None:
    """How many times as long the other takes."""
    return None if other is None else other / ours
