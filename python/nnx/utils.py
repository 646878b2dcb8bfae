"""Functions on arrays and seeds that Keras's scripts call."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nnx import data
from nnx._checks import integer
from nnx._types import NDArray
from nnx.seeds import set_seed

set_random_seed = set_seed  # of nnx alone: Keras's also seeds random, NumPy and its backend


def to_categorical(x: npt.ArrayLike, num_classes: int | None = None) -> NDArray:
    """One-hot vectors, float32, of labels.

    Args:
        x: labels of any shape, whole numbers from 0 on; a last axis of 1 is dropped, as Keras does.
        num_classes: how many classes there are; None: the largest label + 1.

    Returns:
        The shape of x, and an axis of num_classes.

    Raises:
        TypeError: where x is not of real numbers.
        ValueError: where a label is none of the classes.
    """
    given = data.as_array(x, "x")
    shape = given.shape[:-1] if given.ndim > 1 and given.shape[-1] == 1 else given.shape
    classes = 2**31 - 1 if num_classes is None else integer("to_categorical", "num_classes", num_classes)
    found = data.labels(given.reshape(-1), classes, "x")
    if num_classes is None:
        classes = int(found.max(initial=-1)) + 1
    result = np.zeros((found.size, classes), dtype=np.float32)
    result[np.arange(found.size), found] = 1.0
    return result.reshape((*shape, classes))


def normalize(x: npt.ArrayLike, axis: int = -1, order: int = 2) -> NDArray:
    """X over its norm along an axis, where that is not 0.

    Args:
        x: real numbers, of any shape but a single one.
        axis: the axis.
        order: of the norm: 1 for sums of sizes, 2 for Euclid's.

    Returns:
        float64, or float32 where x is that; the shape of x.

    Raises:
        TypeError: where x is not of real numbers.
        ValueError: where there is no such axis.
    """
    array = data.floats(x, "x")
    integer("normalize", "order", order)
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(
            f"normalize: argument 'axis' expected one of an array of shape {array.shape}, got {axis}"
        )
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norms == 0, 1, norms))


__all__ = ["normalize", "set_random_seed", "to_categorical"]
