"""Every family of kernels on a device, forward and backward, on awkward shapes, and short trainings: food for sanitizers.

Results are compared with the float64 references of tests/: where all that is expected are whole numbers, to the last
bit, elsewhere within a bound; trainings with the CPU. A family ends at its first failure, which is told with the call,
its arguments and the first wrong element, and the next family goes on, in a new process where the device was lost to
this one. Needs NumPy and nnx alone, and starts in a moment, as a program under a checker should.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import nnx
import numpy as np
from gpu_cases import CASES, Definitions
from gpu_trainings import LOSS_BOUNDS, TRAININGS, check_training

FILLS = ("integers", "real")
BOUNDS = {"float32": 1e-5, "float64": 1e-12}
WHOLE = 2.0**24  # up to here float32 holds every whole number, and sums of them are exact
SEED = 17
SHOWN = 6  # elements of an argument
ERRORS = (ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


@dataclass
class Call:
    """One call of an op, for the report of a failure."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    results: tuple[Any, ...]


@dataclass
class Place:
    """nnx.ops on a device: arrays go there, results come back from there."""

    device: str
    calls: list[Call] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        function = getattr(nnx.ops, name)

        def call(*args: Any, **options: Any) -> Any:
            self.calls.append(Call(name, args, options, ()))
            placed = [self.put(arg) for arg in args]
            results = function(*placed, **options)
            found = results if isinstance(results, tuple) else (results,)
            self.calls[-1].results = (*found, *placed)  # updates write into their arguments
            return results

        return call

    def put(self, value: Any) -> Any:
        """An array, or a list of them, there."""
        if isinstance(value, list):
            return [self.put(item) for item in value]
        return nnx.tensor(value, device=self.device) if isinstance(value, np.ndarray) else value

    def call_of(self, result: Any) -> Call | None:
        """The one that gave this result, or the last one."""
        for call in self.calls:
            if any(found is result for found in call.results):
                return call
        return self.calls[-1] if self.calls else None


def drawing(dtype: str, fill: str) -> Callable[..., np.ndarray]:
    """Whole numbers in -32 .. 32, or normal ones; the same sequence each time."""
    generator = np.random.default_rng(SEED)
    if fill == "integers":
        return lambda *shape: generator.integers(-32, 33, shape).astype(dtype)
    return lambda *shape: generator.standard_normal(shape).astype(dtype)


def check_case(name: str, device: str, dtype: str, fill: str) -> None:
    """AssertionError where a result is off."""
    place = Place(device)
    try:
        got = CASES[name](place, drawing(dtype, fill))
    except ERRORS as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{_described(place.call_of(None))}") from error
    want = CASES[name](Definitions(), drawing(dtype, fill))
    assert len(got) == len(want)
    for number, (ours, right) in enumerate(zip(got, want, strict=True)):
        if right is None:
            assert ours is None
            continue
        found = np.asarray(ours.numpy() if isinstance(ours, nnx.Tensor) else ours)
        wrong = difference(found, np.asarray(right), BOUNDS[dtype])
        if wrong:
            told = f"result {number} of {len(want)}: {wrong}\n{_described(place.call_of(ours))}"
            raise AssertionError(told)


def difference(got: np.ndarray, want: np.ndarray, bound: float) -> str | None:
    """What is wrong, with the first element that is; None where nothing is."""
    if got.shape != want.shape:
        return f"shape {got.shape}, expected {want.shape}"
    if want.size == 0:
        return None
    exact = want.dtype.kind in "biu" or bool(np.all((np.rint(want) == want) & (np.abs(want) < WHOLE)))
    if exact:
        off = got != want
        if not off.any():
            return None
        measure = "expected to the last bit"
    else:
        norm = float(np.linalg.norm(want)) or 1.0
        error = float(np.linalg.norm(got.astype(np.float64) - want)) / norm
        if error <= bound:
            return None
        # An element counts as wrong where it alone is off by more than its share of what all may be off by.
        share = bound * norm / np.sqrt(want.size)
        off = ~(np.abs(got.astype(np.float64) - want) <= share)
        measure = f"relative error {error:.3g}, at most {bound:g}"
    places = np.argwhere(off)
    lines = [f"{measure}; {len(places)} of {off.size} elements of shape {want.shape} are off"]
    lines += [
        f"    at {tuple(int(i) for i in place)}: expected {want[tuple(place)]:.9g}, got {got[tuple(place)]:.9g}"
        for place in places[:3]
    ]
    last = tuple(int(i) for i in places[-1]) if len(places) else ()
    lines.append(f"    the last at {last}; {int(np.count_nonzero(np.isnan(got)))} are NaN")
    return "\n".join(lines)


def _described(call: Call | None) -> str:
    """The call in words: its options, and its arguments with their first elements."""
    if call is None:
        return "    before any call"
    lines = [f"    in {call.name}({', '.join(f'{k}={v!r}' for k, v in call.options.items())}) of"]
    for value in call.arguments:
        if isinstance(value, np.ndarray):
            some = ", ".join(f"{v:.9g}" for v in value.ravel()[:SHOWN])
            lines.append(f"      {value.dtype} {value.shape}: {some}{', ...' if value.size > SHOWN else ''}")
        else:
            lines.append(f"      {value!r}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    family: str
    name: str
    run: Callable[[], None]


def every_check(device: str) -> Iterator[Check]:
    """The cheapest first within a family."""
    for name in CASES:
        for dtype in BOUNDS:
            for fill in FILLS:
                run = functools.partial(check_case, name, device, dtype, fill)
                yield Check(name.split()[0], f"{name}, {dtype}, {fill}", run)
    precisions = ("float32", "float64") if device == "cpu" else tuple(LOSS_BOUNDS)
    for name in TRAININGS:
        for precision in precisions:
            run = functools.partial(check_training, name, device, precision)
            yield Check(f"training of {name}", f"{name}, {precision}", run)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--rows", nargs="*", default=[], metavar="TEXT", help="only those that contain one")
    add("--without", nargs="*", default=[], metavar="TEXT", help="none of those that contain one")
    add("--device", default="cuda" if nnx.cuda.is_available() else "cpu")
    add("--dry-run", action="store_true", help="on the CPU too")
    add("--seconds", type=float, default=float("inf"), metavar="S", help="begin no check after so long")
    add("--hang", type=float, default=60.0, metavar="S", help="a check that takes longer has failed")
    add("--after", nargs="*", default=[], metavar="FAMILY", help=argparse.SUPPRESS)
    add("--counted", nargs=3, type=float, default=[0, 0, 0], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cpu" and not options.dry_run:
        sys.exit(f"no GPU for nnx: {nnx.info()['cuda']['reason']}")
    warnings.simplefilter("error")
    if not options.after:
        emulated = " (the emulator)" if options.device != "cpu" and nnx.cuda.is_emulated() else ""
        print(f"on {options.device}{emulated}; arguments of numpy.random.default_rng({SEED})", flush=True)
    Report(options).run()


class Report:
    """Runs the checks that are wanted, a line each, and goes on in a new process where the device is lost."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.over = list(options.after)  # families that are done with
        self.passed, self.failed = (int(n) for n in options.counted[:2])
        self.began = time.monotonic() - options.counted[2]

    def run(self) -> None:
        late: list[str] = []
        for check in every_check(self.options.device):
            if not self._wanted(check.name) or check.family in self.over:
                continue
            if time.monotonic() - self.began > self.options.seconds:
                late.append(check.name)
                continue
            self._one(check)
        for name in late:
            print(f"late    {name}: no time was left")
        print(
            f"{self.passed} ok, {self.failed} failed on {self.options.device}, {len(late)} left out for time"
        )
        sys.exit(1 if self.failed or not self.passed else 0)

    def _wanted(self, name: str) -> bool:
        def among(texts: list[str]) -> bool:
            return any(text.lower() in name.lower() for text in texts)

        return (not self.options.rows or among(self.options.rows)) and not among(self.options.without)

    def _one(self, check: Check) -> None:
        begin = time.perf_counter()
        watch = threading.Timer(self.options.hang, self._hung, [check])
        watch.daemon = True
        watch.start()
        try:
            check.run()
            print(f"ok      {check.name} ({time.perf_counter() - begin:.2f} s)", flush=True)
            self.passed += 1
        except ERRORS as error:
            print(f"FAILED  {check.name}: {type(error).__name__}: {error}", flush=True)
            self._give_up(check.family)
            if not self._device_answers():
                print("the device is lost to this process: going on in a new one", flush=True)
                self._again()
        finally:
            watch.cancel()

    def _hung(self, check: Check) -> None:
        print(f"FAILED  {check.name}: nothing came back within {self.options.hang:g} s", flush=True)
        self._give_up(check.family)
        self._again()

    def _give_up(self, family: str) -> None:
        self.failed += 1
        self.over.append(family)
        print(f"        what is left of the family '{family}' is left out", flush=True)

    def _device_answers(self) -> bool:
        try:
            return bool(
                nnx.ops.relu(nnx.tensor(np.float32([-1, 2]), device=self.options.device)).numpy()[1] == 2
            )
        except ERRORS:
            return False

    def _again(self) -> None:
        command = [arg for arg in sys.orig_argv]
        for name in ("--after", "--counted"):
            if name in command:
                del command[command.index(name) :]
        spent = time.monotonic() - self.began
        counted = ["--counted", str(self.passed), str(self.failed), f"{spent:.1f}"]
        os.execv(sys.executable, [*command, *counted, "--after", *self.over])


if __name__ == "__main__":
    main()
