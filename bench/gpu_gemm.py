"""How near to a GPU's peak are matrix products? A dense layer of nnx and torch.mm (cuBLAS), by turns.

A precision other than float32 is a model's, so the product is timed as a layer of a model: a chain of square dense
layers is evaluated on data that lies on the GPU, once long and once with one layer, and the difference is divided by
the layers between. So a layer counts with its bias, and without the loss at the end. `nnx.ops.dense` is timed too.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

import checks
import common
import gpu
import nnx
import numpy as np
import report
from gpu import Way
from nnx import _core

TITLE = "TFLOP/s of matrix products on a GPU"
SIZES = (4096, 1024, 2048, 8192)
DRY_SIZES = (48,)
STEPS = 4  # in an evaluation


def prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")


def main() -> None:
    options = gpu.start(__doc__, prepare)
    results = gpu.Results("gemm", TITLE, options, render, draw)
    for size in DRY_SIZES if options.dry_run else SIZES[:2] if options.quick else options.sizes:
        for precision in gpu.precisions(options):
            run = functools.partial(measure, size, precision, options)
            results.measure(f"{size} x {size} x {size}, {precision}", run)
    results.end()


def measure(size: int, precision: str, options: argparse.Namespace) -> dict[str, Any]:
    """Checks, then times one row."""
    generator = np.random.default_rng(2)
    x = generator.standard_normal((size, size), dtype=np.float32)
    w = generator.standard_normal((size, size), dtype=np.float32)
    w *= np.float32(size**-0.5)  # so that a chain neither grows nor fades
    few = np.linspace(0, size - 1, 16).astype(int)
    exact = x[few].astype(np.float64) @ w

    def check(name: str, outputs: np.ndarray) -> float:
        error = common.relative_error(outputs[few], exact)
        common.expect(name, error, 1e-5 if precision == "float32" else checks.tolerances(precision).outputs)
        return error

    errors = {"nnx": check("nnx", chain(1, w, options, precision).predict(x, batch_size=size))}
    ways = chains(x, w, options, precision)
    if precision == "float32":
        ways["nnx.ops.dense"] = eager(x, w, options, check)
    if common.version("torch"):
        ways |= peers(x, w, precision, options, check)
    timings = gpu.turns(ways, options)
    seconds = {name: timing.median for name, timing in timings.items()}
    between = layers(size) - 1
    seconds["nnx"] = max((seconds.pop("nnx long") - seconds.pop("nnx short")) / between, 1e-9)
    row = summary(size, precision, seconds, options) | {"errors": errors}
    print("    " + "  ".join(f"{name} {report.number(v)}" for name, v in row["tflops"].items()), flush=True)
    return row


def layers(size: int) -> int:
    """Of the long chain."""
    return 9 if size <= 4096 else 3


def chain(count: int, w: np.ndarray, options: argparse.Namespace, precision: str) -> nnx.Sequential:
    """A model of equal dense layers."""
    model = nnx.Sequential([nnx.Dense(len(w)) for _ in range(count)])
    model.build((len(w),))
    model.compile("sgd", "mse", device=options.device, precision=precision, seed=1)
    model.set_weights([a for _ in range(count) for a in (w, np.zeros(len(w), np.float32))])
    return model


def chains(x: np.ndarray, w: np.ndarray, options: argparse.Namespace, precision: str) -> dict[str, Way]:
    """Evaluations, seconds per batch; x and its targets lie on the device."""
    resident = nnx.tensor(np.concatenate([x] * STEPS), device=options.device)
    ways = {}
    for name, count in (("nnx long", layers(len(x))), ("nnx short", 1)):
        model = chain(count, w, options, precision)
        program = evaluation(model, len(x))
        ways[name] = gpu.calls(
            functools.partial(program.evaluate, resident, resident, None, len(x)),
            gpu.finish,
            STEPS,
        )
    return ways


def evaluation(model: nnx.Sequential, batch: int) -> _core.Program:
    """What `model.evaluate` runs, for arrays that are on the device already."""
    return model._learner.program("evaluate", model._learner.bound(), batch, "values")


def eager(
    x: np.ndarray, w: np.ndarray, options: argparse.Namespace, check: Callable[[str, np.ndarray], float]
) -> Way:
    tx, tw = nnx.tensor(x, device=options.device), nnx.tensor(w, device=options.device)
    check("nnx.ops.dense", np.asarray(nnx.ops.dense(tx, tw).numpy()))
    return gpu.calls(lambda: nnx.ops.dense(tx, tw), gpu.finish)


def peers(
    x: np.ndarray,
    w: np.ndarray,
    precision: str,
    options: argparse.Namespace,
    check: Callable[[str, np.ndarray], float],
) -> dict[str, Way]:
    """torch.mm; in bfloat16 also from float32, as nnx gets its factors."""
    import gpu_torch
    import torch

    gpu_torch.settle(precision)
    tx, tw = (torch.from_numpy(a).to(gpu_torch.device(options)) for a in (x, w))

    def product(a: torch.Tensor, b: torch.Tensor) -> Way:
        out = torch.empty(len(a), b.shape[1], dtype=a.dtype, device=a.device)
        return gpu.calls(lambda: torch.mm(a, b, out=out), gpu_torch.wait)

    if precision != "bfloat16":
        check("torch.mm", torch.mm(tx, tw).cpu().numpy())
        return {"torch.mm": product(tx, tw)}
    half = tx.bfloat16(), tw.bfloat16()
    check("torch.mm", torch.mm(*half).float().cpu().numpy())
    cast = gpu.calls(lambda: torch.mm(tx.bfloat16(), tw.bfloat16()), gpu_torch.wait)
    return {"torch.mm": product(*half), "torch.mm from float32": cast}


def summary(
    size: int, precision: str, seconds: dict[str, float], options: argparse.Namespace
) -> dict[str, Any]:
    flops = 2 * size**3
    known = gpu.limits(options)
    tflops = {name: flops / taken / 1e12 for name, taken in seconds.items()}
    peer = max((v for name, v in tflops.items() if name.startswith("torch")), default=None)
    return {
        "size": size,
        "precision": precision,
        "tflops": tflops,
        "us": {name: 1e6 * taken for name, taken in seconds.items()},
        "ratio": tflops["nnx"] / peer if peer else None,
        "peak_tflops": known and known.flops[precision] / 1e12,
        "share": known and flops / seconds["nnx"] / known.flops[precision],
        "floor_us": known
        and 1e6 * max(flops / known.flops[precision], 3 * size * size * 4 / known.bandwidth),
    }


def render(rows: list[dict[str, Any]]) -> str:
    names = ("nnx", "nnx.ops.dense", "torch.mm", "torch.mm from float32")
    header = ("row", *names, "nnx / best torch", "share of peak", "us", "floor, us")
    cells = [
        (
            row["row"],
            *(report.number(row["tflops"].get(name)) for name in names),
            report.number(row["ratio"]),
            report.percent(row["share"]),
            report.number(row["us"]["nnx"]),
            report.number(row["floor_us"]),
        )
        for row in rows
    ]
    notes = (
        "TFLOP/s by medians. `nnx` is one dense layer of a chain, bias included, `nnx.ops.dense` a call of its own,\n"
        "`torch.mm` cuBLAS with the same precision; on bfloat16 tensors it moves half the bytes."
    )
    return f"{report.table(header, cells)}\n\n{notes}"


def draw(rows: list[dict[str, Any]]) -> Any:
    groups = [report.Bars(row["row"], row["tflops"], row["peak_tflops"]) for row in rows]
    return report.bars(groups, TITLE, "TFLOP/s, logarithmic; longer is better", "peak")


if __name__ == "__main__":
    main()
