"""nnx's steps and outputs against plain NumPy in float64, on the definitions of tests/reference."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import models
import nnx
import numpy as np
from common import expect, relative_error

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reference
from reference.activation import activate

norm = np.linalg.norm
TINY = np.finfo(np.float64).tiny

STEPS = 2  # the second one has a velocity
LEARNING_RATE = 0.01
ROUNDING = STEPS * 2.0**-24  # of a weight in float32, at most


class Tolerances(NamedTuple):
    """Relative errors allowed."""

    loss: float
    weights: float
    outputs: float


def tolerances(precision: str = "float32") -> Tolerances:
    """What a precision of products allows.

    Rounded to TF32 or bfloat16, a factor is off by up to half a unit u; a sum of products of two such by 0.6 u
    of its norm, and layers add up by their squares: in eight of them 1.6 u forward, 2.2 u with the way back.
    """
    if precision == "float32":
        return Tolerances(loss=1e-5, weights=1e-3, outputs=1e-5)
    unit = {"tf32": 2.0**-11, "bfloat16": 2.0**-8}[precision]
    return Tolerances(loss=4 * unit, weights=8 * unit, outputs=4 * unit)


def check_training(
    workload: models.Workload,
    device: str = "cpu",
    precision: str = "float32",
    reference_type: type[Reference] | None = None,
) -> float:
    """Two steps from the same weights, on the same batch, with the same dropout; the worst relative error.

    Errors of weights are relative to what the steps changed; what float32 cannot hold is no error.
    """
    allowed = tolerances(precision)
    model = workload.model(LEARNING_RATE, device, precision)
    x, y = models.samples(model, workload.loss, workload.batch)
    before = model.get_weights()
    twin = (reference_type or Reference)(model, workload.loss)
    for step in range(STEPS):
        expected, loss = twin.step(x, y, step), model.train_step(x, y)
        expect(f"{workload.title}: loss of step {step}", abs(loss - expected) / expected, allowed.loss)
    worst = 0.0
    names = model.state_dict()
    for name, old, new, right in zip(names, before, model.get_weights(), twin.weights, strict=True):
        off = max(0.0, norm(new - right) - ROUNDING * norm(right))
        error = off / norm(right - old)
        expect(f"{workload.title}: {name} after {STEPS} steps", error, allowed.weights)
        worst = max(worst, error)
    return worst


def check_prediction(model: nnx.Sequential, x: np.ndarray, title: str) -> None:
    """A few of the batch's outputs."""
    few = np.unique(np.linspace(0, len(x) - 1, 4).astype(int))
    right = Reference(model, "cross_entropy").forward(x[few])[-1].y
    outputs = model.predict(x, batch_size=len(x))[few]
    expect(f"{title}: outputs", relative_error(outputs, right), tolerances().outputs)


class Record(NamedTuple):
    """What a layer leaves for the backward pass; `extra` is a pool's index, a dropout's factors."""

    part: models.Part
    x: np.ndarray
    y: np.ndarray
    extra: Any


class Reference:
    """A model of convolutions, pools and dense layers, trained in float64.

    Where rounding decides, nnx is to say whether a ReLU lets its input through, and which of equal maxima
    wins: one such decision in a million changes a gradient by a percent. So nnx's own activations are computed
    beside, layer by layer, checked, and then followed.
    """

    def __init__(self, model: nnx.Sequential, loss: str) -> None:
        self.model = model
        self.parts = list(models.parts(model))
        self.begin(loss)

    def begin(self, loss: str) -> None:
        """Takes the weights."""
        name = "softmax_cross_entropy" if loss == "cross_entropy" else "sigmoid_binary_cross_entropy"
        self.loss = getattr(reference, name)
        self.loss_backward = getattr(reference, f"{name}_backward")
        self.weights = [np.asarray(w, np.float64) for w in self.model.get_weights()]
        self.velocity = [np.zeros_like(w) for w in self.weights]

    def step(self, x: np.ndarray, y: np.ndarray, step: int) -> float:
        """One step of SGD with momentum; the loss before it."""
        tape = self.forward(x, step)
        z = tape[-1].y
        self._update(self._gradients(tape, self.loss_backward(z, y)))
        return float(self.loss(z, y))

    def forward(self, x: np.ndarray, step: int | None = None) -> list[Record]:
        """All layers on a batch: of a training step, or, for None, of a model that predicts."""
        tape: list[Record] = []
        weights = iter(self.weights)
        dropouts = 0
        follow = step is not None
        z, own = np.asarray(x, np.float64), x
        for number, part in enumerate(self.parts):
            layer, inputs, extra = part.layer, z, None
            if part.kind in ("Conv2D", "Dense"):
                kernel, bias = next(weights), next(weights)
                if part.kind == "Conv2D":
                    z = reference.conv2d(z, kernel, bias, layer.strides, layer.padding)
                else:
                    z = reference.dense(z, kernel, bias)
                right = activate(z, layer.activation)
                if follow:
                    own = self._own(number, own, right)
                if follow and layer.activation == "relu":
                    z = np.where(own > 0, np.maximum(z, TINY), 0)
                else:
                    z = right
            elif part.kind == "MaxPool2D":
                window = (layer.pool_size, layer.strides, layer.padding)
                largest, extra = reference.max_pool2d(own if follow else z, *window)
                own = largest.astype(x.dtype)
                points = z.reshape(len(z), -1, z.shape[-1])
                rows = extra.reshape(len(z), -1, z.shape[-1])
                z = np.take_along_axis(points, rows, axis=1).reshape(extra.shape)
            elif part.kind == "Flatten":
                z = z.reshape(len(z), *part.after)
                own = own.reshape(len(own), -1)
            elif step is not None:
                kept = reference.dropout_mask(z.shape, layer.rate, models.SEED, dropouts, step)
                extra = kept / (1 - layer.rate)
                z, own, dropouts = z * extra, own * extra.astype(x.dtype), dropouts + 1
            tape.append(Record(part, inputs, z, extra))
        return tape

    def _own(self, number: int, x: np.ndarray, right: np.ndarray) -> np.ndarray:
        """What nnx has for the output of a layer, checked."""
        alone = nnx.Sequential(self.model.layers[number])
        alone.build(x.shape[1:])
        alone._learner.device, alone._learner.precision = self.model.device, self.model.precision
        outputs = alone.predict(x, batch_size=len(x))
        allowed = tolerances(self.model.precision)
        expect(f"outputs of layer {number}", relative_error(outputs, right), allowed.outputs)
        return outputs

    def _gradients(self, tape: list[Record], dz: np.ndarray) -> list[np.ndarray]:
        gradients: list[np.ndarray] = []
        left = len(self.weights)
        for number in range(len(tape) - 1, -1, -1):
            part, x, y, extra = tape[number]
            layer = part.layer
            if part.kind in ("Conv2D", "Dense"):
                if layer.activation:
                    dz = getattr(reference, f"{layer.activation}_backward")(dz, y)
                left -= 2
                kernel, wanted = self.weights[left], number > 0
                if part.kind == "Dense":
                    dz, *own = reference.dense_backward(dz, x, kernel, need_dx=wanted)
                else:
                    arguments = (layer.strides, layer.padding)
                    dz, *own = reference.conv2d_backward(dz, x, kernel, *arguments, need_dx=wanted)
                gradients[:0] = own
            elif part.kind == "MaxPool2D":
                dz = reference.max_pool2d_backward(
                    dz, extra, x.shape, layer.pool_size, layer.strides, layer.padding
                )
            elif part.kind == "Dropout":
                dz = dz * extra
            else:
                dz = dz.reshape(x.shape)
        return gradients

    def _update(self, gradients: list[np.ndarray]) -> None:
        for weight, velocity, gradient in zip(self.weights, self.velocity, gradients, strict=True):
            velocity *= models.MOMENTUM
            velocity -= LEARNING_RATE * gradient
            weight += velocity
