"""Cross-correlation, one tap of the filter at a time."""

import numpy as np

from .activation import activate
from .arrays import pair, wide, window

__all__ = ["conv2d", "conv2d_backward"]


def taps(x_shape, w_shape, strides, padding, dilation, groups):
    """Padding, output size, and for each group and tap: the index of the points it reads, of w and of y."""
    (kh, kw, depth, filters) = w_shape
    (sh, sw), (dh, dw) = pair(strides), pair(dilation)
    around, (oh, ow) = window(x_shape[1:3], (kh, kw), strides, dilation, padding)
    per_group = filters // groups
    steps = []
    for g in range(groups):
        channels, outputs = slice(g * depth, (g + 1) * depth), slice(g * per_group, (g + 1) * per_group)
        for i in range(kh):
            for j in range(kw):
                rows = slice(i * dh, i * dh + (oh - 1) * sh + 1, sh)
                columns = slice(j * dw, j * dw + (ow - 1) * sw + 1, sw)
                points = (slice(None), rows, columns, channels)
                steps.append((points, (i, j, slice(None), outputs), (..., outputs)))
    return [(0, 0), *around, (0, 0)], (x_shape[0], oh, ow, filters), steps


def conv2d(x, w, b=None, strides=1, padding="valid", dilation=1, groups=1, activation=None):
    """x (N, H, W, C), w (KH, KW, C / groups, O), b (O) -> (N, OH, OW, O)"""
    x, w = wide(x), wide(w)
    around, y_shape, steps = taps(x.shape, w.shape, strides, padding, dilation, groups)
    padded, y = np.pad(x, around), np.zeros(y_shape)
    for points, tap, outputs in steps:
        y[outputs] += padded[points] @ w[tap]
    if b is not None:
        y += wide(b)
    return activate(y, activation)


def conv2d_backward(dy, x, w, strides=1, padding="valid", dilation=1, groups=1, need_dx=True):
    """dy (N, OH, OW, O) -> dx (N, H, W, C), dw (KH, KW, C / groups, O), db (O)"""
    dy, x, w = wide(dy), wide(x), wide(w)
    around, _, steps = taps(x.shape, w.shape, strides, padding, dilation, groups)
    padded, dw = np.pad(x, around), np.zeros_like(w)
    dpadded = np.zeros_like(padded)
    for points, tap, outputs in steps:
        dw[tap] += np.tensordot(padded[points], dy[outputs], axes=([0, 1, 2], [0, 1, 2]))
        dpadded[points] += dy[outputs] @ w[tap].T
    (_, (top, _), (left, _), _) = around
    dx = dpadded[:, top : top + x.shape[1], left : left + x.shape[2]]
    return (dx if need_dx else None), dw, np.sum(dy, axis=(0, 1, 2))
