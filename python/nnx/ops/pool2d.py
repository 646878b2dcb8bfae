"""Max, average and global average pooling, NHWC."""

from __future__ import annotations

from collections.abc import Sequence

from nnx import _core
from nnx._types import Padding, Pair
from nnx.graph import bounds
from nnx.graph.symbol import Symbol
from nnx.ops._types import Array, Concrete


def max_pool2d(
    x: Array, pool_size: Pair = 2, strides: Pair | None = None, padding: Padding = "valid"
) -> tuple[Array, Array | None]:
    """Maxima over windows. Padding never wins, of equals the first does, NaN wins over everything.

    Args:
        x: (N, H, W, C).
        pool_size: the window, an int or (down, across).
        strides: an int or (down, across); None: the pool size.
        padding: as for `conv2d`.

    Returns:
        y (N, OH, OW, C), and index (N, OH, OW, C), int32: ih * W + iw of each maximum; None for a Symbol.

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where x is not NHWC, a window does not fit, or sees padding alone.
    """
    if isinstance(x, Symbol):
        strides = pool_size if strides is None else strides
        node = x.trace.graph.max_pool2d(x.node, pool_size, strides, padding)
        return x.derive(node, within=x.bounds), None
    return _core.max_pool2d(x, pool_size, strides, padding)


def max_pool2d_backward(
    dy: Concrete,
    index: Concrete,
    x_shape: Sequence[int],
    pool_size: Pair = 2,
    strides: Pair | None = None,
    padding: Padding = "valid",
) -> Concrete:
    """The gradient of `max_pool2d`: each dy goes to the place its index names, and adds up there.

    Args:
        dy: (N, OH, OW, C).
        index: (N, OH, OW, C), int32, as `max_pool2d` returned it.
        x_shape: (N, H, W, C).
        pool_size: as given to `max_pool2d`, like `strides` and `padding`.
        strides: see `pool_size`.
        padding: see `pool_size`.

    Returns:
        dx (N, H, W, C).

    Raises:
        TypeError: where dy is not float32 or float64, or index not int32.
        ValueError: where shapes do not fit, or an index points outside the image.
    """
    return _core.max_pool2d_backward(dy, index, x_shape, pool_size, strides, padding)


def avg_pool2d(
    x: Array,
    pool_size: Pair = 2,
    strides: Pair | None = None,
    padding: Padding = "valid",
    count_include_pad: bool = False,
) -> Array:
    """Means over windows.

    Args:
        x: (N, H, W, C).
        pool_size: the window, an int or (down, across).
        strides: an int or (down, across); None: the pool size.
        padding: as for `conv2d`.
        count_include_pad: True divides by the window's size, False by its points inside the image.

    Returns:
        (N, OH, OW, C).

    Raises:
        TypeError: where x is not float32 or float64.
        ValueError: where x is not NHWC or a window does not fit.
    """
    if isinstance(x, Symbol):
        strides = pool_size if strides is None else strides
        node = x.trace.graph.avg_pool2d(x.node, pool_size, strides, padding, count_include_pad)
        return x.derive(node, within=bounds.joined([(0.0, 0.0), x.bounds]))  # points of the padding are 0
    return _core.avg_pool2d(x, pool_size, strides, padding, count_include_pad)


def avg_pool2d_backward(
    dy: Concrete,
    x_shape: Sequence[int],
    pool_size: Pair = 2,
    strides: Pair | None = None,
    padding: Padding = "valid",
    count_include_pad: bool = False,
) -> Concrete:
    """The gradient of `avg_pool2d`: dx of x_shape, from dy (N, OH, OW, C) and the same settings.

    Raises:
        TypeError: where dy is not float32 or float64.
        ValueError: where shapes do not fit.
    """
    return _core.avg_pool2d_backward(dy, x_shape, pool_size, strides, padding, count_include_pad)


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
