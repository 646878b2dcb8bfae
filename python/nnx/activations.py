"""Activations as functions, under Keras's names: those of `nnx.ops`."""

from __future__ import annotations

from typing import Any

from nnx.layers.activation import Activation
from nnx.ops import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, step, tanh

swish = silu


def linear(x: Any) -> Any:
    """X as it is."""
    return x


def get(activation: Any) -> Activation:
    """An activation by name, callable on arrays and in `forward`."""
    return Activation(activation)


__all__ = [
    "elu",
    "gelu",
    "get",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "step",
    "swish",
    "tanh",
]
