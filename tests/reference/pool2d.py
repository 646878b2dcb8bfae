"""Pooling, one window at a time."""

import numpy as np

from .arrays import pair, wide, window

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "upsample2d",
    "upsample2d_backward",
]


def places(size, kernel, stride, dilation, padding, ceil_mode):
    """For each window along one axis: its points inside the image, and how many lie inside the padded image."""
    ((before, behind), *_), _ = window((size, 1), (kernel, 1), (stride, 1), (dilation, 1), padding)
    room = size + before + behind - (dilation * (kernel - 1) + 1)
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + before:
        count -= 1  # it would begin in the padding behind
    for i in range(count):
        points = i * stride - before + dilation * np.arange(kernel)
        yield points[(points >= 0) & (points < size)], np.count_nonzero(points < size + behind)


def axis_padding(padding):
    """The padding of the height, and that of the width with its axis first."""
    if isinstance(padding, str):
        return padding, padding
    rows, columns = pair(padding)
    return (rows, 0), (columns, 0)


def windows(x_shape, pool_size, strides, padding, dilation, ceil_mode):
    """For each output point (i, j): rows and columns of the image inside its window, and its area with padding."""
    settings = zip(
        x_shape[1:3],
        pair(pool_size),
        pair(pool_size if strides is None else strides),
        pair(dilation),
        axis_padding(padding),
        strict=True,
    )
    down, across = (list(places(*axis, ceil_mode)) for axis in settings)
    return [[(rows, columns, height * width) for columns, width in across] for rows, height in down]


def max_pool2d(x, pool_size=2, strides=None, padding="valid", dilation=1, ceil_mode=False):
    """x (N, H, W, C) -> y (N, OH, OW, C), index (N, OH, OW, C): ih * W + iw of each maximum"""
    x = wide(x)
    n, _, width, c = x.shape
    found = windows(x.shape, pool_size, strides, padding, dilation, ceil_mode)
    y = np.zeros((n, len(found), len(found[0]), c))
    index = np.zeros(y.shape, np.int32)
    for i, line in enumerate(found):
        for j, (rows, columns, _) in enumerate(line):
            points = x[:, rows][:, :, columns].reshape(n, rows.size * columns.size, c)
            best = np.argmax(points, axis=1)  # the first of equals, the first NaN where there is one
            y[:, i, j] = np.take_along_axis(points, best[:, None], axis=1)[:, 0]
            index[:, i, j] = rows[best // columns.size] * width + columns[best % columns.size]
    return y, index


def max_pool2d_backward(
    dy, index, x_shape, pool_size=2, strides=None, padding="valid", dilation=1, ceil_mode=False
):
    """dy, index (N, OH, OW, C) -> dx (N, H, W, C)"""
    dy = wide(dy)
    n, h, w, c = x_shape
    dx = np.zeros((n, h * w, c))
    image, _, _, channel = np.indices(dy.shape)
    np.add.at(dx, (image, index, channel), dy)
    return dx.reshape(x_shape)


def avg_pool2d(
    x, pool_size=2, strides=None, padding="valid", count_include_pad=False, dilation=1, ceil_mode=False
):
    """x (N, H, W, C) -> (N, OH, OW, C)"""
    x = wide(x)
    found = windows(x.shape, pool_size, strides, padding, dilation, ceil_mode)
    y = np.zeros((x.shape[0], len(found), len(found[0]), x.shape[3]))
    for i, line in enumerate(found):
        for j, (rows, columns, area) in enumerate(line):
            points = x[:, rows][:, :, columns]
            y[:, i, j] = points.sum(axis=(1, 2)) / (area if count_include_pad else rows.size * columns.size)
    return y


def avg_pool2d_backward(
    dy,
    x_shape,
    pool_size=2,
    strides=None,
    padding="valid",
    count_include_pad=False,
    dilation=1,
    ceil_mode=False,
):
    """dy (N, OH, OW, C) -> dx (N, H, W, C)"""
    dy, dx = wide(dy), np.zeros(x_shape)
    for i, line in enumerate(windows(x_shape, pool_size, strides, padding, dilation, ceil_mode)):
        for j, (rows, columns, area) in enumerate(line):
            count = area if count_include_pad else rows.size * columns.size
            dx[:, rows[:, None], columns] += dy[:, i, j][:, None, None] / count
    return dx


def global_avg_pool2d(x):
    """x (N, H, W, C) -> (N, C)"""
    return wide(x).mean(axis=(1, 2))


def global_avg_pool2d_backward(dy, x_shape):
    """dy (N, C) -> dx (N, H, W, C)"""
    n, h, w, c = x_shape
    return np.broadcast_to(wide(dy)[:, None, None] / (h * w), (n, h, w, c)).copy()


def global_max_pool2d(x):
    """x (N, H, W, C) -> (N, C)"""
    return wide(x).max(axis=(1, 2))


def global_max_pool2d_backward(dy, x):
    """dy (N, C), x (N, H, W, C) -> dx (N, H, W, C)"""
    n, h, w, c = x.shape
    first = np.argmax(wide(x).reshape(n, h * w, c), axis=1)
    dx = np.zeros((n, h * w, c))
    np.put_along_axis(dx, first[:, None], wide(dy)[:, None], axis=1)
    return dx.reshape(x.shape)


def mixing(size, factor, interpolation):
    """(size * factor, size): of which points of an axis each point of the larger one is made."""
    weights = np.zeros((size * factor, size))
    for i in range(size * factor):
        if interpolation == "nearest":
            weights[i, i // factor] = 1
            continue
        at = min(max((i + 0.5) / factor - 0.5, 0), size - 1)
        lower = int(at)
        weights[i, lower] += 1 - (at - lower)
        weights[i, min(lower + 1, size - 1)] += at - lower
    return weights


def upsample2d(x, size=2, interpolation="nearest"):
    """x (N, H, W, C) -> (N, H * size, W * size, C)"""
    x, (down, across) = wide(x), pair(size)
    rows, columns = mixing(x.shape[1], down, interpolation), mixing(x.shape[2], across, interpolation)
    return np.einsum("nhwc,ih,jw->nijc", x, rows, columns)


def upsample2d_backward(dy, size=2, interpolation="nearest"):
    """dy (N, H * size, W * size, C) -> dx (N, H, W, C)"""
    dy, (down, across) = wide(dy), pair(size)
    rows = mixing(dy.shape[1] // down, down, interpolation)
    columns = mixing(dy.shape[2] // across, across, interpolation)
    return np.einsum("nijc,ih,jw->nhwc", dy, rows, columns)
