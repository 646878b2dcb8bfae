"""How long does it take to predict a batch? nnx, PyTorch's inference_mode and ONNX Runtime by turns."""

from __future__ import annotations

import argparse
from typing import Any

import checks
import common
import floors
import models
import nnx
import report
from common import Candidate

TITLE = "Milliseconds to predict a batch"
NETWORKS = {"MLP 784-128-10": models.mlp, "LeNet": models.lenet, "AlexNet": models.alexnet}
BATCHES = (1, 32, 256)


def main() -> None:
    options = common.start(__doc__)
    rows = []
    for name, make in NETWORKS.items():
        for batch in BATCHES:
            title = f"{name}, batch {batch}"
            if common.chosen(title, options) and not (options.quick and name == "AlexNet" and batch > 32):
                print(title, flush=True)
                rows.append(measure(title, make(), batch, options))
                print(
                    "    " + "  ".join(f"{k} {report.number(v)}" for k, v in rows[-1]["ms"].items()),
                    flush=True,
                )
    if rows:
        write(rows, options)


def measure(title: str, model: nnx.Sequential, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """Checks, then times one row."""
    model.compile(device="cpu", seed=models.SEED)
    x, _ = models.samples(model, "cross_entropy", batch)
    checks.check_prediction(model, x, title)
    candidates = {"nnx": Candidate(lambda: model.predict(x, batch_size=batch))}
    if common.version("torch"):
        import torch_twin

        torch_twin.check(model, x, title)
        candidates |= torch_twin.predictions(model, x)
    if common.version("onnxruntime") and common.version("onnx"):
        import onnx_twin

        candidates["ONNX Runtime"] = onnx_twin.predict(model, x, options.threads, title)
    costs = floors.inference(model, batch)
    timings, peak = common.race(candidates, options, long=floors.flops(costs) > 2e10)
    ms = {name: 1e3 * timing.median for name, timing in timings.items()}
    torch = {name: value for name, value in ms.items() if name.startswith("PyTorch")}
    best = min(torch, key=lambda name: torch[name], default=None)
    floor = floors.seconds(costs, peak, options.threads)
    return {
        "row": title,
        "ms": ms,
        "torch_best": best,
        "ratio": torch[best] / ms["nnx"] if best else None,
        "share": floors.flops(costs) / timings["nnx"].median / peak if peak else None,
        "floor_ms": None if floor is None else 1e3 * floor,
    }


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    header = (
        "row",
        "nnx",
        "PyTorch best",
        "which",
        "ONNX Runtime",
        "PyTorch / nnx",
        "floor",
        "share of peak",
    )
    cells = [
        (
            row["row"],
            report.number(row["ms"]["nnx"]),
            report.number(row["ms"][row["torch_best"]]) if row["torch_best"] else "-",
            row["torch_best"].removeprefix("PyTorch ") if row["torch_best"] else "-",
            report.number(row["ms"].get("ONNX Runtime")),
            report.number(row["ratio"]),
            report.number(row["floor_ms"]),
            report.percent(row["share"]),
        )
        for row in rows
    ]
    text = report.table(header, cells) + "\n\nMedians in ms; nnx's times include the way through Python."
    print(f"\n{text}")
    groups = []
    for row in rows:
        values = {"nnx": row["ms"]["nnx"]}
        if row["torch_best"]:
            values["PyTorch, its best"] = row["ms"][row["torch_best"]]
        if "ONNX Runtime" in row["ms"]:
            values["ONNX Runtime"] = row["ms"]["ONNX Runtime"]
        groups.append(report.Bars(row["row"], values, row["floor_ms"]))
    picture = report.bars(groups, TITLE, "ms, logarithmic; shorter is better")
    report.write("predict", TITLE, options, text, rows, picture)


if __name__ == "__main__":
    main()
