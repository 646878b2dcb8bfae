"""nnx trains neural networks: layers, losses and optimizers in C++, driven from Python.

import nnx

x, y = nnx.datasets.load_digits()
model = nnx.models.lenet((8, 8, 1), 10)
model.compile(nnx.SGD(0.05, momentum=0.9), "cross_entropy", ["accuracy"])
model.fit(x, y, epochs=10, validation_split=0.2)
"""

import importlib
from typing import TYPE_CHECKING, Any

from nnx import (
    callbacks,
    cuda,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    regularizers,
    schedules,
)
from nnx._config import register
from nnx._core import Tensor, from_dlpack, get_num_threads, info, set_num_threads, tensor
from nnx.callbacks import Callback, History
from nnx.graph.recording import Input
from nnx.layers import (
    ELU,
    GELU,
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2D,
    Normalize,
    ReLU,
    Reshape,
    Sigmoid,
    SiLU,
    Softmax,
    Step,
    Tanh,
)
from nnx.loading import load
from nnx.model import Model
from nnx.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from nnx.rate_finder import lr_finder
from nnx.seeds import set_seed
from nnx.sequential import Sequential

if TYPE_CHECKING:
    from nnx import datasets, plots

__version__: str = info()["version"]


def __getattr__(name: str) -> Any:
    if name in ("datasets", "plots"):  # not everybody needs them
        return importlib.import_module(f"nnx.{name}")
    raise AttributeError(f"module 'nnx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Add",
    "AvgPool2D",
    "BatchNorm",
    "Callback",
    "Concat",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "History",
    "Input",
    "Layer",
    "LeakyReLU",
    "Lion",
    "LocalResponseNorm",
    "MaxPool2D",
    "Model",
    "Normalize",
    "RMSprop",
    "ReLU",
    "Reshape",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Step",
    "Tanh",
    "Tensor",
    "callbacks",
    "cuda",
    "datasets",
    "from_dlpack",
    "get_num_threads",
    "info",
    "initializers",
    "layers",
    "load",
    "losses",
    "lr_finder",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "plots",
    "register",
    "regularizers",
    "schedules",
    "set_num_threads",
    "set_seed",
    "tensor",
]
