"""The cases of gpu_kernels.py: every family of kernels, forward and backward, on awkward shapes.

A case is a function of the ops and of something that draws arrays, so that the same calls give the device's results and
those of the definitions. Needs NumPy and nnx alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reference

Arrays = tuple[Any, ...]
CASES: dict[str, Callable[[Any, Any], Arrays]] = {}


class Definitions:
    """The references, in float64."""

    def __getattr__(self, name: str) -> Any:
        return getattr(reference, name)

    def put(self, value: np.ndarray) -> np.ndarray:
        """A copy that may be changed."""
        return np.array(value, np.float64)


def case(function: Callable[[Any, Any], Arrays]) -> Callable[[Any, Any], Arrays]:
    """function(ops, draw) -> results"""
    CASES[function.__name__] = function
    return function


def of_dense(rows: int, inner: int, columns: int, activation: str | None) -> None:
    def dense(ops: Any, draw: Any) -> Arrays:
        x, w, b, dy = draw(rows, inner), draw(inner, columns), draw(columns), draw(rows, columns)
        y = ops.dense(x, w, b, activation=activation)
        return y, *ops.dense_backward(dy, x, w), *ops.dense_backward(dy, x, w, need_dx=False)

    CASES[f"dense {rows} x {inner} x {columns}"] = dense


of_dense(1, 1, 1, None)
of_dense(37, 70, 33, "relu")
of_dense(5, 3, 129, "gelu")
of_dense(130, 257, 66, "tanh")
of_dense(128, 784, 10, "sigmoid")
of_dense(2, 1030, 4, None)


def of_conv2d(name: str, images: tuple[int, ...], filters: tuple[int, ...], **options: Any) -> None:
    def conv2d(ops: Any, draw: Any) -> Arrays:
        x, w, b = draw(*images), draw(*filters), draw(filters[-1])
        y = ops.conv2d(x, w, b, **options, activation="relu")
        dy = draw(*y.shape)
        return (
            y,
            *ops.conv2d_backward(dy, x, w, **options),
            *ops.conv2d_backward(dy, x, w, **options, need_dx=False),
        )

    CASES[f"conv2d {name}"] = conv2d


of_conv2d("one channel", (3, 28, 28, 1), (3, 3, 1, 32), padding="same")
of_conv2d("three channels", (2, 31, 29, 3), (11, 11, 3, 17), strides=4, padding=2)
of_conv2d("plain", (3, 12, 11, 9), (3, 3, 9, 20))
of_conv2d("many channels", (2, 13, 13, 64), (3, 3, 64, 72), padding=1)
of_conv2d("strided", (2, 13, 14, 5), (3, 4, 5, 17), strides=(2, 1), padding=((1, 0), (2, 1)))
of_conv2d("grouped", (2, 9, 9, 12), (3, 3, 6, 14), groups=2, padding="same")
of_conv2d("depthwise", (2, 9, 8, 10), (3, 3, 1, 10), groups=10, padding="same")
of_conv2d("dilated", (2, 11, 12, 4), (3, 2, 4, 6), dilation=(2, 3))
of_conv2d("1 x 1", (2, 7, 5, 33), (1, 1, 33, 35))
of_conv2d("whole image", (5, 6, 5, 7), (6, 5, 7, 3))


@case
def max_pool2d(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for shape, window in (((3, 28, 27, 5), (2,)), ((2, 13, 13, 64), (3, 2)), ((1, 7, 5, 3), (3, 1, "same"))):
        y, index = ops.max_pool2d(draw(*shape), *window)
        results += [y, index, ops.max_pool2d_backward(draw(*y.shape), index, shape, *window)]
    return tuple(results)


@case
def avg_pool2d(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for shape, window in (((3, 28, 27, 5), (2,)), ((1, 7, 5, 3), (3, 2, 1, True))):
        y = ops.avg_pool2d(draw(*shape), *window)
        results += [y, ops.avg_pool2d_backward(draw(*y.shape), shape, *window)]
    shape = (3, 5, 7, 33)
    return (
        *results,
        ops.global_avg_pool2d(draw(*shape)),
        ops.global_avg_pool2d_backward(draw(3, 33), shape),
    )


@case
def activations(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for name in ("step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"):
        for size in (1, 333, 4097):
            x = draw(size)
            y = getattr(ops, name)(x)
            saved = x if name in ("gelu", "silu") else np.asarray(getattr(reference, name)(x), x.dtype)
            results += [y, getattr(ops, f"{name}_backward")(draw(size), saved)]
    return tuple(results)


@case
def softmax(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for name in ("softmax", "log_softmax"):
        for shape, axis in (((37, 10), -1), ((3, 1000), -1), ((4, 33, 5), 1)):
            x = draw(*shape)
            y = getattr(ops, name)(x, axis=axis)
            saved = np.asarray(getattr(reference, name)(x, axis=axis), x.dtype)
            results += [y, getattr(ops, f"{name}_backward")(draw(*shape), saved, axis=axis)]
    return tuple(results)


@case
def losses(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for name in ("mean_squared_error", "mean_absolute_error", "huber", "half_sum_squared_error"):
        y, t = draw(37, 5), draw(37, 5)
        results += [getattr(ops, name)(y, t), getattr(ops, f"{name}_backward")(y, t)]
    targets = (draw(37, 1) > 0).astype(draw(1).dtype)
    z = draw(37, 1) / 8  # beyond, 1 - p is what cancellation leaves of it
    p = np.asarray(reference.sigmoid(z), z.dtype)
    for name, first in (("binary_cross_entropy", p), ("sigmoid_binary_cross_entropy", z)):
        results += [getattr(ops, name)(first, targets), getattr(ops, f"{name}_backward")(first, targets)]
    for rows, classes in ((1, 2), (130, 10), (7, 1000)):
        z, labels = draw(rows, classes), np.arange(rows) * 7 % classes
        for options in ({}, {"label_smoothing": 0.1}, {"reduction": "none"}):
            results += [
                ops.softmax_cross_entropy(z, labels, **options),
                ops.softmax_cross_entropy_backward(z, labels, **options),
            ]
    return tuple(results)


@case
def dropout(ops: Any, draw: Any) -> Arrays:
    sizes = ((1,), (333,), (5, 70), (128, 512))
    masks = [ops.dropout_mask(shape, 0.3, 11, 2, 5) for shape in sizes]
    return *masks, *(ops.dropout(draw(*shape), 0.3, 11, 2, 5) for shape in sizes)


@case
def elementwise(ops: Any, draw: Any) -> Arrays:
    shape = (3, 7, 11)
    a, b, c = draw(*shape), draw(*shape), draw(3, 7, 5)
    return (
        ops.add(a, b),
        ops.multiply(a, b),
        ops.concat([a, c]),
        ops.normalize(a, draw(11), np.abs(draw(11)) + 1),
    )


@case
def norms(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for shape in ((5, 70), (3, 9, 7, 17), (300, 1)):
        channels = shape[-1]
        x, dy, gamma, beta = draw(*shape), draw(*shape), draw(channels), draw(channels)
        running = draw(channels), np.abs(draw(channels)) + 1
        results += [ops.batch_norm(x, gamma, beta, *running)]
        results += ops.batch_norm(x, gamma, beta, *running, training=True)
        saved = reference.batch_norm(x, gamma, beta, *running, training=True)[3:]
        results += ops.batch_norm_backward(dy, x, gamma, *(np.asarray(s, x.dtype) for s in saved))
        results += [ops.local_response_norm(x, 5, 0.1), ops.local_response_norm_backward(dy, x, 5, 0.1)]
    return tuple(results)


@case
def optimizers(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for size in (1, 333, 4100):
        p, g, v = ops.put(draw(size)), ops.put(draw(size)), ops.put(draw(size))
        ops.sgd_update(p, g, v, 0.05, 0.9, True, 0.01)
        q, m, s = ops.put(draw(size)), ops.put(draw(size)), ops.put(np.abs(draw(size)))
        ops.adam_update(q, g, m, s, 3, 0.01, weight_decay=0.1, decoupled=True)
        results += [p, v, q, m, s]
    return tuple(results)
