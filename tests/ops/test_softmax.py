import nnx
import numpy as np
import pytest
import reference
from harness import FLOATS, draw, expect_bad

SHAPES = [(1, 1), (1, 5), (4, 10), (3, 17), (2, 33), (7, 1000), (3, 2500), (5, 3, 4), (0, 3), (13,)]
EPS = {dtype: np.finfo(dtype).eps for dtype in FLOATS}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(run, rng, shape, dtype):
    """Each value within 10 eps of its own size."""
    for scale in (1, 20):
        x = draw(rng, shape, dtype) * np.dtype(dtype).type(scale)
        y = run.softmax(x)
        want = reference.softmax(x)
        assert y.dtype == x.dtype
        # An error of eps in the shifted logit is one of |logit| eps in its power.
        reach = 10 * EPS[dtype] * np.maximum(1, np.abs(np.log(np.maximum(want, 1e-300))) / 4)
        assert np.all(np.abs(y - want) <= reach * want + np.finfo(dtype).tiny)
        assert np.all(np.abs(y - want) <= 10 * EPS[dtype])
        logs = run.log_softmax(x)
        assert np.all(
            np.abs(logs - reference.log_softmax(x))
            <= 10 * EPS[dtype] * np.maximum(1, np.abs(reference.log_softmax(x)))
        )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_every_axis(run, rng, name, axis, dtype):
    x, dy = draw(rng, (4, 18, 7), dtype), draw(rng, (4, 18, 7), dtype)
    y = getattr(run, name)(x, axis=axis)
    want = getattr(reference, name)(x, axis=axis)
    assert np.all(np.abs(y - want) <= 10 * EPS[dtype] * np.maximum(1, np.abs(want)))
    got = getattr(run, f"{name}_backward")(dy, y, axis=axis)
    want = getattr(reference, f"{name}_backward")(dy, y, axis=axis)
    assert np.all(np.abs(got - want) <= 40 * EPS[dtype] * np.abs(dy).max())


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_backward(run, rng, name, shape, dtype):
    x, dy = draw(rng, shape, dtype), draw(rng, shape, dtype)
    y = getattr(run, name)(x)
    got, want = getattr(run, f"{name}_backward")(dy, y), getattr(reference, f"{name}_backward")(dy, y)
    assert got.dtype == x.dtype
    reach = EPS[dtype] * (10 + shape[-1] ** 0.5 * 10)
    assert np.all(np.abs(got - want) <= reach * np.maximum(1, np.abs(want)))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((5, 0, 0), -1), ((5, 0, 0), 1), ((0, 0), 0), ((0, 4, 0), 2), ((0, 0, 3), 0), ((0,) * 3, 1)],
)
def test_of_nothing_beside_an_empty_axis(run, name, shape, axis):
    """An empty result, as NumPy's; of rows that are there but have no elements there is none."""
    empty = np.zeros(shape, np.float32)
    for got in (
        getattr(run, name)(empty, axis=axis),
        getattr(run, f"{name}_backward")(empty, empty, axis=axis),
    ):
        assert got.shape == reference.softmax(empty, axis=axis).shape == shape
        assert got.dtype == np.float32
    for rows in ((5, 0), (2, 3, 0)):
        with pytest.raises(ValueError, match="extent of at least 1"):
            getattr(run, name)(np.zeros(rows, np.float32))


@pytest.mark.parametrize("dtype", FLOATS)
def test_properties(run, rng, dtype):
    x = draw(rng, (6, 40), dtype)
    y = run.softmax(x)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=0, atol=10 * EPS[dtype])
    whole = draw(rng, (6, 40), dtype, "integers")
    np.testing.assert_array_equal(
        run.softmax(whole), run.softmax(whole + 4096)
    )  # shift invariance, exact here
    np.testing.assert_array_equal(run.softmax(np.zeros((2, 8), dtype)), np.full((2, 8), 0.125, dtype))
    np.testing.assert_array_equal(run.softmax(np.zeros((3, 1), dtype)), 1)


@pytest.mark.parametrize("dtype", FLOATS)
def test_huge_logits(run, dtype):
    top = np.dtype(dtype).type(1e38)
    x = np.array([[top, -top, 0], [top, top, -top], [-top, -top, -top]], dtype)
    np.testing.assert_array_equal(run.softmax(x), np.array([[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3], dtype))
    logs = run.log_softmax(x)
    assert not np.isnan(logs).any()
    assert logs[0, 0] == 0
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):  # along another axis, the largest in each place
        columns = np.ascontiguousarray(x[:, order].T)
        np.testing.assert_allclose(
            run.softmax(columns, axis=0), reference.softmax(columns, axis=0), rtol=0, atol=10 * EPS[dtype]
        )
        want = reference.log_softmax(columns, axis=0)
        assert np.all(
            np.abs(run.log_softmax(columns, axis=0) - want) <= 10 * EPS[dtype] * np.maximum(1, np.abs(want))
        )


def test_masked_and_broken_rows(run):
    """Minus infinity is a class ruled out; a NaN spoils its row and no other."""
    x = np.array([[0.0, -np.inf, 0.0], [np.nan, 0.0, 0.0], [1.0, 1.0, 1.0]] * 6, np.float32)
    y = run.softmax(x).reshape(6, 3, 3)
    np.testing.assert_array_equal(y[:, 0], np.tile([0.5, 0.0, 0.5], (6, 1)))
    assert np.isnan(y[:, 1]).all()
    np.testing.assert_allclose(y[:, 2], 1 / 3, rtol=1e-6)


def test_non_contiguous_arguments(rng):
    x = draw(rng, (9, 8)).T[::2]
    np.testing.assert_array_equal(nnx.ops.softmax(x), nnx.ops.softmax(np.ascontiguousarray(x)))


X = np.zeros((2, 3), np.float32)
BAD = {
    "dtype": (lambda: nnx.ops.softmax(X.astype("int64")), TypeError, "x", "float", "int64"),
    "axis": (lambda: nnx.ops.softmax(X, axis=2), ValueError, "axis", "rank 2", "2"),
    "axis from the back": (lambda: nnx.ops.log_softmax(X, axis=-3), ValueError, "axis", "rank 2", "-3"),
    "scalar": (lambda: nnx.ops.softmax(np.float32(1)), ValueError, "(x|axis)", "", ""),
    "no classes": (lambda: nnx.ops.softmax(np.zeros((2, 0))), ValueError, "x", "1", r"\(2, 0\)"),
    "shapes": (lambda: nnx.ops.softmax_backward(X, X[:1]), ValueError, "(y|dy)", r"\(., 3\)", r"\(., 3\)"),
    "mixed": (lambda: nnx.ops.log_softmax_backward(X, X.astype("float64")), TypeError, "(y|dy)", "float", "float"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
