"""Cross-correlation, one tap of the filter at a time."""

import numpy as np

from .activation import activate
from .arrays import pair, wide, window

__all__ = ["conv2d", "conv2d_backward", "conv2d_transpose", "conv2d_transpose_backward"]


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


def transposed_axis(size, kernel, stride, dilation, padding, output_padding):
    """Length of the output of one axis, and the points cut off in front: Keras's rules for the named paddings."""
    reach = dilation * (kernel - 1) + 1
    if padding == "valid":
        extra = max(reach, stride) - reach if output_padding is None else output_padding
        return (size - 1) * stride + reach + extra, 0
    if padding == "same":
        out = size * stride
        if output_padding is not None:
            out = (size - 1) * stride + reach % 2 + output_padding
        # What the convolution from the output back to the input would be padded with.
        return out, max((size - 1) * stride + reach - out, 0) // 2
    before, behind = pair(padding)
    return (size - 1) * stride + reach + (output_padding or 0) - before - behind, before


def transposed_taps(x_shape, w_shape, strides, padding, output_padding, dilation):
    """The whole plane that windows write to, the part of it that is the output, and each tap's points of it."""
    (kh, kw, outputs, _), (n, h, w, _) = w_shape, x_shape
    (sh, sw), (dh, dw) = pair(strides), pair(dilation)
    around = (padding, padding) if isinstance(padding, str) else pair(padding)
    extra = (None, None) if output_padding is None else pair(output_padding)
    oh, top = transposed_axis(h, kh, sh, dh, around[0], extra[0])
    ow, left = transposed_axis(w, kw, sw, dw, around[1], extra[1])
    plane = (
        n,
        max((h - 1) * sh + dh * (kh - 1) + 1, top + oh),
        max((w - 1) * sw + dw * (kw - 1) + 1, left + ow),
        outputs,
    )
    inside = (slice(None), slice(top, top + oh), slice(left, left + ow))
    taps = {
        (i, j): (
            slice(None),
            slice(i * dh, i * dh + (h - 1) * sh + 1, sh),
            slice(j * dw, j * dw + (w - 1) * sw + 1, sw),
        )
        for i in range(kh)
        for j in range(kw)
    }
    return plane, inside, taps


def conv2d_transpose(
    x, w, b=None, strides=1, padding="valid", output_padding=None, dilation=1, activation=None
):
    """x (N, H, W, C), w (KH, KW, O, C), b (O) -> (N, OH, OW, O)"""
    x, w = wide(x), wide(w)
    plane, inside, taps = transposed_taps(x.shape, w.shape, strides, padding, output_padding, dilation)
    whole = np.zeros(plane)
    for tap, points in taps.items():
        whole[points] += x @ w[tap].T
    y = whole[inside]
    if b is not None:
        y = y + wide(b)
    return activate(y, activation)


def conv2d_transpose_backward(
    dy, x, w, strides=1, padding="valid", output_padding=None, dilation=1, need_dx=True
):
    """dy (N, OH, OW, O) -> dx (N, H, W, C), dw (KH, KW, O, C), db (O)"""
    dy, x, w = wide(dy), wide(x), wide(w)
    plane, inside, taps = transposed_taps(x.shape, w.shape, strides, padding, output_padding, dilation)
    whole, dx, dw = np.zeros(plane), np.zeros_like(x), np.zeros_like(w)
    whole[inside] = dy
    for tap, points in taps.items():
        dx += whole[points] @ w[tap]
        dw[tap] = np.tensordot(whole[points], x, axes=([0, 1, 2], [0, 1, 2]))
    return (dx if need_dx else None), dw, np.sum(dy, axis=(0, 1, 2))
