"""`nnx bench`: training steps and a matrix product beside the peers installed; the short form of bench/."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from nnx import _core, models, ops
from nnx._types import NDArray
from nnx.layers import Dense
from nnx.optimizers import SGD
from nnx.sequential import Sequential

Step: TypeAlias = Callable[[], object]

MOMENTUM = 0.9
ROUNDS = 7
TURN = 0.1  # seconds
SIZE = 1024  # of the matrix product
BYTES = 32 << 20  # of the samples of an epoch, at most
TOLERANCE = 1e-2  # a ReLU that falls on its other side by rounding changes a gradient by a thousandth


@dataclass(frozen=True)
class _Row:
    title: str
    make: Callable[[], Sequential]
    batch: int
    loss: str = "cross_entropy"


@dataclass(frozen=True)
class _Timed:
    call: Step
    steps: int = 1


def _tiny() -> Sequential:
    model = Sequential(Dense(8, "tanh"), Dense(1))
    model.build((2,))
    return model


ROWS = (
    _Row("2-8-1 tanh, batch 1", _tiny, 1, "bce"),
    _Row("MLP 784-128-10, batch 1", lambda: models.mlp(784, 128, 10), 1),
    _Row("MLP 784-128-10, batch 32", lambda: models.mlp(784, 128, 10), 32),
    _Row("LeNet 28x28, batch 32", lambda: models.lenet((28, 28, 1), 10), 32),
)


def run(options: argparse.Namespace) -> int:
    """Checks, times by turns, and prints medians."""
    torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    peers = ["NumPy"] + (["PyTorch"] if torch else [])
    if options.threads:
        _core.set_num_threads(options.threads)
    threads = _core.get_num_threads()
    if torch:
        torch.set_num_threads(threads)
    isa = _core.info()["cpu"]["isa"]
    print(f"Milliseconds, medians of {ROUNDS} turns; {isa}, {threads} thread{'s' if threads > 1 else ''}\n")
    columns = ["nnx", *peers]
    print(f"{'':32}" + "".join(f"{name:>12}" for name in columns) + f"{'peer / nnx':>12}")
    for row in ROWS:
        _print(f"{row.title}, a step", columns, _times(_training(row, torch)))
    _print(f"{SIZE} x {SIZE} x {SIZE} product", columns, _times(_product(torch)))
    if not torch:
        print("\nPyTorch is not installed: nothing to train beside.")
    return 0


def _print(title: str, columns: list[str], seconds: dict[str, float]) -> None:
    cells = [f"{1e3 * seconds[name]:#12.3g}" if name in seconds else f"{'-':>12}" for name in columns]
    others = [value for name, value in seconds.items() if name != "nnx"]
    ratio = f"{min(others) / seconds['nnx']:#12.3g}" if others else f"{'-':>12}"
    print(f"{title:32}{''.join(cells)}{ratio}", flush=True)


def _times(ways: dict[str, _Timed]) -> dict[str, float]:
    """Median seconds per step. The ways take turns, so that what else the machine does meets all alike."""
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            way.call()
            calls, begin = 0, time.perf_counter()
            while (now := time.perf_counter()) < begin + TURN or not calls:
                way.call()
                calls += 1
            rounds[name].append((now - begin) / (calls * way.steps))
    return {name: statistics.median(values) for name, values in rounds.items()}


def _training(row: _Row, torch: Any) -> dict[str, _Timed]:
    """Steps of SGD with momentum: nnx's inside an epoch, PyTorch's one by one."""
    model = row.make()
    assert model.input_shape is not None
    generator = np.random.default_rng(1)
    size = 4 * int(np.prod(model.input_shape)) * row.batch
    steps = max(2, min(5000, BYTES // size))
    x = generator.standard_normal((steps * row.batch, *model.input_shape), dtype=np.float32)
    binary = row.loss == "bce"
    y: NDArray = generator.integers(0, 2 if binary else 10, len(x))
    if binary:
        y = y[:, None].astype(np.float32)
    x_one, y_one = x[: row.batch], y[: row.batch]
    _check(row, x_one, y_one)
    model.compile(SGD(0.001, MOMENTUM), row.loss, device="cpu", seed=1)
    ways: dict[str, _Timed] = {}
    if torch:
        network = _twin(torch, model)
        _compare(torch, network, model, x_one, row.title)
        ways["PyTorch"] = _Timed(_loop(torch, network, x_one, y_one, binary))
    epoch = _Timed(lambda: model.fit(x, y, row.batch, shuffle=False, verbose=0), steps)
    return {"nnx": epoch, **ways}


def _check(row: _Row, x: NDArray, y: NDArray) -> None:
    """One step in float32 against the same in float64."""
    weights: list[list[NDArray]] = []
    start = row.make().get_weights()
    for precision in ("float32", "float64"):
        model = row.make()
        model.set_weights(start)
        model.compile(SGD(0.01), row.loss, device="cpu", precision=precision, seed=1)
        model.train_step(x, y)
        weights.append(model.get_weights())
    for name, old, single, double in zip(model.state_dict(), start, *weights, strict=True):
        moved = double - old.astype(np.float64)
        rounding = 1e-7 * float(np.linalg.norm(double))
        _expect(f"{row.title}: {name}", np.linalg.norm(single - double) - rounding, np.linalg.norm(moved))


def _compare(torch: Any, network: Any, model: Sequential, x: NDArray, title: str) -> None:
    """PyTorch's outputs against nnx's: that both train the same network."""
    ours = model.predict(x)
    with torch.inference_mode():
        theirs = network.eval()(_batch(torch, x)).numpy()
    _expect(f"{title}: outputs", 10 * np.linalg.norm(theirs - ours), np.linalg.norm(ours))


def _expect(what: str, error: Any, scale: Any) -> None:
    if not error <= TOLERANCE * scale:
        raise ValueError(f"{what}: expected an error of at most {TOLERANCE:.0%}, got {error / scale:.2%}")


def _product(torch: Any) -> dict[str, _Timed]:
    generator = np.random.default_rng(2)
    a, b = (generator.standard_normal((SIZE, SIZE), dtype=np.float32) for _ in range(2))
    exact = a.astype(np.float64) @ b
    _expect("product", 1e4 * np.linalg.norm(ops.dense(a, b) - exact), np.linalg.norm(exact))
    ways = {"nnx": _Timed(lambda: ops.dense(a, b)), "NumPy": _Timed(lambda: a @ b)}
    if torch:
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        ways["PyTorch"] = _Timed(lambda: torch.mm(ta, tb))
    return ways


def _twin(torch: Any, model: Sequential) -> Any:
    """The same network in PyTorch, with the same weights; images go in as (N, C, H, W)."""
    nn = torch.nn
    modules: list[Any] = []
    channels = model.input_shape[-1] if model.input_shape else 0
    image = False  # whether the next dense layer reads flattened channels
    layer: Any
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            kernel = layer.kernel.numpy().transpose(3, 2, 0, 1)
            modules.append(
                nn.Conv2d(channels, layer.filters, layer.kernel_size, layer.strides, layer.padding)
            )
            channels = layer.filters
        elif kind == "Dense":
            kernel = layer.kernel.numpy()
            if image:
                kernel = kernel.reshape(-1, channels, layer.units).swapaxes(0, 1).reshape(kernel.shape)
            kernel, image = kernel.T, False
            modules.append(nn.Linear(kernel.shape[1], kernel.shape[0]))
        else:
            image = image or kind == "Flatten"
            modules.append(
                nn.MaxPool2d(layer.pool_size) if kind == "MaxPool2D"
                else nn.Dropout(layer.rate) if kind == "Dropout"
                else nn.Flatten()
            )  # fmt: skip
            continue
        with torch.no_grad():
            modules[-1].weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            modules[-1].bias.copy_(torch.from_numpy(layer.bias.numpy()))
        if layer.activation:
            modules.append(nn.ReLU() if layer.activation == "relu" else nn.Tanh())
    return nn.Sequential(*modules)


def _batch(torch: Any, x: NDArray) -> Any:
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x)


def _loop(torch: Any, network: Any, x: NDArray, y: NDArray, binary: bool) -> Step:
    """The usual body of a training loop."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=MOMENTUM)
    loss = torch.nn.BCEWithLogitsLoss() if binary else torch.nn.CrossEntropyLoss()
    batch, targets = _batch(torch, x), torch.from_numpy(y)

    def step() -> None:
        optimizer.zero_grad()
        loss(network(batch), targets).backward()
        optimizer.step()

    return step
