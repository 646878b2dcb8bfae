"""How near to the machine's peak are matrix products? nnx.ops.dense, torch.mm and NumPy by turns."""

from __future__ import annotations

import argparse
from typing import Any

import common
import nnx
import numpy as np
import peaks
import report
from common import Candidate, Timing

TITLE = "GFLOP/s of matrix products"
TOLERANCE = 1e-6
OF_PEERS = 1e-5  # NumPy adds 25,088 rows one after the other
# rows, reduction, columns
SHAPES = [
    (1024, 1024, 1024),
    (64, 64, 64),
    (128, 128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (2048, 2048, 2048),
    (1000, 1000, 1000),
    (1, 784, 128),
    (32, 784, 128),
    (256, 784, 128),
    (128, 512, 512),
    (128, 3136, 128),
    (16, 9216, 4096),
    (25088, 288, 64),
    (8, 4096, 1000),
    (4096, 27, 64),
]


def main() -> None:
    options = common.start(__doc__)
    rows = []
    for shape in SHAPES:
        for direction in ("forward", "backward"):
            title = f"{' x '.join(map(str, shape))} {direction}"
            if common.chosen(title, options) and not (options.quick and max(shape) > 1024):
                rows.append(measure(title, shape, direction == "backward", options))
                rates = "  ".join(f"{k} {report.number(v)}" for k, v in rows[-1]["gflops"].items())
                print(f"{title}: {rates}  peak {rows[-1]['peak_gflops']:.0f}", flush=True)
    if rows:
        write(rows, options)


def measure(
    title: str, shape: tuple[int, int, int], backward: bool, options: argparse.Namespace
) -> dict[str, Any]:
    """Checks, then times one row."""
    rows, inner, columns = shape
    generator = np.random.default_rng(2)
    sizes = ((rows, inner), (inner, columns), (rows, columns))
    x, w, dy = (generator.standard_normal(size, dtype=np.float32) for size in sizes)
    if backward:
        ways = backwards(x, w, dy)
        wide = [a.astype(np.float64) for a in (x, w, dy)]
        exact = [wide[2] @ wide[1].T, wide[0].T @ wide[2], wide[2].sum(axis=0)]
    else:
        ways = forwards(x, w)
        exact = [x.astype(np.float64) @ w]
    for name, way in ways.items():
        outputs = way()
        for output, right in zip(outputs if isinstance(outputs, tuple) else (outputs,), exact, strict=True):
            tolerance = TOLERANCE if name == "nnx" else OF_PEERS
            common.expect(f"{title}, {name}", common.relative_error(output, right), tolerance)
    flops = 2 * rows * inner * columns * (2 if backward else 1)
    moved = 4 * (x.size + w.size + dy.size) * (2 if backward else 1)
    timings, peak = common.race({name: Candidate(way) for name, way in ways.items()}, options)
    return summary(title, flops, moved, timings, peak, options.threads)


def forwards(x: np.ndarray, w: np.ndarray) -> dict[str, Any]:
    ways: dict[str, Any] = {"nnx": lambda: nnx.ops.dense(x, w)}
    if common.version("torch"):
        import torch

        tx, tw = torch.from_numpy(x), torch.from_numpy(w)
        ways["PyTorch"] = lambda: torch.mm(tx, tw)
    return ways | {"NumPy": lambda: x @ w}


def backwards(x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> dict[str, Any]:
    ways: dict[str, Any] = {"nnx": lambda: nnx.ops.dense_backward(dy, x, w)}
    if common.version("torch"):
        import torch

        tx, tw, td = (torch.from_numpy(a) for a in (x, w, dy))
        ways["PyTorch"] = lambda: (torch.mm(td, tw.t()), torch.mm(tx.t(), td), td.sum(0))
    return ways | {"NumPy": lambda: (dy @ w.T, x.T @ dy, dy.sum(axis=0))}


def summary(
    title: str, flops: int, moved: int, timings: dict[str, Timing], peak: float, threads: int
) -> dict[str, Any]:
    rate = peaks.bandwidth(threads, 1 << max(moved - 1, 1).bit_length())
    gflops = {name: flops / timing.median / 1e9 for name, timing in timings.items()}
    peers = [value for name, value in gflops.items() if name != "nnx"]
    return {
        "row": title,
        "gflops": gflops,
        "us": {name: 1e6 * timing.median for name, timing in timings.items()},
        "floor_us": 1e6 * max(flops / peak, moved / rate) if peak and rate else None,
        "peak_gflops": peak / 1e9,
        "share": gflops["nnx"] / (peak / 1e9) if peak else None,
        "ratio": gflops["nnx"] / max(peers),
    }


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    header = (
        "rows x inner x columns",
        "nnx",
        "PyTorch",
        "NumPy",
        "nnx / best peer",
        "share of peak",
        "us",
        "floor, us",
    )
    cells = [
        (
            row["row"],
            *(report.number(row["gflops"].get(name)) for name in ("nnx", "PyTorch", "NumPy")),
            report.number(row["ratio"]),
            report.percent(row["share"]),
            report.number(row["us"]["nnx"]),
            report.number(row["floor_us"]),
        )
        for row in rows
    ]
    text = f"{report.table(header, cells)}\n\nGFLOP/s by medians; backward is dx, dw and db, twice the work."
    print(f"\n{text}")
    groups = [report.Bars(row["row"], row["gflops"], row["peak_gflops"] or None) for row in rows]
    picture = report.bars(groups, TITLE, "GFLOP/s, logarithmic; longer is better", "FMA peak")
    report.write("gemm", TITLE, options, text, rows, picture)


if __name__ == "__main__":
    main()
