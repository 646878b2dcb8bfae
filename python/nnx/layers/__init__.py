"""Layers: what models are made of.

A layer makes its weights when it first sees an input's shape. Called on a Symbol, inside a model, it adds to
the model's graph; called on an array it computes at once, as it would when the model predicts.
"""

from nnx.layers import names
from nnx.layers.activation import ELU, GELU, Activation, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Step, Tanh
from nnx.layers.base import Layer
from nnx.layers.conv2d import Conv2D
from nnx.layers.conv2d_transpose import Conv2DTranspose
from nnx.layers.dense import Dense
from nnx.layers.dropout import Dropout, GaussianNoise, SpatialDropout2D
from nnx.layers.function import Lambda
from nnx.layers.group_norm import GroupNorm, LayerNorm
from nnx.layers.merge import Add, Average, Concat, Maximum, Minimum, Multiply, Subtract
from nnx.layers.names import *
from nnx.layers.norm import BatchNorm, LocalResponseNorm, Normalize
from nnx.layers.normalization import Normalization
from nnx.layers.padding import Cropping2D, ZeroPadding2D
from nnx.layers.pool2d import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D, UpSampling2D
from nnx.layers.prelu import PReLU
from nnx.layers.rescaling import Rescaling
from nnx.layers.separable import DepthwiseConv2D, SeparableConv2D
from nnx.layers.shape import Flatten, Reshape

__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "Add",
    "Average",
    "AvgPool2D",
    "BatchNorm",
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
    "Lambda",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "Normalize",
    "PReLU",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SpatialDropout2D",
    "Step",
    "Subtract",
    "Tanh",
    "UpSampling2D",
    "ZeroPadding2D",
]
__all__ += names.__all__
