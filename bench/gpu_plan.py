"""What do the matrix engine's tiles cost on this GPU? The cycles of a slice, to be pasted into cuda/gemm_plan.h.

Each tile multiplies alone (NNX_CUDA_TILE), in a process of its own: a dense layer on data that lies on the GPU, with a
short and a long k; the difference is that of slices and nothing else. Once with blocks for every multiprocessor several
times over (`shared`: cycles of a multiprocessor for each block's slice), once with one block to each (`alone`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import gpu
import nnx
import numpy as np
import report
from gpu_gemm import evaluation

TITLE = "Cycles of the matrix engine's tiles"
MULTIPROCESSORS = 132  # kMultiprocessors


@dataclass(frozen=True)
class Tile:
    """As cost_of has it."""

    name: str
    rows: int
    columns: int
    depth: int
    precision: str


# In the order of TileKind.
TILES = (
    Tile("large", 128, 128, 16, "float32"),
    Tile("tall", 128, 64, 16, "float32"),
    Tile("medium", 64, 64, 16, "float32"),
    Tile("narrow", 128, 16, 16, "float32"),
    Tile("flat", 16, 128, 16, "float32"),
    Tile("slim", 32, 16, 64, "float32"),
    Tile("tensor_large", 256, 128, 16, "tf32"),
    Tile("tensor_medium", 128, 64, 16, "tf32"),
    Tile("tensor_small", 64, 32, 16, "tf32"),
    Tile("rounded_large", 256, 128, 32, "bfloat16"),
    Tile("rounded_medium", 128, 128, 32, "bfloat16"),
    Tile("warpgroup_large", 256, 128, 64, "bfloat16"),
    Tile("warpgroup_medium", 128, 128, 64, "bfloat16"),
    Tile("warpgroup_tf32_large", 256, 128, 32, "tf32"),
    Tile("warpgroup_tf32_medium", 128, 128, 32, "tf32"),
)
LEFT_OUT = ("narrow", "slim")  # convolutions' and weight gradients' own: not a dense layer's forward product


def prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tile", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--megahertz", type=float, default=1755.0, metavar="F", help="the clock to count in")


def main() -> None:
    options = gpu.start(__doc__, prepare)
    if options.tile is not None:
        print(json.dumps(times(TILES[options.tile], options)))
        return
    results = gpu.Results("plan", TITLE, options, render, lambda rows: None)
    for number, tile in enumerate(TILES):
        if tile.name not in LEFT_OUT:
            results.measure(tile.name, lambda number=number: in_a_process(number, options))
    results.end()


def in_a_process(number: int, options: argparse.Namespace) -> dict[str, Any]:
    """Of one tile, with the environment that it asks for."""
    tile = TILES[number]
    own = {"NNX_CUDA_TILE": str(number)}
    if tile.name.startswith("tensor"):
        own["NNX_CUDA_ROUND_ONCE"] = "never"
    elif tile.name.startswith("rounded"):
        own |= {"NNX_CUDA_ROUND_ONCE": "always", "NNX_CUDA_WARPGROUPS": "never"}
    elif tile.name.startswith("warpgroup"):
        own["NNX_CUDA_ROUND_ONCE"] = "always"
    command = [sys.executable, __file__, "--tile", str(number)]
    if options.dry_run:
        command.append("--dry-run")
    done = subprocess.run(
        command, env=os.environ | own, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(
            done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "ended without a word"
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    hertz = 1e6 * options.megahertz
    row = {"tile": tile.name, **{name: hertz * seconds for name, seconds in found.items()}}
    flops = 2 * tile.rows * tile.columns * tile.depth * MULTIPROCESSORS
    row["tflops"] = flops / found["shared"] / 1e12
    print(
        f"    {row['shared']:.0f} shared, {row['alone']:.0f} alone, {row['tflops']:.0f} TFLOP/s", flush=True
    )
    return row


def times(tile: Tile, options: argparse.Namespace) -> dict[str, float]:
    """Seconds of a slice: shared and alone."""
    small = options.dry_run
    many = (1, 1) if small else (48, 33) if tile.rows * tile.columns <= 8192 else (16, 33)
    one = (1, 1) if small else (12, 11)
    slices = 2 if small else max(16, 2048 // tile.depth)
    found = {}
    for name, (m, n) in {"shared": many, "alone": one}.items():
        short, long = (
            product(tile, m, n, k, options) for k in (slices * tile.depth, 3 * slices * tile.depth)
        )
        timings = gpu.turns({"nnx short": short, "nnx long": long}, options)
        taken = timings["nnx long"].median - timings["nnx short"].median
        queue = -(-m * n // MULTIPROCESSORS)
        found[name] = max(taken, 1e-12) / (2 * slices) / (queue if name == "shared" else 1)
    return found


def product(tile: Tile, m: int, n: int, k: int, options: argparse.Namespace) -> gpu.Way:
    """x (m tiles of rows, k) w (k, n tiles of columns), through a model."""
    rows, columns = m * tile.rows, n * tile.columns
    model = nnx.Sequential([nnx.Dense(columns, use_bias=False)])
    model.build((k,))
    model.compile("sgd", "mse", device=options.device, precision=tile.precision, seed=1)
    generator = np.random.default_rng(1)
    x = nnx.tensor(generator.standard_normal((rows, k), dtype=np.float32), device=options.device)
    y = nnx.tensor(np.zeros((rows, columns), np.float32), device=options.device)
    program = evaluation(model, rows)
    return gpu.calls(lambda: program.evaluate(x, y, None, rows), gpu.finish)


def render(rows: list[dict[str, Any]]) -> str:
    tiles = {tile.name: tile for tile in TILES}
    header = ("tile", "shared", "alone", "TFLOP/s")
    cells = [(r["tile"], f"{r['shared']:.0f}", f"{r['alone']:.0f}", report.number(r["tflops"])) for r in rows]
    lines = [
        f"    case TileKind::{r['tile']}:\n"
        f"      return {{{t.rows}, {t.columns}, {t.depth}, ..., {r['shared']:.0f}, {r['alone']:.0f}}};"
        for r in rows
        for t in (tiles[r["tile"]],)
    ]
    return "\n".join([report.table(header, cells), "", "For cuda/gemm_plan.h:", "", *lines])


if __name__ == "__main__":
    main()
