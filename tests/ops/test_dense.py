import nnx
import numpy as np
import pytest
import reference
from harness import FILLS, FLOATS, check_close, check_sums, draw, expect_bad

# Rows, inputs, outputs: every remainder of a tile (rows 4 .. 14, columns 4 .. 32), then around the blocks.
REMAINDERS = [(n, i, o) for n in range(1, 16) for o in range(1, 34) for i in ((n * 7 + o) % 19 + 1,)]
COLUMNS = [(n, i, o) for n in (1, 5, 29) for i in (1, 8, 70) for o in range(34, 71, 3)]
BLOCKS = [
    (1, 257, 513), (2, 513, 255), (3, 300, 256), (6, 255, 64), (13, 256, 65), (29, 257, 31), (64, 512, 10),
    (70, 513, 33), (145, 17, 40), (255, 64, 257), (256, 256, 16), (257, 255, 17), (300, 600, 96), (513, 70, 255),
]  # fmt: skip
# So many rows that the weight gradient's reduction may be split, with few, some and many columns.
LONG = [(2100, 5, 7), (4000, 30, 25), (5003, 9, 1), (3000, 200, 130)]
# A row by itself, in one part and several.
SINGLE = [(1, i, o) for i in (3, 97, 800, 1537) for o in (1, 15, 16, 64, 130, 1030, 2100)]
# Few rows, whose reduction is added up in parts.
FEW = [(n, i, o) for n in (2, 15, 16, 17, 24, 25, 48, 49) for i, o in ((1030, 33), (301, 130), (65, 515))]
EMPTY = [(0, 3, 4), (0, 256, 256)]


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "sizes",
    [REMAINDERS, COLUMNS, BLOCKS, LONG, SINGLE, FEW, EMPTY],
    ids=["remainders", "columns", "blocks", "long", "single", "few", "empty"],
)
def test_forward_and_backward(run, rng, sizes, dtype, fill):
    for n, i, o in sizes:
        x, w, b, dy = (draw(rng, s, dtype, fill) for s in ((n, i), (i, o), (o,), (n, o)))
        what = f"rows {n}, in {i}, out {o}"
        got = run.dense(x, w, b), *run.dense_backward(dy, x, w)
        want = reference.dense(x, w, b), *reference.dense_backward(dy, x, w)
        ax, aw, ab, ady = np.abs(x), np.abs(w), np.abs(b), np.abs(dy)
        magnitude = reference.dense(ax, aw, ab), *reference.dense_backward(ady, ax, aw)
        for name, *values in zip(("y", "dx", "dw", "db"), got, want, magnitude, strict=True):
            check_sums(*values[:2], fill, f"{name}, {what}", values[2])
            assert values[0].dtype == x.dtype


@pytest.mark.parametrize("dtype", FLOATS)
def test_without_bias(run, rng, dtype):
    x, w = draw(rng, (7, 12), dtype, "integers"), draw(rng, (12, 9), dtype, "integers")
    np.testing.assert_array_equal(run.dense(x, w), reference.dense(x, w))
    np.testing.assert_array_equal(
        run.dense(x, w, b=None, activation="relu"), reference.dense(x, w, None, "relu")
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "activation", ["step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"]
)
def test_fused_activation(run, rng, activation, dtype):
    for n, i, o in ((1, 9, 17), (5, 16, 33), (13, 40, 7), (70, 30, 40), (14, 260, 130)):
        x, w, b = draw(rng, (n, i), dtype), draw(rng, (i, o), dtype) / 8, draw(rng, (o,), dtype)
        fused = run.dense(x, w, b, activation=activation)
        # The same bits as the two steps by themselves.
        np.testing.assert_array_equal(fused, getattr(run, activation)(run.dense(x, w, b)))
        if activation != "step":
            check_close(fused, reference.dense(x, w, b, activation), 32)


def test_gradient_of_the_input_is_optional(run, rng):
    dy, x, w = draw(rng, (3, 5)), draw(rng, (3, 4)), draw(rng, (4, 5))
    dx, dw, db = run.dense_backward(dy, x, w, need_dx=False)
    assert dx is None
    for got, want in zip((dw, db), run.dense_backward(dy, x, w)[1:], strict=True):
        np.testing.assert_array_equal(got, want)


def test_empty_batch_has_zero_weight_gradients(run):
    _, dw, db = run.dense_backward(np.zeros((0, 5)), np.zeros((0, 4)), np.ones((4, 5)))
    np.testing.assert_array_equal(dw, np.zeros((4, 5)))
    np.testing.assert_array_equal(db, np.zeros(5))


@pytest.mark.parametrize("dtype", FLOATS)
def test_non_contiguous_arguments(rng, dtype):
    wide, tall = draw(rng, (9, 24), dtype, "integers"), draw(rng, (14, 12), dtype, "integers")
    x, w, b = wide[::2, ::2], tall.T[:, ::-1], wide[0, ::-3][:14].repeat(2)[:28:2]
    b = np.asfortranarray(draw(rng, (14, 3), dtype, "integers"))[:, 1]
    dy = np.asfortranarray(draw(rng, (5, 14), dtype, "integers"))
    np.testing.assert_array_equal(nnx.ops.dense(x, w, b), reference.dense(x, w, b))
    for got, want in zip(nnx.ops.dense_backward(dy, x, w), reference.dense_backward(dy, x, w), strict=True):
        np.testing.assert_array_equal(got, want)


def test_lists_become_float64():
    y = nnx.ops.dense([[1, 2]], [[3.0], [4.0]], [5])
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, [[16.0]])


def test_nan_and_infinity_come_through(run):
    x = np.array([[np.nan, 1.0], [np.inf, 1.0], [2.0, 1.0]], np.float32)
    y = run.dense(x, np.ones((2, 3), np.float32))
    assert np.isnan(y[0]).all()
    assert np.isposinf(y[1]).all()
    np.testing.assert_array_equal(y[2], 3.0)


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


BAD = {
    "x rank": (lambda: nnx.ops.dense(zeros(3), zeros(3, 2)), ValueError, "x", r"\(N, I\)", r"\(3,\)"),
    "w rank": (lambda: nnx.ops.dense(zeros(2, 3), zeros(3)), ValueError, "w", r"\(I, O\)", r"\(3,\)"),
    "w rows": (lambda: nnx.ops.dense(zeros(2, 784), zeros(10, 5)), ValueError, "w", "784", r"\(10, 5\)"),
    "b": (lambda: nnx.ops.dense(zeros(2, 3), zeros(3, 4), zeros(3)), ValueError, "b", r"\(4,\)", r"\(3,\)"),
    "no inputs": (lambda: nnx.ops.dense(zeros(2, 0), zeros(0, 4)), ValueError, "[xw]", "", r"\("),
    "x dtype": (lambda: nnx.ops.dense(zeros(2, 3, dtype="int32"), zeros(3, 4)), TypeError, "x", "float", "int32"),
    "x half": (lambda: nnx.ops.dense(zeros(2, 3, dtype="float16"), zeros(3, 4)), TypeError, "x", "float", "float16"),
    "mixed": (lambda: nnx.ops.dense(zeros(2, 3), zeros(3, 4, dtype="float64")), TypeError, "w", "float32", "float64"),
    "complex": (lambda: nnx.ops.dense(zeros(2, 3, dtype="complex64"), zeros(3, 4)), TypeError, "x", "float", "complex64"),
    "object": (lambda: nnx.ops.dense("text", zeros(3, 4)), TypeError, "x", "", ""),
    "activation": (
        lambda: nnx.ops.dense(zeros(2, 3), zeros(3, 4), activation="swash"), ValueError, "activation", "relu", "swash",
    ),
    "dy": (
        lambda: nnx.ops.dense_backward(zeros(2, 5), zeros(2, 3), zeros(3, 4)), ValueError, "dy", r"\(2, 4\)", r"\(2, 5\)",
    ),
    "dy rows": (
        lambda: nnx.ops.dense_backward(zeros(3, 4), zeros(2, 3), zeros(3, 4)), ValueError, "dy", r"\(2, 4\)", r"\(3, 4\)",
    ),
    "dy dtype": (
        lambda: nnx.ops.dense_backward(zeros(2, 4, dtype="float64"), zeros(2, 3), zeros(3, 4)),
        TypeError, "(dy|x)", "float", "float",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
