"""Is there a cliff? Widths 1 to 520, channels 1 to 130, batches 1 to 300; a training step of each.

A step is a cliff where it takes more than twice as long per FLOP as a neighbour's. The cost of having a step
at all is no cliff: one with fewer FLOPs than its neighbour may take as long as the neighbour.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import checks
import common
import floors
import models
import nnx
import report
from common import Candidate

TITLE = "A training step over widths, channels and batches"
PASSES, CHECKED = 3, 16  # each point is the best of the passes; every 16th is checked first
STEPS = 32  # of an epoch
LIMIT = 2.0


@dataclass(frozen=True)
class Sweep:
    """A network and a batch size for every value of one size."""

    name: str
    last: int
    make: Callable[[int], nnx.Sequential]
    batch: Callable[[int], int]


def dense(width: int) -> nnx.Sequential:
    return nnx.models.mlp(64, (width, width), 10)


def conv(channels: int) -> nnx.Sequential:
    layers = [
        nnx.Conv2D(channels, 3, padding="same", activation="relu"),
        nnx.Conv2D(channels, 3, padding="same", activation="relu"),
        nnx.Flatten(),
        nnx.Dense(10),
    ]
    return models.built(layers, (9, 9, channels))


SWEEPS = [
    Sweep("widths of dense layers, batch 32", 520, dense, lambda _: 32),
    Sweep("channels of convolutions, batch 4", 130, conv, lambda _: 4),
    Sweep("batches of an MLP", 300, lambda _: nnx.models.mlp(256, 128, 10), lambda n: n),
    Sweep("batches of convolutions", 300, lambda _: conv(16), lambda n: n),
]


def main() -> None:
    options = common.start(__doc__)
    results = []
    for sweep in SWEEPS:
        if common.chosen(sweep.name, options):
            results.append(measure(sweep, options))
            print(sentence(results[-1]), flush=True)
    if results:
        text = "\n".join(f"- {sentence(result)}" for result in results)
        report.write("sweep", TITLE, options, text, results, picture(results))


def measure(sweep: Sweep, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds per step over all values; what looks like a cliff is measured again with its neighbours."""
    values = range(1, sweep.last + 1, 7) if options.quick else range(1, sweep.last + 1)
    points = [Point(sweep, value) for value in values]
    for turn in range(PASSES):
        for i, point in enumerate(points):
            if turn == 0 and i % CHECKED == 0:
                point.check()
            point.measure()
    for _ in range(6):
        suspects = {i for i, _ in cliffs(points)}
        if not suspects:
            break
        again = {i + d for i in suspects for d in (-1, 0, 1)}
        for i in sorted(again & set(range(len(points)))):
            points[i].measure()
    found = [{"at": points[i].value, "factor": factor} for i, factor in cliffs(points)]
    return {
        "sweep": sweep.name,
        "values": list(values),
        "seconds": {name: [p.seconds[name] for p in points] for name in points[0].seconds},
        "flops": [p.flops for p in points],
        "worst": max(factor for _, factor in factors(points)),
        "cliffs": found,
    }


class Point:
    """One value of a sweep."""

    def __init__(self, sweep: Sweep, value: int) -> None:
        self.value = value
        batch = sweep.batch(value)
        name = f"{sweep.name}: {value}"
        self.workload = models.Workload(name, lambda: sweep.make(value), batch)
        self.flops = floors.flops(floors.training(self.workload.make(), batch))
        self.seconds: dict[str, float] = {}

    def check(self) -> None:
        checks.check_training(self.workload)

    def measure(self) -> None:
        """The best of this and earlier times. Nothing is kept: 520 networks need not lie in memory."""
        for name, candidate in self._ways().items():
            self.seconds[name] = min(self.seconds.get(name, math.inf), best(candidate))

    def _ways(self) -> dict[str, Candidate]:
        model = self.workload.model(0.001)
        batch, loss = self.workload.batch, self.workload.loss
        x, y = models.samples(model, loss, batch * STEPS)
        found = {
            "nnx": Candidate(lambda: model.fit(x, y, batch_size=batch, shuffle=False, verbose=0), STEPS),
        }
        if common.version("torch"):
            import torch_twin

            found["PyTorch eager"] = torch_twin.training(torch_twin.twin(model), loss, x[:batch], y[:batch])
        return found


def best(candidate: Candidate, seconds: float = 0.005) -> float:
    """Seconds per step, the least of a few calls."""
    candidate.call()
    found, end = math.inf, time.perf_counter() + seconds
    while True:
        begin = time.perf_counter()
        candidate.call()
        now = time.perf_counter()
        found = min(found, (now - begin) / candidate.steps)
        if now > end:
            return found


def factors(points: list[Point]) -> Iterator[tuple[int, float]]:
    """For every point how much longer it takes than a neighbour lets expect."""
    for i, point in enumerate(points):
        for other in points[max(0, i - 1) : i] + points[i + 1 : i + 2]:
            expected = other.seconds["nnx"] * max(1.0, point.flops / other.flops)
            yield i, point.seconds["nnx"] / expected


def cliffs(points: list[Point]) -> list[tuple[int, float]]:
    return [(i, factor) for i, factor in factors(points) if factor > LIMIT]


def sentence(result: dict[str, Any]) -> str:
    text = (
        f"{result['sweep']}: the worst step takes {result['worst']:.2f} times what its neighbours let expect"
    )
    places = [f"{cliff['at']} ({cliff['factor']:.1f}x)" for cliff in result["cliffs"]]
    return f"{text}; " + (f"cliffs at {', '.join(places)}" if places else "no cliff")


def picture(results: list[dict[str, Any]]) -> Any:
    """Milliseconds over the sizes."""
    figure = report.figure((9, 2.9 * len(results)))
    if figure is None:
        return None
    panels = figure.subplots(len(results), 1, squeeze=False)[:, 0]
    for panel, result in zip(panels, results, strict=True):
        for color, (name, seconds) in zip(report.COLORS, result["seconds"].items(), strict=False):
            panel.plot(result["values"], [1e3 * s for s in seconds], color=color, linewidth=1.3, label=name)
        panel.set_yscale("log")
        panel.set_title(result["sweep"], loc="left", fontsize=10)
        panel.set_ylabel("ms, logarithmic")
        panel.grid(alpha=0.3, linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
