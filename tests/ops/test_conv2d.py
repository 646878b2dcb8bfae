import nnx
import numpy as np
import pytest
import reference
from harness import FILLS, FLOATS, check_close, check_sums, draw, expect_bad

NAMES = ("n", "h", "w", "c", "kh", "kw", "o", "strides", "padding", "dilation", "groups")


def case(n, h, w, c, kh, kw, o, strides=1, padding="valid", dilation=1, groups=1):
    return (n, h, w, c), (kh, kw, c // groups, o), {
        "strides": strides, "padding": padding, "dilation": dilation, "groups": groups,
    }  # fmt: skip


# What networks are made of, in small; and what kernels may treat as special.
NAMED = {
    "one of everything": case(1, 1, 1, 1, 1, 1, 1),
    "lenet 1": case(2, 28, 28, 1, 5, 5, 6, padding="same"),
    "lenet 2": case(2, 14, 14, 6, 5, 5, 16),
    "alexnet 1": case(1, 59, 59, 3, 11, 11, 32, strides=4),
    "alexnet 2": case(1, 13, 13, 32, 5, 5, 48, padding=2, groups=2),
    "alexnet 3": case(2, 9, 9, 32, 3, 3, 40, padding=1),
    "1x1": case(2, 7, 5, 33, 1, 1, 17),
    "1x1 strided": case(2, 8, 9, 16, 1, 1, 35, strides=2),
    "1x1 padded": case(2, 4, 4, 8, 1, 1, 8, padding=1),
    "depthwise": case(2, 9, 8, 12, 3, 3, 12, padding="same", groups=12),
    "depthwise, strides": case(3, 11, 12, 37, 3, 4, 37, strides=(2, 3), padding=((2, 1), (0, 3)), groups=37),
    "depthwise, dilation": case(2, 9, 14, 64, 3, 3, 64, dilation=(2, 3), padding=4, groups=64),
    "depthwise, strides beyond the kernel": case(1, 11, 9, 3, 2, 1, 3, strides=3, padding=1, groups=3),
    "depthwise, small image": case(2, 2, 1, 5, 3, 3, 5, padding=3, groups=5),
    "depthwise, split": case(4, 20, 20, 48, 3, 3, 48, padding="same", groups=48),
    "depthwise multiplier 2": case(1, 7, 7, 6, 3, 3, 12, padding=1, groups=6),
    "groups of odd size": case(2, 6, 6, 15, 3, 3, 21, padding="same", groups=3),
    "one channel in": case(3, 10, 11, 1, 3, 3, 33, padding=1),
    "one channel in, dilated": case(2, 9, 13, 1, 3, 2, 7, (2, 1), ((1, 2), (0, 3)), (1, 2)),
    "one channel in, wide": case(1, 4, 300, 1, 2, 5, 18, padding="same"),
    "three channels in": case(2, 12, 13, 3, 3, 3, 64, strides=2, padding="same"),
    "many channels": case(1, 5, 5, 257, 3, 3, 70, padding=1),
    "reduction past a block": case(1, 6, 6, 64, 3, 3, 31, padding="same"),
    "row kernel": case(2, 6, 17, 4, 1, 7, 8, padding="same"),
    "column kernel": case(2, 17, 6, 4, 7, 1, 8, padding="same"),
    "kernel as large as the image": case(4, 5, 6, 7, 5, 6, 9),
    "kernel larger than the image": case(2, 3, 3, 4, 5, 5, 6, padding=2),
    "stride larger than the kernel": case(2, 11, 10, 5, 2, 2, 7, strides=(4, 3)),
    "dilated": case(2, 13, 12, 6, 3, 3, 10, padding="same", dilation=(2, 3)),
    "dilated and strided": case(2, 14, 15, 4, 3, 2, 6, strides=(2, 3), padding=((2, 1), (3, 0)), dilation=2),
    "uneven padding": case(2, 8, 7, 5, 3, 4, 9, padding=((0, 2), (3, 1))),
    "padding wider than the kernel": case(1, 4, 4, 3, 2, 2, 5, padding=((3, 4), (2, 5))),
    "same with stride": case(2, 10, 9, 4, 4, 3, 8, strides=3, padding="same"),
    "empty batch": case(0, 6, 6, 3, 3, 3, 4, padding="same"),
    "wide rows": case(1, 3, 70, 9, 3, 3, 16, padding=1),
    "rows longer than a block": case(1, 2, 600, 9, 2, 3, 5, padding=1),
    "rows longer than a block, few channels": case(1, 3, 530, 2, 3, 3, 6, strides=(1, 2)),
    "channels longer than a block": case(1, 3, 4, 520, 2, 2, 9, padding=((1, 0), (0, 1))),
    "filters longer than a block": case(1, 3, 4, 5, 2, 2, 600, padding="same"),
    "more taps than a block": case(1, 12, 12, 10, 9, 9, 7, padding=2),
    "more taps than a block, depthwise": case(1, 12, 12, 9, 9, 9, 9, padding="same", groups=9),
    "many output pixels": case(3, 40, 40, 3, 3, 3, 5),
    "many output pixels, split": case(2, 40, 40, 12, 3, 3, 8, padding=1),
    "batch of many": case(33, 4, 4, 2, 3, 3, 5, padding=1),
    # Windows of 3x3 and 5x5 and many points, where float32 goes by Winograd's transforms
    "tiles": case(2, 14, 16, 32, 3, 3, 64, padding=1),
    "tiles of odd images": case(3, 13, 11, 24, 3, 3, 40, padding="same"),
    "tiles of one row": case(6, 3, 20, 9, 3, 3, 10),
    "tiles of one column": case(6, 20, 2, 16, 3, 3, 32, padding=((0, 0), (1, 0))),
    "tiles of one point": case(50, 3, 3, 16, 3, 3, 33),
    "tiles without padding": case(2, 15, 12, 33, 3, 3, 17),
    "tiles with wide padding": case(1, 14, 11, 9, 3, 3, 70, padding=((2, 3), (4, 0))),
    "tiles of many channels": case(1, 14, 14, 200, 3, 3, 130, padding=1),
    "tiles of most channels": case(3, 7, 7, 512, 3, 3, 16, padding=1),
    "tiles of most filters": case(3, 7, 7, 16, 3, 3, 512, padding=1),
    "tiles of too many channels": case(3, 7, 7, 513, 3, 3, 8, padding=1),
    "tiles, their sums split": case(5, 30, 29, 16, 3, 3, 20, padding=1),
    "wide tiles": case(2, 14, 16, 32, 5, 5, 64, padding=2),
    "wide tiles of odd images": case(3, 13, 11, 24, 5, 5, 40, padding="same"),
    "wide tiles of one row": case(12, 5, 20, 9, 5, 5, 10),
    "wide tiles of one column": case(12, 20, 2, 16, 5, 5, 32, padding=((0, 0), (3, 0))),
    "wide tiles of one point": case(100, 5, 5, 16, 5, 5, 33),
    "wide tiles, images smaller than a patch": case(33, 3, 2, 17, 5, 5, 31, padding=((1, 3), (4, 2))),
    "wide tiles without padding": case(3, 17, 14, 33, 5, 5, 17),
    "wide tiles with wide padding": case(2, 14, 11, 9, 5, 5, 70, padding=((4, 3), (6, 0))),
    "wide tiles of many channels": case(2, 14, 14, 200, 5, 5, 130, padding=2),
    "wide tiles of most channels": case(6, 7, 7, 512, 5, 5, 16, padding=2),
    "wide tiles of most filters": case(6, 7, 7, 16, 5, 5, 512, padding=2),
    "wide tiles, their sums split": case(5, 30, 29, 16, 5, 5, 20, padding=2),
}


def drawn(rng):
    """Shapes, strides, padding, dilation and groups at random."""
    kernel, strides, dilation = rng.integers(1, 5, 2), rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    kind = rng.choice(["valid", "same", "int", "pair", "four"])
    around = rng.integers(0, 4, (2, 2))
    padding = {
        "valid": "valid", "same": "same", "int": int(around[0, 0]), "pair": tuple(int(p) for p in around[0]),
        "four": tuple(tuple(int(p) for p in side) for side in around),
    }[str(kind)]  # fmt: skip
    size = (kernel - 1) * dilation + 1 + rng.integers(0, 12, 2)
    n, c, o = int(rng.integers(1, 4)), int(rng.integers(1, 20)) * groups, int(rng.integers(1, 24)) * groups
    strides = tuple(int(s) for s in strides)
    return case(n, *(int(s) for s in size), c, *(int(k) for k in kernel), o, strides, padding,
                tuple(int(d) for d in dilation), groups)  # fmt: skip


def check(run, rng, x_shape, w_shape, options, dtype, fill):
    x, w, b = (draw(rng, s, dtype, fill) for s in (x_shape, w_shape, w_shape[-1:]))
    what = f"x {x_shape}, w {w_shape}, {options}"
    y = reference.conv2d(x, w, b, **options)
    dy = draw(rng, y.shape, dtype, fill)
    got = run.conv2d(x, w, b, **options), *run.conv2d_backward(dy, x, w, **options)
    want = y, *reference.conv2d_backward(dy, x, w, **options)
    ax, aw, ab, ady = np.abs(x), np.abs(w), np.abs(b), np.abs(dy)
    magnitude = reference.conv2d(ax, aw, ab, **options), *reference.conv2d_backward(ady, ax, aw, **options)
    for name, *values in zip(("y", "dx", "dw", "db"), got, want, magnitude, strict=True):
        check_sums(*values[:2], fill, f"{name} of {what}", values[2])
        assert values[0].dtype == x.dtype


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", NAMED)
def test_named_shapes(run, rng, name, dtype, fill):
    check(run, rng, *NAMED[name], dtype, fill)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("part", range(4))
def test_drawn_shapes(run, rng, part, dtype, fill):
    for _ in range(20):
        check(run, rng, *drawn(rng), dtype, fill)


@pytest.mark.parametrize("fill", FILLS)
def test_every_remainder_of_channels(run, rng, fill):
    for c in (1, 2, 3, 5, 8):
        for o in range(1, 36):
            check(run, rng, *case(1, 5, 4 + o % 5, c, 3, 3, o, padding=1), "float32", fill)
    for c in range(1, 36):
        check(run, rng, *case(1, 4, 5, c, 2, 3, 5), "float32", fill)


@pytest.mark.parametrize("fill", FILLS)
def test_every_remainder_of_channels_of_tiles(run, rng, fill):
    for c in range(8, 36):
        check(run, rng, *case(3, 7, 8, c, 3, 3, 43 - c, padding=1), "float32", fill)
        check(run, rng, *case(6, 7, 8, 43 - c, 5, 5, c, padding=2), "float32", fill)


@pytest.mark.parametrize("fill", FILLS)
def test_every_padding_of_tiles(run, rng, fill):
    for top, left in np.ndindex(4, 4):
        padding = ((top, (left + 1) % 3), (left, (2 * top) % 3))
        check(run, rng, *case(2, 12 + top, 15 - left, 8, 3, 3, 9, padding=padding), "float32", fill)


@pytest.mark.parametrize("fill", FILLS)
def test_every_padding_of_wide_tiles(run, rng, fill):
    for top, left in np.ndindex(5, 5):
        padding = ((top, (left + 1) % 5), (left, (2 * top) % 5))
        check(run, rng, *case(4, 13 + top, 16 - left, 9, 5, 5, 8, padding=padding), "float32", fill)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "activation", ["step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"]
)
def test_fused_activation(run, rng, activation, dtype):
    for name in (
        "lenet 1",
        "1x1",
        "depthwise",
        "groups of odd size",
        "dilated and strided",
        "tiles of odd images",
        "tiles",
        "wide tiles of one row",
        "wide tiles, images smaller than a patch",
    ):
        x_shape, w_shape, options = NAMED[name]
        x, w, b = draw(rng, x_shape, dtype), draw(rng, w_shape, dtype) / 8, draw(rng, w_shape[-1:], dtype)
        fused = run.conv2d(x, w, b, activation=activation, **options)
        np.testing.assert_array_equal(fused, getattr(run, activation)(run.conv2d(x, w, b, **options)))
        if activation != "step":
            check_close(fused, reference.conv2d(x, w, b, activation=activation, **options), 32)


def test_without_bias(run, rng):
    x, w = draw(rng, (2, 6, 6, 3), fill="integers"), draw(rng, (3, 3, 3, 20), fill="integers")
    np.testing.assert_array_equal(run.conv2d(x, w), reference.conv2d(x, w))
    np.testing.assert_array_equal(
        run.conv2d(x, w, None, activation="relu"), reference.conv2d(x, w, activation="relu")
    )


def test_gradient_of_the_input_is_optional(run, rng):
    x, w, dy = draw(rng, (2, 6, 5, 3)), draw(rng, (3, 3, 3, 4)), draw(rng, (2, 4, 3, 4))
    dx, dw, db = run.conv2d_backward(dy, x, w, need_dx=False)
    assert dx is None
    for got, want in zip((dw, db), run.conv2d_backward(dy, x, w)[1:], strict=True):
        np.testing.assert_array_equal(got, want)


def test_zero_padding_next_to_infinity(run):
    """Padding is left out or is a zero: never a zero times a neighbour's infinity."""
    x = np.ones((1, 3, 3, 2), np.float32)
    w = np.ones((3, 3, 2, 5), np.float32)
    w[0] = np.inf  # the top row of taps meets padding in the first output row
    y = run.conv2d(x[:, 1:], w[1:], padding=((0, 1), (1, 1)))
    assert np.isfinite(y).all()


def test_nan_stays_in_its_window(run, rng):
    x, w = draw(rng, (2, 7, 7, 3)), draw(rng, (3, 3, 3, 18))
    x[1, 3, 3, 1] = np.nan
    touched = np.zeros((2, 7, 7, 18), bool)
    touched[1, 2:5, 2:5] = True
    np.testing.assert_array_equal(np.isnan(run.conv2d(x, w, padding="same")), touched)


def test_nan_stays_in_its_tiles(run, rng):
    """By Winograd's transforms it spreads over the tiles of 2x2 points that it touches, and no further."""
    for size, reach in ((3, np.s_[1, 6:10, 4:8]), (5, np.s_[1, 4:10, 4:10])):
        x, w = draw(rng, (2, 15, 14, 16)), draw(rng, (size, size, 16, 18))
        x[1, 7, 6, 11] = np.nan
        window, tiles = np.zeros((2, 2, 15, 14, 18), bool)
        around = size // 2
        window[1, 7 - around : 8 + around, 6 - around : 7 + around] = True
        tiles[reach] = True
        found = np.isnan(run.conv2d(x, w, padding="same"))
        assert not np.any(window & ~found)
        assert not np.any(found & ~tiles)


def test_non_contiguous_arguments(rng):
    x = draw(rng, (2, 3, 8, 9), fill="integers").transpose(0, 2, 3, 1)
    w = draw(rng, (12, 3, 3, 3), fill="integers").transpose(2, 3, 1, 0)
    dy = draw(rng, (2, 12, 6, 7), fill="integers").transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(nnx.ops.conv2d(x, w), reference.conv2d(x, w))
    for got, want in zip(nnx.ops.conv2d_backward(dy, x, w), reference.conv2d_backward(dy, x, w), strict=True):
        np.testing.assert_array_equal(got, want)


def transposed(n, h, w, c, kh, kw, o, **options):
    return (n, h, w, c), (kh, kw, o, c), options


TRANSPOSED = {
    "one of everything": transposed(1, 1, 1, 1, 1, 1, 1),
    "plain": transposed(2, 5, 4, 3, 3, 3, 6),
    "doubling": transposed(2, 7, 7, 16, 4, 4, 8, strides=2, padding="same"),
    "doubling by 3x3": transposed(2, 6, 5, 9, 3, 3, 17, strides=2, padding="same"),
    "doubling by 2x2": transposed(3, 5, 6, 12, 2, 2, 20, strides=2),
    "window smaller than the stride": transposed(2, 4, 5, 5, 1, 2, 7, strides=(2, 3)),
    "window smaller than the stride, same": transposed(2, 4, 5, 5, 1, 2, 7, strides=(2, 3), padding="same"),
    "output padding": transposed(2, 4, 3, 4, 3, 2, 5, strides=(2, 3), output_padding=(1, 2)),
    "output padding, same": transposed(1, 4, 5, 6, 5, 3, 8, strides=2, padding="same", output_padding=1),
    "output padding of 0, same": transposed(1, 4, 5, 6, 4, 3, 8, strides=3, padding="same", output_padding=0),
    "padded": transposed(2, 6, 6, 5, 4, 4, 9, strides=2, padding=1),
    "padded unevenly": transposed(
        2, 5, 6, 4, 3, 4, 7, strides=(1, 2), padding=((0, 2), (3, 1)), output_padding=0
    ),
    "padded, output padding": transposed(2, 5, 4, 3, 3, 3, 6, strides=2, padding=1, output_padding=1),
    "dilated": transposed(2, 5, 6, 4, 3, 2, 10, dilation=(2, 3)),
    "dilated, same": transposed(1, 6, 5, 7, 3, 3, 6, padding="same", dilation=2),
    "dilated and strided": transposed(1, 4, 4, 3, 3, 3, 5, strides=2, padding="same", dilation=2),
    "1x1": transposed(2, 7, 5, 33, 1, 1, 17),
    "one channel out": transposed(2, 9, 9, 32, 3, 3, 1, padding="same"),
    "one channel in": transposed(2, 9, 9, 1, 3, 3, 32, padding="same"),
    "tiles": transposed(3, 13, 14, 32, 3, 3, 24, padding="same"),
    "wide tiles": transposed(6, 9, 12, 20, 5, 5, 24, padding="same"),
    "many channels": transposed(1, 4, 4, 300, 3, 3, 70, strides=2, padding="same"),
    "empty batch": transposed(0, 4, 4, 3, 3, 3, 5, strides=2),
}


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed(run, rng, name, dtype, fill):
    x_shape, w_shape, options = TRANSPOSED[name]
    x, w, b = (draw(rng, s, dtype, fill) for s in (x_shape, w_shape, w_shape[2:3]))
    y = reference.conv2d_transpose(x, w, b, **options)
    dy = draw(rng, y.shape, dtype, fill)
    got = run.conv2d_transpose(x, w, b, **options), *run.conv2d_transpose_backward(dy, x, w, **options)
    want = y, *reference.conv2d_transpose_backward(dy, x, w, **options)
    ax, aw, ab, ady = np.abs(x), np.abs(w), np.abs(b), np.abs(dy)
    magnitude = (
        reference.conv2d_transpose(ax, aw, ab, **options),
        *reference.conv2d_transpose_backward(ady, ax, aw, **options),
    )
    for part, *values in zip(("y", "dx", "dw", "db"), got, want, magnitude, strict=True):
        check_sums(*values[:2], fill, f"{part} of {name}", values[2])
        assert values[0].dtype == x.dtype


def test_sizes_of_transposed():
    """Keras's rules for "valid" and "same", PyTorch's for numbers."""
    for size, kernel, stride, dilation, padding, extra, want in (
        (4, 3, 1, 1, "valid", None, 6), (4, 3, 2, 1, "valid", None, 9), (4, 1, 2, 1, "valid", None, 8),
        (4, 3, 2, 1, "valid", 0, 9), (4, 3, 2, 1, "valid", 1, 10), (4, 1, 3, 1, "valid", 0, 10),
        (4, 3, 1, 2, "valid", None, 8), (4, 3, 2, 1, "same", None, 8), (4, 4, 3, 1, "same", None, 12),
        (4, 3, 2, 1, "same", 0, 7), (4, 4, 2, 1, "same", 1, 7), (4, 3, 2, 1, 1, None, 7), (4, 3, 2, 1, 1, 1, 8),
        (5, 4, 2, 1, (1, 1), None, 10),
    ):  # fmt: skip
        x, w = zeros(1, size, size, 1), zeros(kernel, kernel, 2, 1)
        y = nnx.ops.conv2d_transpose(x, w, None, stride, padding, extra, dilation)
        assert y.shape == (1, want, want, 2), (size, kernel, stride, dilation, padding, extra)


def test_transposed_is_the_gradient_of_a_convolution(run, rng):
    for size, kernel, stride in ((8, 3, 2), (9, 4, 2), (12, 3, 1), (9, 5, 3)):
        x, w = draw(rng, (2, size, size, 4)), draw(rng, (kernel, kernel, 4, 6))
        dy = draw(rng, (2, -(-size // stride), -(-size // stride), 6))
        dx = run.conv2d_backward(dy, x, w, stride, "same")[0]
        got = run.conv2d_transpose(dy, w, None, stride, "same")
        np.testing.assert_array_equal(got[:, :size, :size] if size % stride == 0 else dx, dx)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"])
def test_transposed_with_activation(run, rng, activation):
    x, w, b = draw(rng, (2, 4, 5, 6)), draw(rng, (3, 3, 7, 6)) / 8, draw(rng, 7)
    y = run.conv2d_transpose(x, w, b, 2, "same")
    got = run.conv2d_transpose(x, w, b, 2, "same", activation=activation)
    np.testing.assert_array_equal(got, getattr(run, activation)(y))
    np.testing.assert_array_equal(
        run.conv2d_transpose(x, w, None, 2, activation=activation),
        getattr(run, activation)(run.conv2d_transpose(x, w, None, 2)),
    )


def test_gradient_of_the_input_of_transposed_is_optional(run, rng):
    x, w, dy = draw(rng, (2, 4, 3, 3)), draw(rng, (3, 3, 5, 3)), draw(rng, (2, 6, 5, 5))
    assert run.conv2d_transpose_backward(dy, x, w, need_dx=False)[0] is None


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


X, W = zeros(2, 6, 5, 4), zeros(3, 3, 4, 8)


def conv(x=X, w=W, *args, **options):
    return lambda: nnx.ops.conv2d(x, w, *args, **options)


V = zeros(3, 3, 8, 4)


def transpose(x=X, w=V, *args, **options):
    return lambda: nnx.ops.conv2d_transpose(x, w, *args, **options)


BAD = {
    "transposed x rank": (transpose(zeros(6, 5, 4)), ValueError, "x", r"\(N, H, W, C\)", r"\(6, 5, 4\)"),
    "transposed w rank": (transpose(w=zeros(3, 8, 4)), ValueError, "w", r"\(KH, KW, O, C\)", r"\(3, 8, 4\)"),
    "transposed channels": (transpose(w=zeros(3, 3, 4, 8)), ValueError, "w", r"\(KH, KW, O, 4\)", r"\(3, 3, 4, 8\)"),
    "transposed b": (transpose(X, V, zeros(4)), ValueError, "b", r"\(8,\)", r"\(4,\)"),
    "transposed stride": (transpose(strides=0), ValueError, "strides", "1", "0"),
    "transposed dilation": (transpose(dilation=(1, 0)), ValueError, "dilation", "1", "0"),
    "transposed padding": (transpose(padding="full"), ValueError, "padding", "valid", "full"),
    "transposed negative padding": (transpose(padding=-1), ValueError, "padding", "0", "-1"),
    "transposed away": (transpose(padding=4), ValueError, "padding", "fewer than the 8 points", r"4 \+ 4"),
    "output padding": (transpose(strides=2, output_padding=2), ValueError, "output_padding", r"below the strides \(2, 2\)", r"\(2, 2\)"),
    "negative output padding": (transpose(strides=2, output_padding=(0, -1)), ValueError, "output_padding", "0", "-1"),
    "transposed integers": (transpose(X.astype("int64")), TypeError, "x", "float", "int64"),
    "transposed mixed": (transpose(w=V.astype("float64")), TypeError, "w", "float32", "float64"),
    "transposed activation": (transpose(activation="swash"), ValueError, "activation", "relu", "swash"),
    "transposed dy": (lambda: nnx.ops.conv2d_transpose_backward(zeros(2, 4, 4, 8), X, V), ValueError, "dy", r"\(2, 8, 7, 8\)", r"\(2, 4, 4, 8\)"),
    "transposed, too large": (transpose(zeros(1, 40000, 1, 4), strides=(1000, 1000)), ValueError, "padding", "2\\^30", ""),
    "x rank": (conv(zeros(6, 5, 4)), ValueError, "x", r"\(N, H, W, C\)", r"\(6, 5, 4\)"),
    "w rank": (conv(w=zeros(3, 3, 8)), ValueError, "w", r"\(KH, KW, C", r"\(3, 3, 8\)"),
    "channels": (conv(w=zeros(3, 3, 3, 8)), ValueError, "w", "4", r"\(3, 3, 3, 8\)"),
    "channels of a group": (conv(w=zeros(3, 3, 4, 8), groups=2), ValueError, "w", "2", r"\(3, 3, 4, 8\)"),
    "groups do not divide channels": (conv(w=zeros(3, 3, 1, 9), groups=3), ValueError, "groups", "4", "3"),
    "groups do not divide filters": (conv(w=zeros(3, 3, 2, 7), groups=2), ValueError, "(groups|w)", "", "(2|7)"),
    "no groups": (conv(groups=0), ValueError, "groups", "1", "0"),
    "negative groups": (conv(groups=-2), ValueError, "groups", "1", "-2"),
    "b": (conv(X, W, zeros(4)), ValueError, "b", r"\(8,\)", r"\(4,\)"),
    "stride 0": (conv(strides=0), ValueError, "strides", "1", "0"),
    "stride -1": (conv(strides=(1, -1)), ValueError, "strides", "1", "-1"),
    "three strides": (conv(strides=(1, 1, 1)), ValueError, "strides", "pair", ""),
    "strides of text": (conv(strides="two"), TypeError, "strides", "an integer", "str"),
    "strides of a fraction": (conv(strides=1.5), TypeError, "strides", "an integer", "float"),
    "dilation 0": (conv(dilation=0), ValueError, "dilation", "1", "0"),
    "padding by name": (conv(padding="half"), ValueError, "padding", "valid", "half"),
    "negative padding": (conv(padding=-1), ValueError, "padding", "0", "-1"),
    "padding of three": (conv(padding=(1, 1, 1)), ValueError, "padding", "", ""),
    "kernel larger than the image": (conv(w=zeros(7, 3, 4, 8)), ValueError, "(w|x|padding)", "", ""),
    "dilated kernel larger than the image": (conv(dilation=4), ValueError, "(w|x|dilation|padding)", "", ""),
    "empty kernel": (conv(w=zeros(0, 3, 4, 8)), ValueError, "w", "1", r"\(0, 3, 4, 8\)"),
    "no channels": (conv(zeros(2, 6, 5, 0), zeros(3, 3, 0, 8)), ValueError, "[xw]", "1", ""),
    "integers": (conv(X.astype("int64")), TypeError, "x", "float", "int64"),
    "mixed": (conv(w=W.astype("float64")), TypeError, "w", "float32", "float64"),
    "activation": (conv(activation="swash"), ValueError, "activation", "relu", "swash"),
    "huge padding": (conv(padding=2**62), ValueError, "padding", "", "4611686018427387904"),
    "dy": (lambda: nnx.ops.conv2d_backward(zeros(2, 4, 4, 8), X, W), ValueError, "dy", r"\(2, 4, 3, 8\)", r"\(2, 4, 4, 8\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    expect_bad(*BAD[name])
