"""Pooling over windows and over whole images, NHWC."""

from __future__ import annotations

from collections.abc import Sequence

from nnx import _core
from nnx._types import Interpolation, Padding, Pair
from nnx.graph import bounds
from nnx.graph.symbol import Symbol
from nnx.ops._types import Array, Concrete


def max_pool2d(
    x: Array,
    pool_size: Pair = 2,
    strides: Pair | None = None,
    padding: Padding = "valid",
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Array | None]:
    """Maxima over windows. Padding never wins, of equals the first does, NaN wins over everything.

    Args:
        x: (N, H, W, C).
        pool_size: the window, an int or (down, across).
        strides: an int or (down, across); None: the pool size.
        padding: as for `conv2d`.
        dilation: the distance of the window's points, an int or (down, across).
        ceil_mode: True adds a last window for points that are left over, where it begins inside the image or the
            padding in front of it (PyTorch's rule); what it has beyond the padding counts as not there.

    Returns:
        y (N, OH, OW, C), and index (N, OH, OW, C), int32: ih * W + iw of each maximum; None for a Symbol.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where x is not NHWC, a window does not fit, or has no point in the image.
    """
    if isinstance(x, Symbol):
        strides = pool_size if strides is None else strides
        node = x.trace.graph.max_pool2d(x.node, pool_size, strides, padding, dilation, ceil_mode)
        return x.derive(node, within=x.bounds), None
    return _core.max_pool2d(x, pool_size, strides, padding, dilation, ceil_mode)


def max_pool2d_backward(
    dy: Concrete,
    index: Concrete,
    x_shape: Sequence[int],
    pool_size: Pair = 2,
    strides: Pair | None = None,
    padding: Padding = "valid",
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Concrete:
    """The gradient of `max_pool2d`: each dy goes to the place its index names, and adds up there.

    Args:
        dy: (N, OH, OW, C).
        index: (N, OH, OW, C), int32, as `max_pool2d` returned it.
        x_shape: (N, H, W, C).
        pool_size: as given to `max_pool2d`, like all that follow.
        strides: see `pool_size`.
        padding: see `pool_size`.
        dilation: see `pool_size`.
        ceil_mode: see `pool_size`.

    Returns:
        dx (N, H, W, C).

    Raises:
        TypeError: where dy is not float32 or float64, or index not int32.
        ValueError: where shapes do not fit, or an index points outside the image.
    """
    return _core.max_pool2d_backward(dy, index, x_shape, pool_size, strides, padding, dilation, ceil_mode)


def avg_pool2d(
    x: Array,
    pool_size: Pair = 2,
    strides: Pair | None = None,
    padding: Padding = "valid",
    count_include_pad: bool = False,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Means over windows.

    Args:
        x: (N, H, W, C).
        pool_size: the window, an int or (down, across).
        strides: an int or (down, across); None: the pool size.
        padding: as for `conv2d`.
        count_include_pad: True divides by the window's points inside the image and its padding, False by those
            inside the image.
        dilation: as for `max_pool2d`.
        ceil_mode: as for `max_pool2d`.

    Returns:
        (N, OH, OW, C).

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where x is not NHWC, a window does not fit, or has no point in the image.
    """
    if isinstance(x, Symbol):
        strides = pool_size if strides is None else strides
        node = x.trace.graph.avg_pool2d(
            x.node, pool_size, strides, padding, count_include_pad, dilation, ceil_mode
        )
        return x.derive(node, within=bounds.joined([(0.0, 0.0), x.bounds]))  # points of the padding are 0
    return _core.avg_pool2d(x, pool_size, strides, padding, count_include_pad, dilation, ceil_mode)


def avg_pool2d_backward(
    dy: Concrete,
    x_shape: Sequence[int],
    pool_size: Pair = 2,
    strides: Pair | None = None,
    padding: Padding = "valid",
    count_include_pad: bool = False,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Concrete:
    """The gradient of `avg_pool2d`: dx of x_shape, from dy (N, OH, OW, C) and the same settings.

    Raises:
        TypeError: where dy is not float32 or float64.
        ValueError: where shapes do not fit.
    """
    return _core.avg_pool2d_backward(
        dy, x_shape, pool_size, strides, padding, count_include_pad, dilation, ceil_mode
    )


def global_avg_pool2d(x: Array) -> Array:
    """Means over whole images: x (N, H, W, C) -> (N, C).

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where x is not NHWC.
    """
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.global_avg_pool2d(x.node), within=x.bounds)
    return _core.global_avg_pool2d(x)


def global_avg_pool2d_backward(dy: Concrete, x_shape: Sequence[int]) -> Concrete:
    """The gradient of `global_avg_pool2d`: dx of x_shape, dy (N, C) / (H * W) at every point."""
    return _core.global_avg_pool2d_backward(dy, x_shape)


def global_max_pool2d(x: Array) -> Array:
    """Maxima over whole images: x (N, H, W, C) -> (N, C). NaN wins over everything.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where x is not NHWC.
    """
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.global_max_pool2d(x.node), within=x.bounds)
    return _core.global_max_pool2d(x)


def global_max_pool2d_backward(dy: Concrete, x: Concrete) -> Concrete:
    """The gradient of `global_max_pool2d`: dx (N, H, W, C) is dy (N, C) at the first maximum of x, else 0.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit.
    """
    return _core.global_max_pool2d_backward(dy, x)


def upsample2d(x: Array, size: Pair = 2, interpolation: Interpolation = "nearest") -> Array:
    """Images made larger by whole factors: x (N, H, W, C) -> (N, H * size, W * size, C).

    Args:
        x: (N, H, W, C).
        size: the factors, an int or (down, across).
        interpolation: "nearest" repeats each point; "bilinear" goes straight from one point's centre to the next
            one's, points being squares with the centre at half their width, and is constant beyond the outermost
            centres, as in Keras and PyTorch (align_corners=False).

    Returns:
        (N, H * size, W * size, C).

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where x is not NHWC, a factor is below 1, or the interpolation is not known.
    """
    if isinstance(x, Symbol):
        return x.derive(x.trace.graph.upsample2d(x.node, size, interpolation), within=x.bounds)
    return _core.upsample2d(x, size, interpolation)


def upsample2d_backward(dy: Concrete, size: Pair = 2, interpolation: Interpolation = "nearest") -> Concrete:
    """The gradient of `upsample2d`: dx (N, H, W, C) from dy (N, H * size, W * size, C) and the same settings.

    Raises:
        TypeError: where dy is not float32 or float64.
        ValueError: where dy's height and width are no multiples of `size`, or the interpolation is not known.
    """
    return _core.upsample2d_backward(dy, size, interpolation)
