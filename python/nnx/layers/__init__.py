"""Layers: what models are made of.

A layer makes its weights when it first sees an input's shape. Called on a Symbol, inside a model, it adds to
the model's graph; called on an array it computes at once, as it would when the model predicts.
"""

from nnx.layers.activation import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Step, Tanh
from nnx.layers.base import Layer
from nnx.layers.conv2d import Conv2D
from nnx.layers.dense import Dense
from nnx.layers.dropout import Dropout, GaussianNoise, SpatialDropout2D
from nnx.layers.merge import Add, Concat
from nnx.layers.norm import BatchNorm, LocalResponseNorm, Normalize
from nnx.layers.pool2d import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from nnx.layers.shape import Flatten, Reshape

__all__ = [
    "ELU",
    "GELU",
    "Add",
    "AvgPool2D",
    "BatchNorm",
    "Concat",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GlobalAvgPool2D",
    "Layer",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool2D",
    "Normalize",
    "ReLU",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SpatialDropout2D",
    "Step",
    "Tanh",
]
