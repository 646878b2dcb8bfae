"""What does a chain of elementwise operations take? nnx.ops.evaluate beside torch.compile, eager PyTorch and NumPy, by turns."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import common
import nnx
import numpy as np
import report
from common import Candidate

TITLE = "Microseconds of chains of elementwise operations"
TOLERANCE = 1e-6
ELEMENTS = 1_000_000


def six(x: Any, ops: Any) -> Any:
    """Six operations that cost no more than a multiplication or a root."""
    return ops.sqrt(abs(x * 2.0 + 1.0) + 0.5) * 0.25


def softplus_like(x: Any, ops: Any) -> Any:
    """Six, two of them transcendental."""
    return ops.log1p(ops.exp(-abs(x))) * 0.5 + 1.0


def slope_of_six(x: np.ndarray) -> np.ndarray:
    return 0.25 * np.sign(x * 2.0 + 1.0) / np.sqrt(abs(x * 2.0 + 1.0) + 0.5)


def slope_of_softplus_like(x: np.ndarray) -> np.ndarray:
    return -0.5 * np.sign(x) / (1.0 + np.exp(abs(x)))


# Each with its derivative, by hand.
CHAINS = {
    "six cheap": (six, slope_of_six),
    "six, exp and log1p": (softplus_like, slope_of_softplus_like),
}


def main() -> None:
    options = common.start(__doc__, lambda parser: parser.add_argument("--device", default="cpu"))
    rows = []
    for name, (chain, slope) in CHAINS.items():
        for backward in (False, True):
            title = f"{name}, {'forward and gradient' if backward else 'forward'}"
            if common.chosen(title, options):
                rows.append(measure(title, chain, slope, backward, options))
                print(title, {k: round(v, 1) for k, v in rows[-1]["us"].items()}, flush=True)
    write(rows, options)


def measure(
    title: str,
    chain: Callable[..., Any],
    slope: Callable[..., Any],
    backward: bool,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Checks, then times one row."""
    generator = np.random.default_rng(2)
    x, dy = (generator.standard_normal(ELEMENTS, dtype=np.float32) for _ in range(2))
    exact = chain(x.astype(np.float64), np)
    by_hand = slope(x.astype(np.float64)) * dy
    device = options.device
    ways = nnx_ways(chain, x, dy, backward, device) | torch_ways(chain, x, dy, backward, device)
    if not backward and device == "cpu":
        ways["NumPy"] = Candidate(lambda: chain(x, np))
    for name, way in ways.items():
        outputs = [host(output) for output in way.call()] if backward else [host(way.call())]
        for output, right in zip(outputs, (exact, by_hand), strict=False):
            common.expect(f"{title}, {name}", common.relative_error(output, right), TOLERANCE)
    timings, _ = common.race(ways, options)
    us = {name: 1e6 * timing.median for name, timing in timings.items()}
    peers = [value for name, value in us.items() if name != "nnx"]
    return {"row": title, "us": us, "ratio": min(peers) / us["nnx"]}


def host(array: Any) -> np.ndarray:
    return array.cpu().numpy() if hasattr(array, "cpu") else np.asarray(array)


def nnx_ways(
    chain: Callable[..., Any], x: np.ndarray, dy: np.ndarray, backward: bool, device: str
) -> dict[str, Candidate]:
    def function(x: Any) -> Any:
        return chain(x, nnx.ops)

    given = [array if device == "cpu" else nnx.tensor(array, device=device) for array in (x, dy)]
    last = nnx.tensor(np.zeros(1, np.float32), device=device)

    def both() -> Any:
        return nnx.ops.evaluate(function, given[0]), nnx.ops.evaluate_backward(function, given[1], given[0])

    call = both if backward else lambda: nnx.ops.evaluate(function, given[0])
    return {"nnx": Candidate(call, finish=last.numpy)}


def torch_ways(
    chain: Callable[..., Any], x: np.ndarray, dy: np.ndarray, backward: bool, device: str
) -> dict[str, Candidate]:
    if not common.version("torch"):
        return {}
    import torch

    tx, td = torch.from_numpy(x).to(device), torch.from_numpy(dy).to(device)
    finish = (lambda: None) if device == "cpu" else torch.cuda.synchronize

    def eager(x: Any) -> Any:
        return chain(x, torch)

    compiled = torch.compile(eager)
    if not backward:
        return {
            "torch.compile": Candidate(lambda: compiled(tx), finish=finish),
            "PyTorch eager": Candidate(lambda: eager(tx), finish=finish),
        }
    tx = tx.clone().requires_grad_()

    def both(function: Callable[..., Any]) -> Any:
        y = function(tx)
        return y.detach(), torch.autograd.grad(y, tx, td)[0]

    return {
        "torch.compile": Candidate(lambda: both(compiled), finish=finish),
        "PyTorch eager": Candidate(lambda: both(eager), finish=finish),
    }


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    names = ("nnx", "torch.compile", "PyTorch eager", "NumPy")
    cells = [
        (row["row"], *(report.number(row["us"].get(name)) for name in names), report.number(row["ratio"]))
        for row in rows
    ]
    text = report.table(("chain of 10^6 float32", *names, "best peer / nnx"), cells)
    print(f"\n{text}")
    picture = report.bars(
        [report.Bars(row["row"], row["us"]) for row in rows], TITLE, "us, logarithmic; shorter is better"
    )
    name = "chains" if options.device == "cpu" else "gpu_chains"
    report.write(name, TITLE, options, f"{text}\n\nMedians in us.", rows, picture)


if __name__ == "__main__":
    main()
