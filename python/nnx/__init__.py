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
    augment,
    callbacks,
    cuda,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
    schedules,
)
from nnx._config import instead_of, register
from nnx._core import Tensor, from_dlpack, get_num_threads, info, set_num_threads, tensor
from nnx.callbacks import Callback, History
from nnx.graph.recording import Input
from nnx.layers import (
    ELU,
    GELU,
    Activation,
    Add,
    Average,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    GroupNorm,
    Lambda,
    Layer,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    Maximum,
    MaxPool2D,
    Minimum,
    Multiply,
    Normalization,
    Normalize,
    PReLU,
    ReLU,
    Rescaling,
    Reshape,
    SeparableConv2D,
    Sigmoid,
    SiLU,
    Softmax,
    SpatialDropout2D,
    Step,
    Subtract,
    Tanh,
    UpSampling2D,
    ZeroPadding2D,
)
from nnx.layers import names as _names
from nnx.layers.names import *
from nnx.loading import load
from nnx.model import Model
from nnx.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from nnx.seeds import set_seed
from nnx.sequential import Sequential

if TYPE_CHECKING:
    from nnx import activations, datasets, models, plots, utils
    from nnx.rate_finder import lr_finder

__version__: str = info()["version"]


_WHEN_ASKED_FOR = ("activations", "datasets", "models", "plots", "utils")


def __getattr__(name: str) -> Any:
    if name in _WHEN_ASKED_FOR:  # not everybody needs them
        return importlib.import_module(f"nnx.{name}")
    if name == "lr_finder":
        return importlib.import_module("nnx.rate_finder").lr_finder
    raise AttributeError(f"module 'nnx' has no attribute {name!r}{instead_of(name, __all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Add",
    "Average",
    "AvgPool2D",
    "BatchNorm",
    "Callback",
    "Concat",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "History",
    "Input",
    "Lambda",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Lion",
    "LocalResponseNorm",
    "MaxPool2D",
    "Maximum",
    "Minimum",
    "Model",
    "Multiply",
    "Normalization",
    "Normalize",
    "PReLU",
    "RMSprop",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SpatialDropout2D",
    "Step",
    "Subtract",
    "Tanh",
    "Tensor",
    "UpSampling2D",
    "ZeroPadding2D",
    "activations",
    "augment",
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
    "utils",
]
__all__ += _names.__all__
