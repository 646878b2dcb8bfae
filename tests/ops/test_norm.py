import nnx
import numpy as np
import pytest
import reference
from harness import FILLS, FLOATS, check_close, draw, expect_bad

SHAPES = [(1, 1), (2, 3), (9, 17), (64, 33), (5, 70), (300, 64), (1300, 128), (2, 5, 6, 10), (3, 7, 4)]
# Numbers of channels: every remainder of a vector; sizes of the neighbourhood below and above it.
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65)
SIZES = (1, 3, 5, 9)


def statistics(rng, channels, dtype):
    gamma, beta, mean = (draw(rng, channels, dtype) for _ in range(3))
    return gamma, beta, mean, rng.uniform(0.5, 2, channels).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_inference(run, rng, shape, dtype):
    x, given = draw(rng, shape, dtype), statistics(rng, shape[-1], dtype)
    for epsilon in (1e-5, 0.1):
        y = run.batch_norm(x, *given, epsilon=epsilon)
        assert y.dtype == x.dtype
        check_close(y, reference.batch_norm(x, *given, epsilon=epsilon), 8)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_training(run, rng, shape, dtype):
    x, given = draw(rng, shape, dtype), statistics(rng, shape[-1], dtype)
    options = {"training": True, "momentum": 0.8, "epsilon": 1e-3}
    got = run.batch_norm(x, *given, **options)
    want = reference.batch_norm(x.astype(np.longdouble), *given, **options)
    for name, a, b in zip(
        ("y", "running mean", "running variance", "mean", "inverse"), got, want, strict=True
    ):
        assert a.dtype == x.dtype
        # A mean of both signs cancels: its error is measured against the size of what is added up.
        size = np.abs(x).max() if "mean" in name else np.abs(b).max()
        assert np.all(np.abs(a - b) <= 32 * np.finfo(dtype).eps * size), name


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_backward(run, rng, shape, dtype):
    x, dy, (gamma, beta, mean, var) = (
        draw(rng, shape, dtype),
        draw(rng, shape, dtype),
        statistics(rng, shape[-1], dtype),
    )
    _, _, _, saved_mean, saved_inverse = reference.batch_norm(
        x, gamma, beta, mean, var, training=True, epsilon=1e-3
    )
    saved = saved_mean.astype(dtype), saved_inverse.astype(dtype)
    got = run.batch_norm_backward(dy, x, gamma, *saved)
    want = reference.batch_norm_backward(dy, x, gamma, *saved)
    for name, a, b in zip(("dx", "dgamma", "dbeta"), got, want, strict=True):
        assert a.dtype == x.dtype
        scale = np.abs(dy).max() * np.abs(gamma).max() * saved[1].max() if name == "dx" else np.abs(dy).sum()
        assert np.all(np.abs(a - b) <= 64 * np.finfo(dtype).eps * scale), name


@pytest.mark.parametrize("dtype", FLOATS)
def test_batch_norm_far_from_zero(run, rng, dtype):
    """A large mean does not eat the variance: no difference of large squares."""
    offset = {"float32": 1e3, "float64": 1e6}[dtype]
    x = (draw(rng, (4000, 5), "float64") + offset).astype(dtype)
    zero, one = np.zeros(5, dtype), np.ones(5, dtype)
    got = run.batch_norm(x, one, zero, zero, one, training=True)
    want = reference.batch_norm(x.astype(np.longdouble), one, zero, zero, one, training=True)
    np.testing.assert_allclose(got[4], want[4].astype(dtype), rtol=2e3 * np.finfo(dtype).eps)
    # The mean is right within some units in its last place, which are offset * eps.
    np.testing.assert_allclose(got[0], want[0].astype(dtype), rtol=0, atol=10 * offset * np.finfo(dtype).eps)
    # The mean is kept in two parts; in double the reference's own, in long double, is the less exact one.
    check_close(got[0], want[0].astype(dtype), {"float32": 16, "float64": 4096}[dtype])


def test_batch_norm_of_constants_and_nothing(run):
    one, zero = np.ones(3, np.float32), np.zeros(3, np.float32)
    y = run.batch_norm(np.full((8, 3), 5, np.float32), one, zero, zero, one, training=True)[0]
    np.testing.assert_array_equal(y, 0)
    empty = np.zeros((0, 3), np.float32)
    assert run.batch_norm(empty, one, zero, zero, one).shape == (0, 3)
    y, mean, var, _, _ = run.batch_norm(empty, one, zero, zero, one, training=True)
    assert y.shape == (0, 3)
    assert np.isfinite(mean).all()
    assert np.isfinite(var).all()
    dx, dgamma, dbeta = run.batch_norm_backward(empty, empty, one, zero, one)
    assert dx.shape == (0, 3)
    np.testing.assert_array_equal(dgamma, 0)
    np.testing.assert_array_equal(dbeta, 0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_local_response_norm(run, rng, size, dtype):
    for channels in CHANNELS:
        for shape in ((3, channels), (2, 3, 3, channels)):
            x, dy = draw(rng, shape, dtype), draw(rng, shape, dtype)
            for options in ({}, {"alpha": 0.5, "beta": 0.6, "k": 1.0}, {"alpha": 1.0, "beta": 2.0, "k": 0.5}):
                got = run.local_response_norm(x, size, **options)
                assert got.dtype == x.dtype
                check_close(got, reference.local_response_norm(x, size, **options), 16)
                dx = run.local_response_norm_backward(dy, x, size, **options)
                check_close(dx, reference.local_response_norm_backward(dy, x, size, **options), 64)


def test_local_response_norm_over_as_many_channels_as_may_be(run, rng):
    x, dy = draw(rng, (1, 65536), "float64"), draw(rng, (1, 65536), "float64")
    dx = run.local_response_norm_backward(dy, x, 3)
    check_close(dx, reference.local_response_norm_backward(dy, x, 3), 64)


@pytest.mark.parametrize("dtype", FLOATS)
def test_local_response_norm_over_hundreds_of_channels(run, rng, dtype):
    for channels, size in ((300, 1001), (700, 301), (703, 601)):
        x, dy = draw(rng, (3, channels), dtype), draw(rng, (3, channels), dtype)
        options = {"alpha": 0.01, "beta": 0.75, "k": 1.0}
        got = run.local_response_norm(x, size, **options)
        check_close(got, reference.local_response_norm(x, size, **options), 16)
        dx = run.local_response_norm_backward(dy, x, size, **options)
        check_close(dx, reference.local_response_norm_backward(dy, x, size, **options), 64)


def test_local_response_norm_of_nothing(run):
    assert run.local_response_norm(np.zeros((0, 4, 4, 3), np.float32)).shape == (0, 4, 4, 3)


# x, and the axes of a layer norm.
LAYERS = [
    ((1, 1), -1), ((3, 5), -1), ((9, 17), 1), ((4, 64), (1,)), ((65, 33), -1), ((300, 64), -1), ((3, 1030), -1),
    ((2, 3, 70), -1), ((2, 5, 6), (1, 2)), ((3, 4, 5, 8), (-1, -2, -3)), ((2, 4, 5, 12), (2, 3)), ((0, 7), -1),
]  # fmt: skip
# x, and the groups of a group norm: groups of every size beside a vector's, of one pixel, of several to a block.
GROUPED = [
    ((1, 1), 1), ((3, 12), 4), ((2, 64), 2), ((70, 40), 5), ((2, 5, 6, 8), 1), ((3, 4, 4, 12), 3),
    ((2, 7, 5, 33), 11), ((1, 3, 3, 6), 6), ((2, 9, 8, 300), 2), ((2, 3, 600), 300), ((2, 2, 3, 272), 17),
    ((33, 3, 3, 16), 4), ((2, 40, 40, 8), 2), ((0, 4, 4, 6), 3),
]  # fmt: skip


def check_norm(run, rng, name, shape, options, weights, dtype, fill):
    """Forward and backward, with gamma and beta and without."""
    x, dy, gamma, beta = (draw(rng, s, dtype, fill) for s in (shape, shape, weights, weights))
    forward, backward = getattr(run, name), getattr(run, f"{name}_backward")
    wanted, wanted_backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    options = {**options, "epsilon": 1e-3}
    normal, eps = wanted(x, **options), np.finfo(dtype).eps
    rows = tuple(range(len(shape) - len(weights)))
    inverse = largest_inverse(name, x, options)
    for given in ({"gamma": gamma, "beta": beta}, {"beta": beta}, {}):
        y = forward(x, **given, **options)
        assert y.dtype == x.dtype
        check_close(y, wanted(x, **given, **options), 16, f"y {given.keys()}")
        kept = {key: value for key, value in given.items() if key != "beta"}
        got, want = backward(dy, x, **kept, **options), wanted_backward(dy, x, **kept, **options)
        slopes = np.abs(dy * kept.get("gamma", np.ones(weights))).max(initial=0)
        limits = {
            "dx": 16 * inverse * slopes * (1 + np.abs(normal).max(initial=0)),
            "dgamma": 8 * np.abs(dy * normal).sum(axis=rows),
            "dbeta": 2 * np.abs(dy).sum(axis=rows),
        }
        for (part, limit), a, b in zip(limits.items(), got, want, strict=True):
            assert a.dtype == x.dtype
            assert a.shape == b.shape
            assert np.all(np.abs(a - b) <= eps * limit), f"{part} {given.keys()}"


def largest_inverse(name, x, options):
    """The largest 1 / sqrt(variance + epsilon) of all groups."""
    if x.size == 0:
        return 0
    rows = x.astype(np.float64)
    if name == "group_norm":
        groups = options["groups"]
        rows = (
            rows.reshape(len(x), -1, groups, x.shape[-1] // groups).swapaxes(1, 2).reshape(len(x), groups, -1)
        )
    else:
        axis = options["axis"]
        rows = rows.reshape(*x.shape[: x.ndim - (len(axis) if isinstance(axis, tuple) else 1)], -1)
    return 1 / np.sqrt(rows.var(axis=-1).min() + options["epsilon"])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("shape", "axis"), LAYERS, ids=str)
def test_layer_norm(run, rng, shape, axis, fill, dtype):
    count = len(axis) if isinstance(axis, tuple) else 1
    check_norm(run, rng, "layer_norm", shape, {"axis": axis}, shape[-count:], dtype, fill)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("shape", "groups"), GROUPED, ids=str)
def test_group_norm(run, rng, shape, groups, fill, dtype):
    check_norm(run, rng, "group_norm", shape, {"groups": groups}, shape[-1:], dtype, fill)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("name", "shape", "options"), [
    ("layer_norm", (50, 300), {}), ("layer_norm", (5, 2000), {}), ("group_norm", (4, 9, 9, 24), {"groups": 3}),
    ("group_norm", (3, 40, 40, 4), {"groups": 2}), ("layer_norm", (3, 9, 9, 5), {"axis": (1, 2, 3)}),
])  # fmt: skip
def test_norms_of_samples_far_from_zero(run, rng, name, shape, options, dtype):
    """A mean of 1e4 beside a deviation of 1: nothing is lost to it, forward or backward.

    In float64 the mean is as exact as sums of doubles of its size are: to some 1e4 eps.
    """
    bound = {"float32": 8, "float64": 2e4}[dtype]
    x = (draw(rng, shape, "float64") + 1e4).astype(dtype)
    dy = draw(rng, shape, dtype)
    exact = x.astype(np.longdouble)
    y = getattr(run, name)(x, **options)
    check_close(y, getattr(reference, name)(exact, **options).astype(np.float64), bound)
    got = getattr(run, f"{name}_backward")(dy, x, **options)
    want = getattr(reference, f"{name}_backward")(dy.astype(np.longdouble), exact, **options)
    for part, a, b in zip(("dx", "dgamma", "dbeta"), got, want, strict=True):
        check_close(a, b.astype(np.float64), 4 * bound, part)


def test_norms_of_constants(run):
    for shape in ((4, 6), (2, 3, 3, 6)):
        x = np.full(shape, 7, np.float32)
        np.testing.assert_array_equal(run.layer_norm(x), 0)
        np.testing.assert_array_equal(
            run.group_norm(x, 3, beta=np.arange(6, dtype="f4")), np.zeros(shape) + np.arange(6)
        )


def test_norms_keep_nan_to_their_group(run):
    x = np.arange(2 * 3 * 3 * 6, dtype=np.float32).reshape(2, 3, 3, 6)
    x[1, 2, 0, 3] = np.nan
    lost = np.zeros(x.shape, bool)
    lost[1, :, :, 2:4] = True
    np.testing.assert_array_equal(np.isnan(run.group_norm(x, 3)), lost)
    rows = np.zeros((2, 3, 3), bool)
    rows[1, 2, 0] = True
    np.testing.assert_array_equal(np.isnan(run.layer_norm(x)).any(-1), rows)


def test_group_norm_is_layer_norm_and_instance_norm(run, rng):
    x = draw(rng, (3, 4, 5, 6))
    one = run.group_norm(x, 1)
    check_close(one, run.layer_norm(x, axis=(1, 2, 3)), 8)
    each = np.stack(
        [run.group_norm(np.ascontiguousarray(x[..., c : c + 1]), 1)[..., 0] for c in range(6)], -1
    )
    check_close(run.group_norm(x, 6), each, 8)


def test_non_contiguous_arguments(rng):
    x = draw(rng, (6, 10)).T
    given = statistics(rng, 6, "float32")
    np.testing.assert_array_equal(nnx.ops.batch_norm(x, *given), nnx.ops.batch_norm(x.copy(), *given))
    np.testing.assert_array_equal(nnx.ops.local_response_norm(x), nnx.ops.local_response_norm(x.copy()))


X, C, THREE = np.zeros((2, 4), np.float32), np.ones(4, np.float32), np.ones(3, np.float32)
bn, lrn = nnx.ops.batch_norm, nnx.ops.local_response_norm
ln, gn = nnx.ops.layer_norm, nnx.ops.group_norm
BAD = {
    "channels": (lambda: nnx.ops.local_response_norm(np.zeros((1, 65537), "f4")), ValueError, "x", "65536", "65537"),
    "x rank": (lambda: bn(C, C, C, C, C), ValueError, "x", "", r"\(4,\)"),
    "x dtype": (lambda: bn(X.astype("int32"), C, C, C, C), TypeError, "x", "float", "int32"),
    "gamma": (lambda: bn(X, THREE, C, C, C), ValueError, "gamma", r"\(4,\)", r"\(3,\)"),
    "beta": (lambda: bn(X, C, THREE, C, C), ValueError, "beta", r"\(4,\)", r"\(3,\)"),
    "running mean": (lambda: bn(X, C, C, THREE, C), ValueError, "running_mean", r"\(4,\)", r"\(3,\)"),
    "running variance": (lambda: bn(X, C, C, C, THREE), ValueError, "running_var", r"\(4,\)", r"\(3,\)"),
    "mixed": (lambda: bn(X, C.astype("f8"), C, C, C), TypeError, "gamma", "float32", "float64"),
    "momentum": (lambda: bn(X, C, C, C, C, training=True, momentum=1.5), ValueError, "momentum", "1", "1.5"),
    "epsilon": (lambda: bn(X, C, C, C, C, epsilon=-1e-5), ValueError, "epsilon", "0", "-1e-05"),
    "epsilon nan": (lambda: bn(X, C, C, C, C, epsilon=float("nan")), ValueError, "epsilon", "", "nan"),
    "dy": (lambda: nnx.ops.batch_norm_backward(X[:1], X, C, C, C), ValueError, "dy", r"\(2, 4\)", r"\(1, 4\)"),
    "saved mean": (lambda: nnx.ops.batch_norm_backward(X, X, C, THREE, C), ValueError, "saved_mean", r"\(4,\)", r"\(3,\)"),
    "saved inverse": (lambda: nnx.ops.batch_norm_backward(X, X, C, C, THREE), ValueError, "saved_inverse", r"\(4,\)", r"\(3,\)"),
    "layer axis": (lambda: ln(X, axis=0), ValueError, "axis", "last", "0"),
    "layer axes": (lambda: ln(np.zeros((2, 3, 4)), axis=(0, 2)), ValueError, "axis", "last", r"\(0, 2\)"),
    "layer axis twice": (lambda: ln(np.zeros((2, 3, 4)), axis=(2, 2)), ValueError, "axis", "last", r"\(2, 2\)"),
    "layer axis, the first": (lambda: ln(np.zeros((2, 3, 4)), axis=1), ValueError, "axis", "last", "1"),
    "layer axis of all": (lambda: ln(X, axis=(0, 1)), ValueError, "axis", "last", r"\(0, 1\)"),
    "layer axis kind": (lambda: ln(X, axis=1.0), TypeError, "axis", "int", "1.0"),
    "layer rank": (lambda: ln(C, axis=-1), ValueError, "axis", "last", "-1"),
    "layer gamma": (lambda: ln(X, THREE), ValueError, "gamma", r"\(4,\)", r"\(3,\)"),
    "layer beta": (lambda: ln(X, C, THREE), ValueError, "beta", r"\(4,\)", r"\(3,\)"),
    "layer epsilon": (lambda: ln(X, epsilon=0.0), ValueError, "epsilon", "0", "0"),
    "layer dtype": (lambda: ln(X.astype("int32")), TypeError, "x", "float", "int32"),
    "layer mixed": (lambda: ln(X, C.astype("f8")), TypeError, "gamma", "float32", "float64"),
    "layer dy": (lambda: nnx.ops.layer_norm_backward(X[:1], X), ValueError, "dy", r"\(2, 4\)", r"\(1, 4\)"),
    "groups": (lambda: gn(X, 3), ValueError, "groups", "4 channels", "3"),
    "groups 0": (lambda: gn(X, 0), ValueError, "groups", "1", "0"),
    "group gamma": (lambda: gn(X, 2, THREE), ValueError, "gamma", r"\(4,\)", r"\(3,\)"),
    "group beta": (lambda: gn(X, 2, C, THREE), ValueError, "beta", r"\(4,\)", r"\(3,\)"),
    "group rank": (lambda: gn(C, 1), ValueError, "x", "", r"\(4,\)"),
    "group epsilon": (lambda: gn(X, 1, epsilon=float("nan")), ValueError, "epsilon", "", "nan"),
    "group channels": (lambda: gn(np.zeros((1, 65537), "f4"), 1), ValueError, "x", "65536", "65537"),
    "group dy": (lambda: nnx.ops.group_norm_backward(X[:1], X, 2), ValueError, "dy", r"\(2, 4\)", r"\(1, 4\)"),
    "even size": (lambda: lrn(X, 4), ValueError, "size", "odd", "4"),
    "size 0": (lambda: lrn(X, 0), ValueError, "size", "", "0"),
    "k": (lambda: lrn(X, k=0.0), ValueError, "k", "0", "0"),
    "alpha": (lambda: lrn(X, alpha=-1.0), ValueError, "alpha", "0", "-1"),
    "beta nan": (lambda: lrn(X, beta=float("nan")), ValueError, "beta", "", "nan"),
    "response dtype": (lambda: lrn(X.astype("uint8")), TypeError, "x", "float", "uint8"),
    "response dy": (lambda: nnx.ops.local_response_norm_backward(X[:1], X), ValueError, "dy", r"\(2, 4\)", r"\(1, 4\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
