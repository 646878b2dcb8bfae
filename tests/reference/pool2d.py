"""Pooling, one window at a time."""

import numpy as np

from .arrays import pair, wide, window

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
]


def windows(x_shape, pool_size, strides, padding):
    """For each output point (i, j): the rows and columns of the image inside its window, and the window's area."""
    h, w = x_shape[1:3]
    kh, kw = pair(pool_size)
    sh, sw = pair(pool_size if strides is None else strides)
    ((top, _), (left, _)), (oh, ow) = window((h, w), (kh, kw), (sh, sw), 1, padding)
    for i in range(oh):
        rows = slice(max(i * sh - top, 0), min(i * sh - top + kh, h))
        for j in range(ow):
            columns = slice(max(j * sw - left, 0), min(j * sw - left + kw, w))
            yield i, j, rows, columns, kh * kw


def output_shape(x_shape, pool_size, strides, padding):
    out = window(x_shape[1:3], pool_size, pool_size if strides is None else strides, 1, padding)[1]
    return (x_shape[0], *out, x_shape[3])


def max_pool2d(x, pool_size=2, strides=None, padding="valid"):
    """x (N, H, W, C) -> y (N, OH, OW, C), index (N, OH, OW, C): ih * W + iw of each maximum"""
    x = wide(x)
    n, _, width, c = x.shape
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding))
    index = np.zeros(y.shape, np.int32)
    for i, j, rows, columns, _ in windows(x.shape, pool_size, strides, padding):
        inside = x[:, rows, columns]
        points = inside.reshape(n, inside.shape[1] * inside.shape[2], c)
        best = np.argmax(points, axis=1)  # the first of equals, the first NaN where there is one
        y[:, i, j] = np.take_along_axis(points, best[:, None], axis=1)[:, 0]
        across = columns.stop - columns.start
        index[:, i, j] = (rows.start + best // across) * width + columns.start + best % across
    return y, index


def max_pool2d_backward(dy, index, x_shape, pool_size=2, strides=None, padding="valid"):
    """dy, index (N, OH, OW, C) -> dx (N, H, W, C)"""
    dy = wide(dy)
    n, h, w, c = x_shape
    dx = np.zeros((n, h * w, c))
    image, _, _, channel = np.indices(dy.shape)
    np.add.at(dx, (image, index, channel), dy)
    return dx.reshape(x_shape)


def avg_pool2d(x, pool_size=2, strides=None, padding="valid", count_include_pad=False):
    """x (N, H, W, C) -> (N, OH, OW, C)"""
    x = wide(x)
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding))
    for i, j, rows, columns, area in windows(x.shape, pool_size, strides, padding):
        points = x[:, rows, columns]
        y[:, i, j] = points.sum(axis=(1, 2)) / (
            area if count_include_pad else points.shape[1] * points.shape[2]
        )
    return y


def avg_pool2d_backward(dy, x_shape, pool_size=2, strides=None, padding="valid", count_include_pad=False):
    """dy (N, OH, OW, C) -> dx (N, H, W, C)"""
    dy, dx = wide(dy), np.zeros(x_shape)
    for i, j, rows, columns, area in windows(x_shape, pool_size, strides, padding):
        inside = (rows.stop - rows.start) * (columns.stop - columns.start)
        dx[:, rows, columns] += dy[:, i, j][:, None, None] / (area if count_include_pad else inside)
    return dx


def global_avg_pool2d(x):
    """x (N, H, W, C) -> (N, C)"""
    return wide(x).mean(axis=(1, 2))


def global_avg_pool2d_backward(dy, x_shape):
    """dy (N, C) -> dx (N, H, W, C)"""
    n, h, w, c = x_shape
    return np.broadcast_to(wide(dy)[:, None, None] / (h * w), (n, h, w, c)).copy()
