"""Activations as functions, under Keras's names: those of `nnx.ops`."""

from __future__ import annotations

from typing import Any

from nnx.layers.activation import Activation
from nnx.ops import (
    elu,
    exponential,
    gelu,
    gelu_tanh,
    hard_sigmoid,
    hard_silu,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    step,
    tanh,
)

swish = silu
hard_swish = hard_silu


def linear(x: Any) -> Any:
    """X as it is."""
    return x


def get(activation: Any) -> Activation:
    """An activation by name, callable on arrays and in `forward`."""
    return Activation(activation)


__all__ = [
    "elu",
    "exponential",
    "gelu",
    "gelu_tanh",
    "get",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "step",
    "swish",
    "tanh",
]
