import nnx
import numpy as np
import pytest
import reference
from harness import FILLS, FLOATS, check_close, draw, expect_bad

OPTIONS = {
    "2x2": {},
    "2x2 same": {"padding": "same"},
    "2x2 padded behind": {"padding": ((0, 1), (0, 1))},
    "3x3 stride 2": {"pool_size": 3, "strides": 2},
    "overlapping": {"pool_size": 3, "strides": 1},
    "gaps": {"pool_size": 2, "strides": 3},
    "2x3": {"pool_size": (2, 3)},
    "same": {"pool_size": 3, "strides": 2, "padding": "same"},
    "same, even": {"pool_size": (4, 2), "strides": (3, 1), "padding": "same"},
    "padded": {"pool_size": 3, "strides": 2, "padding": 1},
    "padded unevenly": {"pool_size": (3, 4), "strides": (2, 3), "padding": ((1, 2), (0, 3))},
    "1x1": {"pool_size": 1},
    "ceil": {"ceil_mode": True},
    "ceil, 3x3": {"pool_size": 3, "strides": 2, "ceil_mode": True},
    "ceil, padded": {"pool_size": 3, "strides": 2, "padding": 1, "ceil_mode": True},
    "ceil, gaps": {"pool_size": 2, "strides": 3, "ceil_mode": True},
    "ceil, padded unevenly": {
        "pool_size": (4, 3), "strides": (3, 4), "padding": ((1, 2), (2, 1)), "ceil_mode": True,
    },
    "ceil, larger than the image": {"pool_size": (7, 8), "strides": 3, "ceil_mode": True},
    "dilated": {"dilation": 2},
    "dilated down": {"pool_size": 3, "strides": 1, "padding": ((2, 2), (1, 1)), "dilation": (2, 1)},
    "dilated across": {"pool_size": 3, "strides": 2, "padding": (1, 2), "dilation": (1, 2)},
    "dilated unevenly": {
        "pool_size": 3, "strides": (1, 2), "padding": ((1, 0), (2, 3)), "dilation": (2, 3),
    },
    "dilated, same": {"pool_size": (3, 2), "strides": (1, 2), "padding": "same", "dilation": (2, 3)},
    "dilated, ceil": {
        "pool_size": (3, 2), "strides": 2, "padding": ((2, 1), (1, 2)), "dilation": (2, 3), "ceil_mode": True,
    },
}  # fmt: skip
SHAPES = [(1, 7, 6, 1), (2, 9, 8, 3), (1, 6, 7, 17), (3, 8, 8, 32), (2, 5, 11, 70), (0, 8, 8, 3)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_max(run, rng, options, dtype):
    for shape in SHAPES:
        for fill in ("integers", "real"):  # whole numbers: many equals, of which the first must win
            x = draw(rng, shape, dtype, fill)
            y, index = run.max_pool2d(x, **options)
            want, wanted_index = reference.max_pool2d(x, **options)
            np.testing.assert_array_equal(y, want)
            np.testing.assert_array_equal(index, wanted_index)
            assert (y.dtype, index.dtype) == (x.dtype, np.int32)
            dy = draw(rng, y.shape, dtype, "integers")
            dx = run.max_pool2d_backward(dy, index, x.shape, **options)
            np.testing.assert_array_equal(dx, reference.max_pool2d_backward(dy, index, x.shape, **options))
            assert dx.dtype == x.dtype


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_average(run, rng, options, count_include_pad, dtype):
    for shape in SHAPES:
        x = draw(rng, shape, dtype)
        want = reference.avg_pool2d(x, count_include_pad=count_include_pad, **options)
        got = run.avg_pool2d(x, count_include_pad=count_include_pad, **options)
        check_close(got, want, 8)
        dy = draw(rng, want.shape, dtype)
        dx = run.avg_pool2d_backward(dy, shape, count_include_pad=count_include_pad, **options)
        check_close(
            dx, reference.avg_pool2d_backward(dy, shape, count_include_pad=count_include_pad, **options), 8
        )
        assert got.dtype == dx.dtype == x.dtype


@pytest.mark.parametrize("dtype", FLOATS)
def test_average_of_whole_numbers_is_exact(run, rng, dtype):
    x = draw(rng, (2, 8, 8, 33), dtype, "integers")
    np.testing.assert_array_equal(run.avg_pool2d(x), reference.avg_pool2d(x))
    np.testing.assert_array_equal(run.avg_pool2d(x, 4, 2), reference.avg_pool2d(x, 4, 2))
    np.testing.assert_array_equal(run.global_avg_pool2d(x), reference.global_avg_pool2d(x))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 7, 7, 33), (3, 1, 5, 64), (1, 40, 40, 5), (0, 4, 4, 3)])
def test_global_average(run, rng, shape, dtype):
    x = draw(rng, shape, dtype)
    check_close(run.global_avg_pool2d(x), reference.global_avg_pool2d(x), 16)
    dy = draw(rng, (shape[0], shape[3]), dtype)
    check_close(run.global_avg_pool2d_backward(dy, shape), reference.global_avg_pool2d_backward(dy, shape), 2)


@pytest.mark.parametrize("dtype", FLOATS)
def test_extreme_points(run, dtype):
    """NaN wins over everything and comes out at its place; a window of minus infinity has an index too."""
    x = np.full((1, 4, 4, 5), -np.inf, dtype)
    x[0, 1, 1, 1] = np.nan
    x[0, 0, 1, 2], x[0, 1, 0, 2] = np.inf, np.nan
    x[0, 1, 0, 3] = np.nan
    x[0, 1, 1, 3] = 9.0
    x[0, 2, 2] = -0.0
    x[0, 3, 3] = 0.0
    y, index = run.max_pool2d(x)
    want, wanted_index = reference.max_pool2d(x)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(index, wanted_index)
    lowest = np.full((2, 3, 3, 20), np.finfo(dtype).min, dtype)
    y, index = run.max_pool2d(lowest, 2, 2, padding=((1, 0), (1, 0)))
    np.testing.assert_array_equal(y, np.finfo(dtype).min)  # padding never wins
    np.testing.assert_array_equal(index, reference.max_pool2d(lowest, 2, 2, padding=((1, 0), (1, 0)))[1])


def test_overlapping_windows_add_up(run):
    x = np.zeros((1, 3, 3, 1), np.float32)
    x[0, 1, 1] = 1.0
    y, index = run.max_pool2d(x, 2, 1)
    dx = run.max_pool2d_backward(np.ones_like(y), index, x.shape, 2, 1)
    assert dx[0, 1, 1, 0] == 4.0
    assert dx.sum() == 4.0


def test_sizes_in_ceil_mode():
    """PyTorch's: a last window begins in front of the image's end, wherever the padding ends."""
    for size, pool, stride, padding, want in (
        (5, 2, 2, 0, 3), (6, 2, 2, 0, 3), (6, 3, 2, 0, 3), (7, 3, 2, 1, 4), (6, 2, 3, 0, 2), (9, 2, 3, 0, 3),
        (8, 2, 3, 1, 3), (4, 3, 4, 1, 2), (2, 3, 2, 0, 1), (5, 2, 4, 1, 2),
    ):  # fmt: skip
        x = np.zeros((1, size, size, 1), np.float32)
        shape = nnx.ops.max_pool2d(x, pool, stride, padding, ceil_mode=True)[0].shape
        assert shape == (1, want, want, 1), (size, pool, stride, padding)
        assert nnx.ops.avg_pool2d(x, pool, stride, padding, ceil_mode=True).shape == shape


def test_averages_in_ceil_mode(run):
    """Points beyond the padding do not count, with count_include_pad either; those inside it do."""
    x = np.ones((1, 5, 5, 1), np.float32)
    counted = run.avg_pool2d(x, 3, 2, 1, count_include_pad=True, ceil_mode=True)[0, :, :, 0]
    np.testing.assert_allclose(counted, np.outer(*[np.array([2, 3, 2]) / 3] * 2), rtol=1e-6)
    beyond = run.avg_pool2d(x, 2, 2, 0, count_include_pad=True, ceil_mode=True)
    np.testing.assert_array_equal(beyond, np.ones((1, 3, 3, 1)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (2, 7, 7, 33), (3, 1, 5, 64), (1, 40, 41, 5), (2, 3, 3, 130), (0, 4, 4, 3)]
)
@pytest.mark.parametrize("fill", FILLS)
def test_global_maximum(run, rng, shape, fill, dtype):
    x, dy = draw(rng, shape, dtype, fill), draw(rng, (shape[0], shape[3]), dtype)
    y, dx = run.global_max_pool2d(x), run.global_max_pool2d_backward(dy, x)
    np.testing.assert_array_equal(y, reference.global_max_pool2d(x))
    np.testing.assert_array_equal(dx, reference.global_max_pool2d_backward(dy, x))
    assert y.dtype == dx.dtype == x.dtype


@pytest.mark.parametrize("dtype", FLOATS)
def test_extreme_points_of_whole_images(run, dtype):
    x = np.full((1, 30, 20, 6), -np.inf, dtype)
    x[0, 17, 3, 1] = x[0, 2, 9, 1] = np.nan
    x[0, 2, 9, 2], x[0, 0, 1, 2] = np.nan, np.inf
    x[0, 29, 19, 3] = x[0, 5, 5, 3] = 4.0
    x[0, 0, 0, 4], x[0, 0, 1, 4] = -0.0, 0.0
    x[0, 29, 19, 5] = -1.0
    np.testing.assert_array_equal(run.global_max_pool2d(x), reference.global_max_pool2d(x))
    dy = np.arange(1, 7, dtype=dtype)[None]
    np.testing.assert_array_equal(
        run.global_max_pool2d_backward(dy, x), reference.global_max_pool2d_backward(dy, x)
    )


UPSAMPLED = [(1, 1, 1, 1), (2, 3, 4, 3), (1, 5, 1, 17), (2, 2, 7, 32), (1, 6, 5, 70), (0, 3, 3, 4)]
SIZES = (1, 2, 3, (2, 1), (1, 4), (3, 2))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_upsampling(run, rng, interpolation, fill, dtype):
    for shape in UPSAMPLED:
        for size in SIZES:
            x = draw(rng, shape, dtype, fill)
            want = reference.upsample2d(x, size, interpolation)
            y, dy = run.upsample2d(x, size, interpolation), draw(rng, want.shape, dtype, fill)
            dx, wanted = (
                run.upsample2d_backward(dy, size, interpolation),
                reference.upsample2d_backward(dy, size, interpolation),
            )
            if interpolation == "nearest":
                np.testing.assert_array_equal(y, want)
            else:
                check_close(y, want, 4)
            if interpolation == "nearest" and fill == "integers":
                np.testing.assert_array_equal(dx, wanted)
            else:
                check_close(dx, wanted, 8)
            assert y.dtype == dx.dtype == x.dtype


def test_bilinear_centres(run):
    """Half-pixel centres, as Keras and PyTorch (align_corners=False) have them."""
    x = np.array([0, 4, 8], np.float32).reshape(1, 1, 3, 1)
    got = run.upsample2d(x, (1, 2), "bilinear").ravel()
    np.testing.assert_array_equal(got, [0, 1, 3, 5, 7, 8])
    got = run.upsample2d(x, (1, 4), "bilinear").ravel()
    np.testing.assert_array_equal(got, [0, 0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8, 8])


def test_non_contiguous_arguments(rng):
    x = draw(rng, (2, 3, 8, 9), fill="integers").transpose(0, 2, 3, 1)
    y, index = nnx.ops.max_pool2d(x)
    np.testing.assert_array_equal(y, reference.max_pool2d(x)[0])
    dy = np.asfortranarray(draw(rng, y.shape, fill="integers"))
    np.testing.assert_array_equal(
        nnx.ops.max_pool2d_backward(dy, np.asfortranarray(index), x.shape),
        reference.max_pool2d_backward(dy, index, x.shape),
    )
    np.testing.assert_array_equal(nnx.ops.avg_pool2d(x), reference.avg_pool2d(x))
    np.testing.assert_array_equal(
        nnx.ops.avg_pool2d_backward(dy, x.shape), reference.avg_pool2d_backward(dy, x.shape)
    )


X = np.zeros((2, 6, 5, 4), np.float32)
Y = np.zeros((2, 3, 2, 4), np.float32)
INDEX = nnx.ops.max_pool2d(X)[1]
FAR, NEAR = INDEX.copy(), INDEX.copy()
FAR[1, 2, 1, 3], NEAR[0, 0, 0, 0] = 30, -1
BAD = {
    "x rank": (lambda: nnx.ops.max_pool2d(X[0]), ValueError, "x", r"\(N, H, W, C\)", r"\(6, 5, 4\)"),
    "x dtype": (lambda: nnx.ops.max_pool2d(X.astype("uint8")), TypeError, "x", "float", "uint8"),
    "pool of 0": (lambda: nnx.ops.max_pool2d(X, 0), ValueError, "pool_size", "1", "0"),
    "negative stride": (lambda: nnx.ops.avg_pool2d(X, 2, -1), ValueError, "strides", "1", "-1"),
    "pool too large": (lambda: nnx.ops.max_pool2d(X, 7), ValueError, "(pool_size|x|padding)", "", ""),
    "padding by name": (lambda: nnx.ops.avg_pool2d(X, padding="full"), ValueError, "padding", "valid", "full"),
    "negative padding": (lambda: nnx.ops.avg_pool2d(X, padding=(0, -2)), ValueError, "padding", "0", "-2"),
    "windows of padding alone": (lambda: nnx.ops.max_pool2d(X, 2, padding=2), ValueError, "padding", "", "2"),
    "global x rank": (lambda: nnx.ops.global_avg_pool2d(X[0]), ValueError, "x", r"\(N, H, W, C\)", r"\(6, 5, 4\)"),
    "dy": (lambda: nnx.ops.max_pool2d_backward(Y[:1], INDEX, X.shape), ValueError, "dy", r"\(2, 3, 2, 4\)", r"\(1, 3, 2, 4\)"),
    "index": (lambda: nnx.ops.max_pool2d_backward(Y, INDEX[:1], X.shape), ValueError, "index", r"\(2, 3, 2, 4\)", r"\(1, 3, 2, 4\)"),
    "index dtype": (lambda: nnx.ops.max_pool2d_backward(Y, Y, X.shape), TypeError, "index", "integers", "float32"),
    "index too large": (lambda: nnx.ops.max_pool2d_backward(Y, FAR, X.shape), ValueError, "index", r"\[20, 30\)", "30"),
    "negative index": (lambda: nnx.ops.max_pool2d_backward(Y, NEAR, X.shape), ValueError, "index", r"\[0, 10\)", "-1"),
    "x_shape": (lambda: nnx.ops.avg_pool2d_backward(Y, (6, 5, 4)), ValueError, "x_shape", r"\(N, H, W, C\)", r"\(6, 5, 4\)"),
    "average dy": (lambda: nnx.ops.avg_pool2d_backward(Y[:1], X.shape), ValueError, "dy", r"\(2, 3, 2, 4\)", r"\(1, 3, 2, 4\)"),
    "dilation 0": (lambda: nnx.ops.max_pool2d(X, dilation=0), ValueError, "dilation", "1", "0"),
    "windows beside the image": (lambda: nnx.ops.avg_pool2d(X[:, :1], (2, 1), 1, (1, 0), dilation=(2, 1)), ValueError, "dilation", "see the image", r"\(2, 1\)"),
    "padding of a dilated window": (lambda: nnx.ops.max_pool2d(X, 2, padding=3, dilation=2), ValueError, "padding", "", "3"),
    "dilated pool too large": (lambda: nnx.ops.max_pool2d(X, 3, dilation=3), ValueError, "pool_size", "padded", "3 with dilation 3"),
    "ceil, pool too large": (lambda: nnx.ops.max_pool2d(X, 7, 1, ceil_mode=True), ValueError, "pool_size", "padded", "7"),
    "maximum x rank": (lambda: nnx.ops.global_max_pool2d(X[0]), ValueError, "x", r"\(N, H, W, C\)", r"\(6, 5, 4\)"),
    "maximum dtype": (lambda: nnx.ops.global_max_pool2d(X.astype("uint8")), TypeError, "x", "float", "uint8"),
    "maximum dy": (lambda: nnx.ops.global_max_pool2d_backward(Y, X), ValueError, "dy", r"\(2, 4\)", r"\(2, 3, 2, 4\)"),
    "upsampled rank": (lambda: nnx.ops.upsample2d(X[0]), ValueError, "x", r"\(N, H, W, C\)", r"\(6, 5, 4\)"),
    "upsampled dtype": (lambda: nnx.ops.upsample2d(X.astype("uint8")), TypeError, "x", "float", "uint8"),
    "size 0": (lambda: nnx.ops.upsample2d(X, (2, 0)), ValueError, "size", "1", r"\(2, 0\)"),
    "interpolation": (lambda: nnx.ops.upsample2d(X, interpolation="cubic"), ValueError, "interpolation", "bilinear", "cubic"),
    "upsampled dy": (lambda: nnx.ops.upsample2d_backward(X), ValueError, "dy", r"multiples of \(2, 2\)", r"\(2, 6, 5, 4\)"),
    "global dy": (lambda: nnx.ops.global_avg_pool2d_backward(Y, X.shape), ValueError, "dy", r"\(2, 4\)", r"\(2, 3, 2, 4\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    expect_bad(*BAD[name])
