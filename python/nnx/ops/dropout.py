"""Inverted dropout (Srivastava et al., JMLR 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nnx import _core
from nnx.graph.symbol import Symbol
from nnx.ops._types import Array


def dropout(x: Array, rate: float, seed: int | None = None, layer: int = 0, step: int = 0) -> Array:
    """`x / (1 - rate)` where the mask keeps it, else 0. The backward pass is the same call on dy.

    Masks come from Philox4x32-10, key `seed`, counter (element // 4, layer, step): they are the same on
    every device, and no generator has a state. In a traced model seed, layer and step are the model's own,
    and nothing is dropped when it predicts.

    Args:
        x: any shape.
        rate: the share that is dropped, in [0, 1).
        seed: an int in [0, 2^64).
        layer: an int below 2^16 that tells masks of one step apart.
        step: an int below 2^48.

    Raises:
        TypeError: where x is not float32 or float64, or the seed is missing.
        ValueError: where a number is out of range.
    """
    if isinstance(x, Symbol):
        node = x.trace.graph.dropout(x.node, rate, x.trace.next_dropout())
        return x.derive(node, within=x.bounds)  # as in prediction
    if seed is None:
        raise TypeError("dropout: argument 'seed' expected an int, got None")
    return _core.dropout(x, rate, seed, layer, step)


def spatial_dropout2d(x: Array, rate: float, seed: int | None = None, layer: int = 0, step: int = 0) -> Array:
    """`dropout` of whole channels of samples, by a mask (N, C). The backward pass is the same call on dy.

    Args:
        x: (N, H, W, C).
        rate: the share of channels that is dropped, in [0, 1).
        seed: an int in [0, 2^64); in a traced model None means the model's.
        layer: an int below 2^16 that tells masks of one step apart.
        step: an int below 2^48.

    Raises:
        TypeError: where x is not float32 or float64, or the seed is missing.
        ValueError: where x is not NHWC or a number is out of range.
    """
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.channel_dropout(x.node, rate, x.trace.next_dropout(), seed))
    if seed is None:
        raise TypeError("spatial_dropout2d: argument 'seed' expected an int, got None")
    return _core.spatial_dropout2d(x, rate, seed, layer, step)


def gaussian_noise(x: Array, stddev: float, seed: int | None = None, layer: int = 0, step: int = 0) -> Array:
    """`x + stddev * z` with normal z by Box and Muller; the gradient by x is dy.

    Elements 2i and 2i + 1 take the words v and w of theirs: z is sqrt(-2 log((v + 1) / 2^32)) times the cosine and
    the sine of 2 pi w / 2^32, in double precision.

    Args:
        x: any shape.
        stddev: the standard deviation, at least 0.
        seed: an int in [0, 2^64); in a traced model None means the model's.
        layer: an int below 2^16 that tells draws of one step apart.
        step: an int below 2^48.

    Raises:
        TypeError: where x is not float32 or float64, or the seed is missing.
        ValueError: where a number is out of range.
    """
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.noise(x.node, stddev, x.trace.next_dropout(), seed))
    if seed is None:
        raise TypeError("gaussian_noise: argument 'seed' expected an int, got None")
    return _core.gaussian_noise(x, stddev, seed, layer, step)


def dropout_mask(
    shape: Sequence[int], rate: float, seed: int, layer: int = 0, step: int = 0
) -> npt.NDArray[np.uint8]:
    """The mask that `dropout` uses for those keys: uint8 of that shape, 1 = kept.

    Raises:
        ValueError: where a number is out of range.
    """
    return _core.dropout_mask(shape, rate, seed, layer, step)
