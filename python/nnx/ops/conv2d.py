"""Two-dimensional convolution, NHWC (cross-correlation, as is usual in neural networks)."""

from __future__ import annotations

from nnx import _core
from nnx._types import Operand, Padding, Pair
from nnx.graph.symbol import Symbol
from nnx.ops._types import Array, Concrete
from nnx.ops.activation import fused, our_name


def conv2d(
    x: Array,
    w: Operand,
    b: Operand = None,
    strides: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    """activation(x * w + b): y[n,i,j,o] = b[o] + sum over p,q,c of x[n, i*s + p*d, j*s + q*d, c] w[p,q,c,o].

    Args:
        x: (N, H, W, C).
        w: (KH, KW, C / groups, O).
        b: (O,), or None for no bias.
        strides: an int or (down, across).
        padding: "valid" (none), "same" (output ceil(H / stride), the odd point at the end), an int, (ph, pw),
            or ((top, bottom), (left, right)).
        dilation: distance between the window's points, an int or (down, across).
        groups: the channels and outputs are cut into this many groups that do not see each other.
        activation: as for `dense`.

    Returns:
        (N, OH, OW, O), OH = floor((H + padding - dilation * (KH - 1) - 1) / stride) + 1.

    Note:
        On the CPU windows of 3x3 and 5x5 with stride 1, without dilation or groups, go by Winograd's transforms in
        float32 where that is faster: 8 to 512 channels in and out, and 48 (5x5: 96) or more tiles of 2x2 output
        points in the batch; so do their gradients. The rounding error is then up to 1.8 times as large (relative to
        the result, some 7.5e-7 at 512 channels); sums of whole numbers stay exact below 2^22, with 5x5 windows below
        2^20. A NaN or infinity in x makes NaN of every output of the tiles it touches, not only of those whose windows
        hold it, and values within a factor of four, with 5x5 windows sixteen, of the largest float32 may overflow.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or a number is out of range.
    """
    if isinstance(x, Symbol):
        kind, alpha = fused(activation)
        weight, bias = x.parameter(w, "w"), x.parameter(b, "b")
        node = x.trace.graph.conv2d(x.node, weight, bias, strides, padding, dilation, groups, kind, alpha)
        return x.derive(node, kind)
    return _core.conv2d(x, w, b, strides, padding, dilation, groups, our_name(activation))


def conv2d_backward(
    dy: Concrete,
    x: Concrete,
    w: Operand,
    strides: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    groups: int = 1,
    need_dx: bool = True,
) -> tuple[Concrete | None, Concrete, Concrete]:
    """Gradients of `conv2d` without activation.

    Args:
        dy: (N, OH, OW, O).
        x: (N, H, W, C).
        w: (KH, KW, C / groups, O).
        strides: as given to `conv2d`, like `padding`, `dilation` and `groups`.
        padding: see `strides`.
        dilation: see `strides`.
        groups: see `strides`.
        need_dx: False leaves dx out (None).

    Returns:
        dx (N, H, W, C), dw (KH, KW, C / groups, O), db (O,).

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or a number is out of range.
    """
    return _core.conv2d_backward(dy, x, w, strides, padding, dilation, groups, need_dx)


def conv2d_transpose(
    x: Array,
    w: Operand,
    b: Operand = None,
    strides: Pair = 1,
    padding: Padding = "valid",
    output_padding: Pair | None = None,
    dilation: Pair = 1,
    activation: str | None = None,
) -> Array:
    """activation(y + b), y the gradient by its input of a `conv2d` whose output's gradient is x.

    Each point of x adds x[n,i,j,c] w[p,q,o,c] to y[n, i*s + p*d - top, j*s + q*d - left, o]. It is computed by the
    kernels of `conv2d_backward`, and its gradients by those of `conv2d`.

    Args:
        x: (N, H, W, C).
        w: (KH, KW, O, C): the filters of the convolution from O channels to C.
        b: (O,), or None for no bias.
        strides: an int or (down, across): how far the points of x lie apart in y.
        padding: what is cut off around: "valid", "same", an int, (ph, pw), or ((top, bottom), (left, right)).
        output_padding: points added behind, an int or (down, across), >= 0 and below the strides. None: 0, but for
            "valid" and "same", see below.
        dilation: distance between the window's points, an int or (down, across).
        activation: as for `dense`.

    Returns:
        (N, OH, OW, O). With K = dilation * (KH - 1) + 1, as in Keras: "valid": OH = (H - 1) * stride + K +
        output_padding, None: H * stride + max(K - stride, 0); "same": (H - 1) * stride + K % 2 + output_padding,
        None: H * stride, the odd point cut off at the end. Otherwise, as in PyTorch: (H - 1) * stride + K - top -
        bottom + output_padding.

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or a number is out of range.
    """
    if isinstance(x, Symbol):
        kind, alpha = fused(activation)
        graph = x.trace.graph
        weight, bias = x.parameter(w, "w"), x.parameter(b, "b")
        node = graph.conv2d_transpose(x.node, weight, bias, strides, padding, output_padding, dilation)
        if kind != "identity":
            node = graph.activation(node, kind, alpha)
        return x.derive(node, kind)
    return _core.conv2d_transpose(x, w, b, strides, padding, output_padding, dilation, activation)


def conv2d_transpose_backward(
    dy: Concrete,
    x: Concrete,
    w: Operand,
    strides: Pair = 1,
    padding: Padding = "valid",
    output_padding: Pair | None = None,
    dilation: Pair = 1,
    need_dx: bool = True,
) -> tuple[Concrete | None, Concrete, Concrete]:
    """Gradients of `conv2d_transpose` without activation.

    Args:
        dy: (N, OH, OW, O).
        x: (N, H, W, C).
        w: (KH, KW, O, C).
        strides: as given to `conv2d_transpose`, like `padding`, `output_padding` and `dilation`.
        padding: see `strides`.
        output_padding: see `strides`.
        dilation: see `strides`.
        need_dx: False leaves dx out (None).

    Returns:
        dx (N, H, W, C), dw (KH, KW, O, C), db (O,).

    Raises:
        TypeError: where a dtype is not float32 or float64, or dtypes are mixed.
        ValueError: where shapes do not fit, or a number is out of range.
    """
    return _core.conv2d_transpose_backward(dy, x, w, strides, padding, output_padding, dilation, need_dx)
