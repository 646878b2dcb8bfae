import nnx
import numpy as np
import pytest
import reference
from harness import FLOATS, check_ulps, draw, expect_bad

SHAPES = [(0, 3), (1,), (7,), (16,), (5, 9), (33, 31), (2, 3, 4, 5), (4096,)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["add", "multiply"])
def test_add_and_multiply(run, rng, name, dtype):
    for shape in SHAPES:
        for fill in ("integers", "real"):
            a, b = draw(rng, shape, dtype, fill), draw(rng, shape, dtype, fill)
            got = getattr(run, name)(a, b)
            assert got.dtype == a.dtype
            # One rounding: the float64 result rounded.
            np.testing.assert_array_equal(got, getattr(reference, name)(a, b).astype(dtype))


def test_more_elements_than_a_grid_has_threads(run):
    a = np.arange(4_200_005, dtype=np.float32) % 4099
    np.testing.assert_array_equal(run.add(a, a), 2 * a)


@pytest.mark.parametrize("dtype", FLOATS)
def test_concat(run, rng, dtype):
    for shapes, axis in (
        ([(2, 3), (2, 5)], -1),
        ([(2, 3), (4, 3), (1, 3)], 0),
        ([(2, 3, 4, 5), (2, 3, 4, 1), (2, 3, 4, 17)], 3),
        ([(2, 3, 4, 5), (2, 6, 4, 5)], 1),
        ([(2, 3, 4, 5), (2, 3, 1, 5)], -2),
        ([(3, 2)], -1),
        ([(0, 2), (0, 3)], 1),
        ([(2, 0), (2, 3)], 1),
        ([(33, 64), (33, 65)], 1),
    ):
        arrays = [draw(rng, shape, dtype) for shape in shapes]
        got = run.concat(arrays, axis=axis)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, reference.concat(arrays, axis))


@pytest.mark.parametrize("dtype", FLOATS)
def test_normalize(run, rng, dtype):
    for shape in ((5, 1), (3, 3), (2, 4, 5, 3), (9, 17), (2, 64), (0, 3)):
        mean, deviation = draw(rng, shape[-1], dtype), rng.uniform(0.5, 2, shape[-1]).astype(dtype)
        x = draw(rng, shape, dtype, "integers")
        check_ulps(run.normalize(x, mean, deviation), reference.normalize(x, mean, deviation), 4)


def test_non_contiguous_arguments(rng):
    a, b = draw(rng, (4, 6)).T, draw(rng, (6, 8))[:, ::2]
    np.testing.assert_array_equal(nnx.ops.add(a, b), a + b)
    np.testing.assert_array_equal(nnx.ops.multiply(a, b), a * b)
    np.testing.assert_array_equal(nnx.ops.concat([a, b], axis=0), np.concatenate([a, b]))


A = np.zeros((2, 3), np.float32)
BAD = {
    "shapes": (lambda: nnx.ops.add(A, A[:, :2]), ValueError, "b", r"\(2, 3\)", r"\(2, 2\)"),
    "product shapes": (lambda: nnx.ops.multiply(A, A.T.copy()), ValueError, "b", r"\(2, 3\)", r"\(3, 2\)"),
    "mixed": (lambda: nnx.ops.add(A, A.astype("f8")), TypeError, "b", "float32", "float64"),
    "integers": (lambda: nnx.ops.multiply(A.astype("i4"), A), TypeError, "a", "float", "int32"),
    "nothing": (lambda: nnx.ops.concat([]), ValueError, "arrays", "", ""),
    "axis": (lambda: nnx.ops.concat([A, A], axis=2), ValueError, "axis", "rank 2", "2"),
    "extents": (lambda: nnx.ops.concat([A, A[:1]], axis=1), ValueError, "arrays", r"2", r"\(1, 3\)"),
    "ranks": (lambda: nnx.ops.concat([A, A[0]]), ValueError, "arrays", "", r"\(3,\)"),
    "concat mixed": (lambda: nnx.ops.concat([A, A.astype("f8")]), TypeError, "arrays", "float32", "float64"),
    "deviation of 0": (lambda: nnx.ops.normalize(A, A[0], A[0]), ValueError, "deviation", "above 0", "0"),
    "mean": (lambda: nnx.ops.normalize(A, A[0, :2], A[0] + 1), ValueError, "mean", r"\(3,\)", r"\(2,\)"),
    "deviation": (lambda: nnx.ops.normalize(A, A[0], A[0, :2]), ValueError, "deviation", r"\(3,\)", r"\(2,\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
