"""The networks that are timed, and their training problems."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import nnx
import numpy as np

SEED = 7
MOMENTUM = 0.9


@dataclass(frozen=True)
class Workload:
    """One row of the table: a network, its loss, a batch size."""

    title: str
    make: Callable[[], nnx.Sequential]
    batch: int
    aim: float = 0.0  # ms; and the time of the best PyTorch, both on the machine of NOTES.md
    peer: float = 0.0
    loss: str = "cross_entropy"
    scan: bool = False  # JAX can hold a whole epoch in one call

    def model(
        self, learning_rate: float = 0.01, device: str = "cpu", precision: str = "float32"
    ) -> nnx.Sequential:
        """The network, compiled."""
        model = self.make()
        optimizer = nnx.SGD(learning_rate, momentum=MOMENTUM)
        model.compile(optimizer, self.loss, device=device, precision=precision, seed=SEED)
        return model


def tiny() -> nnx.Sequential:
    return built([nnx.Dense(8, "tanh"), nnx.Dense(1)], (2,))


def mlp() -> nnx.Sequential:
    return nnx.models.mlp(784, 128, 10)


def wide_mlp() -> nnx.Sequential:
    return nnx.models.mlp(784, (512, 512), 10, dropout=0.5)


def lenet() -> nnx.Sequential:
    return nnx.models.lenet((28, 28, 1), 10)


def alexnet() -> nnx.Sequential:
    return nnx.models.alexnet()


def built(layers: list[nnx.Layer], shape: tuple[int, ...]) -> nnx.Sequential:
    model = nnx.Sequential(layers)
    model.build(shape)
    return model


WORKLOADS = [
    Workload("2-8-1 tanh, batch 1", tiny, 1, 0.0010, 0.414, loss="bce", scan=True),
    Workload("MLP 784-128-10, batch 1", mlp, 1, 0.030, 0.571, scan=True),
    Workload("MLP 784-128-10, batch 32", mlp, 32, 0.110, 0.924, scan=True),
    Workload("MLP 784-128-10, batch 256", mlp, 256, 0.70, 1.777, scan=True),
    Workload("MLP 784-512-512-10 dropout, batch 32", wide_mlp, 32, 0.95, 4.36),
    Workload("MLP 784-512-512-10 dropout, batch 128", wide_mlp, 128, 3.0, 8.97),
    Workload("LeNet, batch 1", lenet, 1, 0.30, 2.49),
    Workload("LeNet, batch 32", lenet, 32, 6.5, 16.5),
    Workload("LeNet, batch 128", lenet, 128, 24.0, 59.1),
    Workload("AlexNet, batch 16", alexnet, 16, 490.0, 902.0),
]


def samples(model: nnx.Sequential, loss: str, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and targets."""
    generator = np.random.default_rng(seed)
    assert model.input_shape is not None
    x = generator.standard_normal((count, *model.input_shape), dtype=np.float32)
    if loss == "bce":
        return x, generator.integers(0, 2, (count, 1)).astype(np.float32)
    classes = model.layers[-1].units
    return x, generator.integers(0, classes, count)


def epoch_samples(model: nnx.Sequential, batch: int, steps: int = 20_000, megabytes: int = 48) -> int:
    """As many samples as steps ask for, within so much memory; whole batches, three at least."""
    assert model.input_shape is not None
    fit = megabytes * 1_000_000 // (4 * math.prod(model.input_shape))
    return batch * max(3, min(steps, fit // batch))


@dataclass(frozen=True)
class Part:
    """A layer with the shapes around it, without the batch axis."""

    layer: Any
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def kind(self) -> str:
        return type(self.layer).__name__

    @property
    def padding(self) -> tuple[int, int]:
        """Of a convolution, down and across; the same on both sides."""
        return padding(self.layer)


def parts(model: nnx.Sequential) -> Iterator[Part]:
    """The layers in order, with shapes."""
    shape = tuple(model.input_shape or ())
    for layer in model.layers:
        after = _after(layer, shape)
        yield Part(layer, shape, after)
        shape = after


def _after(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layer, nnx.Conv2D):
        size = [
            (n + 2 * p - k) // s + 1
            for n, p, k, s in zip(shape, padding(layer), layer.kernel_size, pair(layer.strides), strict=False)
        ]
        return (*size, layer.filters)
    if isinstance(layer, nnx.MaxPool2D):
        steps = pair(layer.strides or layer.pool_size)
        size = [(n - k) // s + 1 for n, k, s in zip(shape, pair(layer.pool_size), steps, strict=False)]
        return (*size, shape[-1])
    if isinstance(layer, nnx.Flatten):
        return (math.prod(shape),)
    return (layer.units,) if isinstance(layer, nnx.Dense) else shape


def padding(layer: nnx.Conv2D) -> tuple[int, int]:
    if layer.padding == "valid":
        return (0, 0)
    if layer.padding == "same":
        assert pair(layer.strides) == (1, 1)
        return (layer.kernel_size[0] // 2, layer.kernel_size[1] // 2)
    return pair(layer.padding)


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
