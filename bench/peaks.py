"""What this machine can do at most: fused multiply-adds and memory traffic, measured by small C programs."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = ("-O3", "-march=native", "-pthread", "-shared", "-fPIC")


@functools.cache
def _library(name: str) -> ctypes.CDLL | None:
    """bench/<name>.c, compiled now; None where there is no compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.so"
        subprocess.run([compiler, *FLAGS, "-o", str(path), str(HERE / f"{name}.c")], check=True)
        return ctypes.CDLL(str(path))


def fma(threads: int) -> tuple[Callable[[], object], float] | None:
    """A call of about 20 ms that does nothing but multiply and add, and its FLOPs."""
    library = _library("fma_peak")
    if library is None:
        return None
    library.fma_flops.restype = ctypes.c_double
    work = ctypes.c_long(800 * threads), ctypes.c_long(20_000)
    return lambda: library.fma_run(threads, *work), library.fma_flops(*work)


def independent_tasks() -> Callable[[int], object] | None:
    """A call, by threads, of some 6,000 tasks of 30 us: whoever is free takes the next, and nobody waits for one."""
    library = _library("fma_peak")
    if library is None:
        return None
    return lambda threads: library.fma_run(threads, ctypes.c_long(6_000), ctypes.c_long(20_000))


@functools.cache
def bandwidth(threads: int, working_set: int) -> float | None:
    """Bytes per second over the same `working_set` bytes: reading, or updating where that moves more."""
    library = _library("stream_peak")
    if library is None:
        return None
    library.stream_seconds.restype = ctypes.c_double
    size = max(working_set, 1 << 14)

    def rate(update: int) -> float:
        passes = 1
        while True:
            seconds = library.stream_seconds(threads, ctypes.c_long(size), ctypes.c_long(passes), update)
            if seconds > 0.03:
                return (1 + update) * size * passes / seconds
            passes *= 4

    return max(rate(update) for update in (0, 1) for _ in range(3))
