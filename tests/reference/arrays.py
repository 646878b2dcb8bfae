"""What the references share: precision and the geometry of windows."""

import numpy as np


def wide(x):
    """`x` in float64; long doubles stay as they are."""
    x = np.asarray(x)
    return x if x.dtype == np.longdouble else x.astype(np.float64)


def pair(value):
    return (value, value) if np.isscalar(value) else tuple(value)


def pads(size, kernel, stride, dilation, padding):
    """Points before and after one axis."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        out = -(-size // stride)
        total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        return total // 2, total - total // 2
    raise ValueError(padding)


def window(size, kernel, strides, dilation, padding):
    """((top, bottom), (left, right)), (oh, ow) for an image of `size` = (h, w)."""
    kernel, strides, dilation = pair(kernel), pair(strides), pair(dilation)
    if isinstance(padding, str):
        around = [
            pads(s, k, t, d, padding) for s, k, t, d in zip(size, kernel, strides, dilation, strict=True)
        ]
    else:
        around = [pair(p) for p in pair(padding)]
    out = [
        (s + sum(p) - (k - 1) * d - 1) // t + 1
        for s, k, t, d, p in zip(size, kernel, strides, dilation, around, strict=True)
    ]
    return around, out
