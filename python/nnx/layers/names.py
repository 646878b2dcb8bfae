"""Keras's, and where it is obvious PyTorch's, names of layers: the same classes.

A line here, and in `__all__`, makes a name; arguments have theirs in `nnx._config.names`.
"""

from nnx.layers.conv2d import Conv2D
from nnx.layers.conv2d_transpose import Conv2DTranspose
from nnx.layers.group_norm import GroupNorm, LayerNorm
from nnx.layers.merge import Concat
from nnx.layers.norm import BatchNorm
from nnx.layers.pool2d import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from nnx.layers.separable import SeparableConv2D

AveragePooling2D = AvgPool2D
AvgPool2d = AvgPool2D
BatchNormalization = BatchNorm
Concatenate = Concat
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
GlobalAveragePooling2D = GlobalAvgPool2D
GlobalMaxPooling2D = GlobalMaxPool2D
GroupNormalization = GroupNorm
LayerNormalization = LayerNorm
MaxPool2d = MaxPool2D
MaxPooling2D = MaxPool2D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "AveragePooling2D",
    "AvgPool2d",
    "BatchNormalization",
    "Concatenate",
    "Convolution2D",
    "Convolution2DTranspose",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "LayerNormalization",
    "MaxPool2d",
    "MaxPooling2D",
    "SeparableConvolution2D",
]
