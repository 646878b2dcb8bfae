"""What the programs share: arguments and threads, and timing by turns."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peaks

RESULTS = Path(__file__).parent / "results"
PEAK = "FMA peak"


def start(
    description: str | None, prepare: Callable[[argparse.ArgumentParser], object] | None = None
) -> argparse.Namespace:
    """The arguments, once this process and every library in it has the number of threads asked for."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and the longest rows left out")
    parser.add_argument(
        "--rows",
        "--only",
        nargs="*",
        default=[],
        metavar="TEXT",
        help="only rows with one of these in their names",
    )
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="DIR", help="where tables and pictures go"
    )
    if prepare is not None:
        prepare(parser)
    options = parser.parse_args()
    _restart_with(options.threads)
    import nnx

    nnx.set_num_threads(options.threads)
    return options


def _restart_with(threads: int) -> None:
    # Libraries read their number of threads as they load, so the process starts over with all of it settled.
    if os.environ.get("NNX_NUM_THREADS") == str(threads) and "NNX_BENCH" in os.environ:
        return
    names = ("NNX", "OMP", "OPENBLAS", "MKL")
    os.environ.update({f"{name}_NUM_THREADS": str(threads) for name in names}, NNX_BENCH="1")
    cpus = sorted(os.sched_getaffinity(0), key=_sibling_number)
    if threads < len(cpus):
        os.sched_setaffinity(0, cpus[:threads])  # JAX sizes its pool by this
    os.execv(sys.executable, sys.orig_argv)


def _sibling_number(cpu: int) -> tuple[int, int]:
    """Sorts the first hardware thread of every core before all second ones."""
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    text = path.read_text() if path.exists() else str(cpu)
    siblings = [int(part) for part in text.strip().replace("-", ",").split(",")]
    return siblings.index(cpu) if cpu in siblings else 0, cpu


def chosen(name: str, options: argparse.Namespace) -> bool:
    """Whether --rows lets this one through."""
    return not options.rows or any(text.lower() in name.lower() for text in options.rows)


def machine(threads: int) -> dict[str, str]:
    """The machine and the software, in words."""
    import nnx

    info = nnx.info()
    cpus = len(os.sched_getaffinity(0))
    words = {
        "cpu": f"{_cpu_model()}, {cpus} CPU{'s' if cpus > 1 else ''}",
        "instruction set": f"{info['cpu']['isa']} (nnx's choice)",
        "threads": str(threads),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "nnx": info["version"],
    }
    return words | {name: v for name in ("numpy", "torch", "jax", "onnxruntime") if (v := version(name))}


def version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    fields: dict[str, str] = {}
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
    name = fields.get("model name") or platform.processor() or platform.machine()
    family, model = fields.get("cpu family"), fields.get("model")
    return f"{name} (family {family}, model {model})" if family else name


@dataclass
class Candidate:
    """Something to time. A call does `steps` steps; `finish` waits for what it left running."""

    call: Callable[[], object]
    steps: int = 1
    finish: Callable[[], object] = lambda: None


@dataclass
class Timing:
    """Seconds per step, of every round."""

    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def best(self) -> float:
        return min(self.rounds)

    def as_dict(self) -> dict[str, Any]:
        return {"median": self.median, "best": self.best, "rounds": self.rounds}


def alternate(candidates: dict[str, Candidate], rounds: int, seconds: float) -> dict[str, Timing]:
    """Times the candidates by turns, so that what else the machine does meets all of them alike.

    A turn lasts about `seconds`, one call at least, after one call untimed.
    """
    calls = {name: _calls(candidate, seconds) for name, candidate in candidates.items()}
    timings = {name: Timing() for name in candidates}
    names = list(candidates)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            candidate = candidates[name]
            if calls[name] > 1 or candidate.steps == 1:
                candidate.call()
                candidate.finish()
            timings[name].rounds.append(_timed(candidate, calls[name]))
    return timings


def _timed(candidate: Candidate, calls: int) -> float:
    call = candidate.call
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    candidate.finish()
    return (time.perf_counter() - begin) / (calls * candidate.steps)


def _calls(candidate: Candidate, seconds: float) -> int:
    for _ in range(2):
        candidate.call()
    candidate.finish()
    calls = 1
    while True:
        taken = _timed(candidate, calls) * calls * candidate.steps
        if taken >= seconds / 4:
            return max(1, round(calls * seconds / taken))
        calls *= 4


def race(
    candidates: dict[str, Candidate], options: argparse.Namespace, long: bool = False
) -> tuple[dict[str, Timing], float]:
    """Times the candidates, and by turns with them the FMA peak, in FLOP/s; 0 where there is no C compiler.

    `long`: a step takes tenths of seconds, and fewer rounds will do.
    """
    peak = peaks.fma(options.threads)
    if peak is not None:
        candidates = {**candidates, PEAK: Candidate(peak[0])}
    rounds = (3 if options.quick else 5) if long else (5 if options.quick else 11)
    timings = alternate(candidates, rounds, 0.1 if options.quick else 0.25)
    return timings, peak[1] / timings.pop(PEAK).median if peak is not None else 0.0


def expect(what: str, error: float, tolerance: float) -> None:
    """Stops the program where a result is off: nothing wrong is worth timing."""
    if not error <= tolerance:
        raise SystemExit(f"{what}: error {error:.3g}, at most {tolerance:.3g} expected; not timed")


def relative_error(value: Any, reference: Any) -> float:
    """||value - reference|| / ||reference||, in float64."""
    import numpy as np

    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    if value.shape != reference.shape:
        return float("inf")
    norm = float(np.linalg.norm(reference)) or 1.0
    return float(np.linalg.norm(value - reference)) / norm
