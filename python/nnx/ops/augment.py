"""Random changes of images (N, H, W, C), drawn for each sample.

Sample n takes the four words of Philox4x32-10's block n, key `seed`, counter (n, layer, step): on every device
the same. A word w stands for the share w / 2^32 of a range. In a traced model layer and step are the model's
own, and the seed, too, where none is given; when it predicts, images stay as they are, and crops take the
centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx import _core
from nnx.graph.symbol import Symbol
from nnx.ops._factors import (
    Factor,
    FillMode,
    Flip,
    Interpolation,
    contrast_range,
    rotation_options,
    translation_options,
)
from nnx.ops._types import Array, Concrete


def random_flip(
    x: Array,
    mode: Flip = "horizontal_and_vertical",
    seed: int | None = None,
    layer: int = 0,
    step: int = 0,
) -> Array:
    """Each sample mirrored or not, with probability 1/2. The backward pass is the same call on dy.

    Args:
        x: (N, H, W, C).
        mode: "horizontal" (left and right, by word 1), "vertical" (up and down, by word 0) or both, independently.
        seed: an int in [0, 2^64).
        layer: an int below 2^16 that tells draws of one step apart.
        step: an int below 2^48.

    Raises:
        TypeError: where x is not float32 or float64, or the seed is missing.
        ValueError: where x is not NHWC, or a number or name is none of those above.
    """
    return _warp("random_flip", x, seed, layer, step, flip=mode)


def random_translation(
    x: Array,
    height_factor: Factor,
    width_factor: Factor,
    fill_mode: FillMode = "reflect",
    interpolation: Interpolation = "bilinear",
    fill_value: float = 0.0,
    seed: int | None = None,
    layer: int = 0,
    step: int = 0,
) -> Array:
    """Each sample moved down (word 0) and to the right (word 1) by random parts of its height and width.

    Args:
        x: (N, H, W, C).
        height_factor: the parts of the height, uniform in [low, high) within [-1, 1]; one number f means
            (-f, f). Less than 0 is up.
        width_factor: the same of the width. Less than 0 is to the left.
        fill_mode: what comes in from outside: "reflect" (b a | a b c | c b), "constant" (`fill_value`), "nearest"
            (a a | a b c | c c) or "wrap" (b c | a b c | a b).
        interpolation: "bilinear" moves by fractions of pixels, "nearest" by whole ones.
        fill_value: see `fill_mode`.
        seed: as for `random_flip`, like `layer`, `step` and the errors raised.
        layer: see `seed`.
        step: see `seed`.
    """
    where = "random_translation"
    return _warp(
        where,
        x,
        seed,
        layer,
        step,
        **translation_options(where, height_factor, width_factor, fill_mode, interpolation, fill_value),
    )


def random_translation_backward(
    dy: Concrete,
    height_factor: Factor,
    width_factor: Factor,
    fill_mode: FillMode = "reflect",
    interpolation: Interpolation = "bilinear",
    fill_value: float = 0.0,
    seed: int | None = None,
    layer: int = 0,
    step: int = 0,
) -> Concrete:
    """The gradient of `random_translation`, whose arguments follow dy (N, H, W, C) -> dx, like dy."""
    where = "random_translation_backward"
    options = translation_options(where, height_factor, width_factor, fill_mode, interpolation, fill_value)
    return _core.warp_backward(
        where, dy, np.shape(dy), seed=_seed(where, seed), layer=layer, step=step, **options
    )


def random_crop(
    x: Array, height: int, width: int, seed: int | None = None, layer: int = 0, step: int = 0
) -> Array:
    """A window of each sample, at a random place: (N, H, W, C) -> (N, height, width, C).

    Every place is equally likely; its row is drawn by word 0, its column by word 1.

    Args:
        x: (N, H, W, C).
        height: an int in [1, H].
        width: an int in [1, W].
        seed: as for `random_flip`, like `layer`, `step` and the errors raised.
        layer: see `seed`.
        step: see `seed`.
    """
    return _warp("random_crop", x, seed, layer, step, motion="crop", height=height, width=width)


def random_crop_backward(
    dy: Concrete,
    x_shape: Sequence[int],
    height: int,
    width: int,
    seed: int | None = None,
    layer: int = 0,
    step: int = 0,
) -> Concrete:
    """The gradient of `random_crop`: dy (N, height, width, C), x_shape (N, H, W, C) -> dx (N, H, W, C)."""
    where = "random_crop_backward"
    return _core.warp_backward(
        where,
        dy,
        x_shape,
        motion="crop",
        height=height,
        width=width,
        seed=_seed(where, seed),
        layer=layer,
        step=step,
    )


def center_crop(x: Array, height: int, width: int) -> Array:
    """The window in the middle, up or left by half a pixel where it cannot be there: (N, H, W, C) -> (N, height,
    width, C).

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where x is not NHWC, or the window larger than the image.
    """
    return _warp("center_crop", x, 0, 0, 0, motion="center_crop", height=height, width=width)


def center_crop_backward(dy: Concrete, x_shape: Sequence[int], height: int, width: int) -> Concrete:
    """The gradient of `center_crop`: dy (N, height, width, C), x_shape (N, H, W, C) -> dx (N, H, W, C)."""
    return _core.warp_backward(
        "center_crop_backward", dy, x_shape, motion="center_crop", height=height, width=width
    )


def random_rotation(
    x: Array,
    factor: Factor,
    fill_mode: FillMode = "reflect",
    interpolation: Interpolation = "bilinear",
    fill_value: float = 0.0,
    seed: int | None = None,
    layer: int = 0,
    step: int = 0,
) -> Array:
    """Each sample turned about its centre.

    Args:
        x: (N, H, W, C).
        factor: parts of a full turn, counterclockwise, uniform in [low, high) within [-1, 1]; one number f means
            (-f, f).
        fill_mode: as for `random_translation`, like `interpolation` and `fill_value`.
        interpolation: see `fill_mode`.
        fill_value: see `fill_mode`.
        seed: as for `random_flip`, like `layer`, `step` and the errors raised.
        layer: see `seed`.
        step: see `seed`.
    """
    where = "random_rotation"
    options = rotation_options(where, factor, fill_mode, interpolation, fill_value)
    return _warp(where, x, seed, layer, step, **options)


def random_rotation_backward(
    dy: Concrete,
    factor: Factor,
    fill_mode: FillMode = "reflect",
    interpolation: Interpolation = "bilinear",
    fill_value: float = 0.0,
    seed: int | None = None,
    layer: int = 0,
    step: int = 0,
) -> Concrete:
    """The gradient of `random_rotation`, whose arguments follow dy (N, H, W, C) -> dx, like dy."""
    where = "random_rotation_backward"
    options = rotation_options(where, factor, fill_mode, interpolation, fill_value)
    return _core.warp_backward(
        where, dy, np.shape(dy), seed=_seed(where, seed), layer=layer, step=step, **options
    )


def random_contrast(
    x: Array,
    factor: Factor,
    value_range: tuple[float, float] = (0, 255),
    seed: int | None = None,
    layer: int = 0,
    step: int = 0,
) -> Array:
    """(x - mean) * f + mean, with f drawn for each sample and the mean of each of its channels.

    Args:
        x: (N, H, W, C).
        factor: (lower, upper), in [0, 1]: f is uniform in [1 - lower, 1 + upper); one number is both.
        value_range: what comes out is clipped to it.
        seed: as for `random_flip`, like `layer`, `step` and the errors raised.
        layer: see `seed`.
        step: see `seed`.
    """
    low, high = contrast_range("random_contrast", factor)
    if isinstance(x, Symbol):
        made = x.trace.graph.contrast(x.node, low, high, value_range, x.trace.next_dropout(), seed)
        return x.derive(made)
    return _core.random_contrast(x, low, high, value_range, _seed("random_contrast", seed), layer, step)


def random_contrast_backward(
    dy: Concrete,
    x: Concrete,
    factor: Factor,
    value_range: tuple[float, float] = (0, 255),
    seed: int | None = None,
    layer: int = 0,
    step: int = 0,
) -> Concrete:
    """The gradient of `random_contrast`, whose arguments follow dy (N, H, W, C) -> dx, like dy.

    What was clipped passes nothing on of its own, but counts in the mean.
    """
    where = "random_contrast_backward"
    low, high = contrast_range(where, factor)
    return _core.random_contrast_backward(dy, x, low, high, value_range, _seed(where, seed), layer, step)


def _seed(where: str, seed: int | None) -> int:
    if seed is None:
        raise TypeError(f"{where}: argument 'seed' expected an int, got None")
    return seed


def _warp(where: str, x: Array, seed: int | None, layer: int, step: int, **options: Any) -> Array:
    if isinstance(x, Symbol):
        drawn = options.get("motion") != "center_crop"
        number_of_draw = x.trace.next_dropout() if drawn else 0
        node = x.trace.graph.warp(where, x.node, layer=number_of_draw, seed=seed, **options)
        return x.derive(node)
    if options.get("flip"):  # the words of flips are numbered apart
        return _core.warp(where, x, seed=_seed(where, seed), flip_layer=layer, step=step, **options)
    return _core.warp(where, x, seed=_seed(where, seed), layer=layer, step=step, **options)
