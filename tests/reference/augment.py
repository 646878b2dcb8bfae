"""Random changes of images, from their definitions, a point at a time."""

import math

import numpy as np

from .arrays import wide
from .dropout import LOW, philox4x32

__all__ = [
    "center_crop",
    "center_crop_backward",
    "random_contrast",
    "random_contrast_backward",
    "random_crop",
    "random_crop_backward",
    "random_flip",
    "random_rotation",
    "random_rotation_backward",
    "random_translation",
    "random_translation_backward",
    "row_words",
]


def row_words(rows, seed, layer=0, step=0):
    """(rows, 4): the words of a step's rows."""
    row = np.arange(rows, dtype=np.uint64)
    counter = (row & LOW, row >> np.uint64(32), step & 0xFFFFFFFF, (layer << 16) | (step >> 32))
    drawn = np.broadcast_arrays(*philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32)))
    return np.stack(drawn, axis=1)


def between(low, high, words):
    return low + (high - low) * (words.astype(np.float64) / 2**32)


def bounds(factor):
    return tuple(sorted(factor)) if isinstance(factor, tuple) else (-factor, factor)


def shown(place, extent, fill_mode):
    """The row that a place of the endless image shows; None: the fill value."""
    inside = list(range(extent))
    if 0 <= place < extent:
        return place
    if fill_mode == "constant":
        return None
    if fill_mode == "nearest":
        return 0 if place < 0 else extent - 1
    endless = inside if fill_mode == "wrap" else inside + inside[::-1]
    return endless[place % len(endless)]


def taps(place, interpolation):
    """[(row, weight)], at a place between rows."""
    if interpolation == "nearest":
        return [(math.floor(place + 0.5), 1.0)]
    first = math.floor(place)
    fraction = place - first
    return [(first, 1 - fraction), *([(first + 1, fraction)] if fraction else [])]


def matrix(shape, out, place_of, fill_mode="reflect", interpolation="bilinear"):
    """(out_h * out_w, h * w) and (out_h * out_w): an image's part, and that of the fill value, in an output point."""
    (h, w), (out_h, out_w) = shape, out
    inside, outside = np.zeros((out_h * out_w, h * w)), np.zeros(out_h * out_w)
    for i in range(out_h):
        for j in range(out_w):
            down, right = place_of(i, j)
            for row, share in taps(down, interpolation):
                for column, other in taps(right, interpolation):
                    r, c = shown(row, h, fill_mode), shown(column, w, fill_mode)
                    if r is None or c is None:
                        outside[i * out_w + j] += share * other
                    else:
                        inside[i * out_w + j, r * w + c] += share * other
    return inside, outside


def apply(x, maps, out, fill_value=0.0):
    n, _, _, c = x.shape
    y = np.zeros((n, *out, c))
    for sample, (inside, outside) in enumerate(maps):
        points = inside @ x[sample].reshape(-1, c) + outside[:, None] * fill_value
        y[sample] = points.reshape(*out, c)
    return y


def turn_back(dy, maps, x_shape):
    dx = np.zeros(x_shape)
    for sample, (inside, _) in enumerate(maps):
        dx[sample] = (inside.T @ dy[sample].reshape(-1, x_shape[3])).reshape(x_shape[1:])
    return dx


def random_flip(x, mode="horizontal_and_vertical", seed=None, layer=0, step=0):
    y = wide(x).copy()
    for sample, words in enumerate(row_words(len(y), seed, layer, step)):
        if "vertical" in mode and words[0] >= 2**31:
            y[sample] = y[sample, ::-1]
        if "horizontal" in mode and words[1] >= 2**31:
            y[sample] = y[sample, :, ::-1]
    return y


def translations(x_shape, height_factor, width_factor, fill_mode, interpolation, seed, layer, step):
    n, h, w, _ = x_shape
    words = row_words(n, seed, layer, step)
    down = between(*bounds(height_factor), words[:, 0]) * h
    right = between(*bounds(width_factor), words[:, 1]) * w
    return [
        matrix((h, w), (h, w), lambda i, j, d=d, r=r: (i - d, j - r), fill_mode, interpolation)
        for d, r in zip(down, right, strict=True)
    ]


def random_translation(
    x,
    height_factor,
    width_factor,
    fill_mode="reflect",
    interpolation="bilinear",
    fill_value=0.0,
    seed=None,
    layer=0,
    step=0,
):
    x = wide(x)
    maps = translations(x.shape, height_factor, width_factor, fill_mode, interpolation, seed, layer, step)
    return apply(x, maps, x.shape[1:3], fill_value)


def random_translation_backward(
    dy,
    height_factor,
    width_factor,
    fill_mode="reflect",
    interpolation="bilinear",
    fill_value=0.0,
    seed=None,
    layer=0,
    step=0,
):
    dy = wide(dy)
    maps = translations(dy.shape, height_factor, width_factor, fill_mode, interpolation, seed, layer, step)
    return turn_back(dy, maps, dy.shape)


def crop_places(x_shape, height, width, seed, layer, step):
    """Top and left of each sample's window."""
    words = row_words(x_shape[0], seed, layer, step)
    rows, columns = x_shape[1] - height + 1, x_shape[2] - width + 1
    return [(int(word[0]) * rows // 2**32, int(word[1]) * columns // 2**32) for word in words]


def random_crop(x, height, width, seed=None, layer=0, step=0):
    x = wide(x)
    y = np.zeros((len(x), height, width, x.shape[3]))
    for sample, (top, left) in enumerate(crop_places(x.shape, height, width, seed, layer, step)):
        y[sample] = x[sample, top : top + height, left : left + width]
    return y


def random_crop_backward(dy, x_shape, height, width, seed=None, layer=0, step=0):
    dx = np.zeros(x_shape)
    for sample, (top, left) in enumerate(crop_places(x_shape, height, width, seed, layer, step)):
        dx[sample, top : top + height, left : left + width] = dy[sample]
    return dx


def center_crop(x, height, width):
    x = wide(x)
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]


def center_crop_backward(dy, x_shape, height, width):
    dx = np.zeros(x_shape)
    top, left = (x_shape[1] - height) // 2, (x_shape[2] - width) // 2
    dx[:, top : top + height, left : left + width] = dy
    return dx


def rotations(x_shape, factor, fill_mode, interpolation, seed, layer, step):
    n, h, w, _ = x_shape
    maps = []
    for turn in between(*bounds(factor), row_words(n, seed, layer, step)[:, 0]):
        s, c = math.sin(2 * math.pi * turn), math.cos(2 * math.pi * turn)

        def place_of(i, j, s=s, c=c):
            down, right = i - (h - 1) / 2, j - (w - 1) / 2
            return s * right + c * down + (h - 1) / 2, c * right - s * down + (w - 1) / 2

        maps.append(matrix((h, w), (h, w), place_of, fill_mode, interpolation))
    return maps


def random_rotation(
    x,
    factor,
    fill_mode="reflect",
    interpolation="bilinear",
    fill_value=0.0,
    seed=None,
    layer=0,
    step=0,
):
    x = wide(x)
    maps = rotations(x.shape, factor, fill_mode, interpolation, seed, layer, step)
    return apply(x, maps, x.shape[1:3], fill_value)


def random_rotation_backward(
    dy,
    factor,
    fill_mode="reflect",
    interpolation="bilinear",
    fill_value=0.0,
    seed=None,
    layer=0,
    step=0,
):
    dy = wide(dy)
    return turn_back(dy, rotations(dy.shape, factor, fill_mode, interpolation, seed, layer, step), dy.shape)


def contrast_factors(x, factor, seed, layer, step):
    lower, upper = factor if isinstance(factor, tuple) else (factor, factor)
    words = row_words(len(x), seed, layer, step)[:, 0]
    return between(1 - lower, 1 + upper, words)[:, None, None, None]


def random_contrast(x, factor, value_range=(0, 255), seed=None, layer=0, step=0):
    x = wide(x)
    mean = x.mean(axis=(1, 2), keepdims=True)
    return np.clip((x - mean) * contrast_factors(x, factor, seed, layer, step) + mean, *value_range)


def random_contrast_backward(dy, x, factor, value_range=(0, 255), seed=None, layer=0, step=0):
    x = wide(x)
    f, mean = contrast_factors(x, factor, seed, layer, step), x.mean(axis=(1, 2), keepdims=True)
    stretched = (x - mean) * f + mean
    g = np.where((stretched < value_range[0]) | (stretched > value_range[1]), 0, wide(dy))
    return f * g + (1 - f) * g.mean(axis=(1, 2), keepdims=True)
