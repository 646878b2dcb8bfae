"""The same network in JAX, with the same weights; without dropout, which only makes it faster."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import models
import nnx
import numpy as np
from common import Candidate, expect, relative_error
from jax import lax

LEARNING_RATE = 0.001
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}


class Twin:
    """Forward, loss and step as pure functions of (weights, velocities)."""

    def __init__(self, model: nnx.Sequential, loss: str) -> None:
        self.parts = list(models.parts(model))
        self.values = model.get_weights()
        self.cross_entropy = loss == "cross_entropy"

    def state(self) -> tuple[list[Any], list[Any]]:
        """Weights, and velocities of zero; new arrays, for steps eat theirs."""
        return [jnp.array(w) for w in self.values], [jnp.zeros(w.shape) for w in self.values]

    def forward(self, weights: list[Any], x: Any) -> Any:
        left = iter(weights)
        for part in self.parts:
            layer = part.layer
            if part.kind == "Conv2D":
                around = [(p, p) for p in part.padding]
                names = ("NHWC", "HWIO", "NHWC")
                strides = models.pair(layer.strides)
                x = lax.conv_general_dilated(x, next(left), strides, around, dimension_numbers=names) + next(
                    left
                )
            elif part.kind == "MaxPool2D":
                size = (1, *models.pair(layer.pool_size), 1)
                strides = (1, *models.pair(layer.strides or layer.pool_size), 1)
                x = lax.reduce_window(x, -jnp.inf, lax.max, size, strides, "VALID")
            elif part.kind == "Dense":
                x = x @ next(left) + next(left)
            elif part.kind == "Flatten":
                x = x.reshape(len(x), -1)
            if getattr(layer, "activation", None):
                x = ACTIVATIONS[layer.activation](x)
        return x

    def loss(self, weights: list[Any], x: Any, y: Any) -> Any:
        z = self.forward(weights, x)
        if self.cross_entropy:
            return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1).mean()
        return (jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()

    def step(self, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
        weights, velocities = state
        loss, gradients = jax.value_and_grad(self.loss)(weights, x, y)
        pairs = zip(velocities, gradients, strict=True)
        velocities = [models.MOMENTUM * v - LEARNING_RATE * g for v, g in pairs]
        return ([w + v for w, v in zip(weights, velocities, strict=True)], velocities), loss


def check(model: nnx.Sequential, x: np.ndarray, title: str) -> None:
    """Outputs of the twin against nnx's: that both time the same network."""
    twin = Twin(model, "cross_entropy")
    theirs = jax.jit(twin.forward)(twin.state()[0], x)
    expect(f"{title}: outputs of JAX", relative_error(theirs, model.predict(x)), 1e-4)


def jit(model: nnx.Sequential, loss: str, x: np.ndarray, y: np.ndarray) -> Candidate:
    """One compiled step on one batch."""
    twin = Twin(model, loss)
    step = jax.jit(twin.step, donate_argnums=0)
    held = [twin.state()]
    batch, targets = jnp.array(x), jnp.array(y)

    def call() -> None:
        held[0], _ = step(held[0], batch, targets)

    return Candidate(call, finish=lambda: jax.block_until_ready(held[0]))


def scan(model: nnx.Sequential, loss: str, x: np.ndarray, y: np.ndarray, batch: int) -> Candidate:
    """A whole epoch in one compiled call."""
    twin = Twin(model, loss)
    steps = len(x) // batch
    xs, ys = (jnp.array(a.reshape(steps, batch, *a.shape[1:])) for a in (x, y))
    epoch = jax.jit(
        lambda state, a, b: lax.scan(lambda s, xy: twin.step(s, *xy), state, (a, b)), donate_argnums=0
    )
    held = [twin.state()]

    def call() -> None:
        held[0], _ = epoch(held[0], xs, ys)

    return Candidate(call, steps, lambda: jax.block_until_ready(held[0]))
