import nnx
import numpy as np
import pytest
import reference
from harness import (
    FILLS,
    FLOATS,
    check_close,
    check_ulps,
    draw,
    expect_bad,
    numeric_gradient,
    same_bits,
    threads,
)
from nnx import ops

SHAPES = [(0, 3), (1,), (7,), (16,), (5, 9), (2, 3, 4, 5), (4099,)]
# Units in the last place that each may be off; what is one rounding must be right.
UNARY = {
    "absolute": 0,
    "negative": 0,
    "sign": 0,
    "exp": 4,
    "expm1": 4,
    "log": 4,
    "log1p": 4,
    "sqrt": 0.5,
    "square": 0.5,
    "reciprocal": 0.5,
    "exponential": 4,
}
BINARY = {"add": 0.5, "subtract": 0.5, "multiply": 0.5, "divide": 0.5, "power": 4, "maximum": 0, "minimum": 0}
COMPOSED = [
    "softplus",
    "log_sigmoid",
    "selu",
    "mish",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "relu6",
    "gelu_tanh",
]
PAIRS = [
    ((5, 9), (5, 9)),
    ((5, 9), (9,)),
    ((5, 1), (5, 9)),
    ((5, 9), (5, 1)),
    ((1,), (3, 4)),
    ((4, 3, 5, 6), (4, 1, 1, 6)),
    ((2, 1, 5, 1, 3), (2, 4, 1, 6, 3)),
    ((0, 3), (1, 3)),
    ((33, 130), (130,)),
    ((1, 1), (1, 1)),
]


def in_domain(name, rng, shape, dtype, fill):
    x = draw(rng, shape, dtype, fill)
    if name in ("log", "sqrt", "power"):
        return np.abs(x) + x.dtype.type(0.25)
    if name == "log1p":
        return np.abs(x) - x.dtype.type(0.75)
    return x / 4 if name in ("exp", "expm1", "exponential") else x


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("name", UNARY)
def test_unary(run, rng, name, fill, dtype):
    for shape in SHAPES:
        x = in_domain(name, rng, shape, dtype, fill)
        got = getattr(run, name)(x)
        assert got.dtype == dtype
        check_ulps(got, getattr(reference, name)(x.astype(np.longdouble)), UNARY[name] + 0.51, name)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("name", BINARY)
def test_binary_of_broadcast_shapes(run, rng, name, fill, dtype):
    for left, right in PAIRS:
        a, b = in_domain(name, rng, left, dtype, fill), draw(rng, right, dtype, fill)
        if name == "power":
            b = b / 8
        if name == "divide":
            b = np.where(b == 0, b.dtype.type(1), b)
        got = getattr(run, name)(a, b)
        want = getattr(reference, name)(a.astype(np.longdouble), b.astype(np.longdouble))
        check_ulps(got, want, BINARY[name] + 0.51, f"{name} {left} {right}")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", BINARY)
def test_a_number_on_either_side(run, rng, name, dtype):
    x = np.abs(draw(rng, (5, 9), dtype)) + x_min(dtype)
    for number in (2.0, 0.5, -1.0, 3, np.float32(1.5)):
        check_ulps(getattr(run, name)(x, number), getattr(reference, name)(x, float(number)), 4.51)
        if number > 0:
            check_ulps(getattr(run, name)(number, x), getattr(reference, name)(float(number), x), 4.51)


def x_min(dtype):
    return np.dtype(dtype).type(0.25)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", COMPOSED)
def test_composed(run, rng, name, dtype):
    for shape in SHAPES:
        x = draw(rng, shape, dtype) * 3
        check_close(getattr(run, name)(x), getattr(reference, name)(x), 16, name)
    far = np.array([-1e30, -100, -20, -0.0, 0.0, 20, 100, 1e30], dtype)
    if name not in ("selu", "mish", "gelu_tanh", "hard_silu"):
        got, want = getattr(run, name)(far), getattr(reference, name)(far)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    if name == "mish":
        assert np.all(np.isfinite(run.mish(far)))


def test_gelu_has_two_forms(run, rng):
    x = draw(rng, (41,)) * 3
    assert same_bits(run.gelu(x, approximate=True), run.gelu_tanh(x))
    assert not same_bits(run.gelu(x), run.gelu_tanh(x))
    np.testing.assert_array_equal(nnx.layers.GELU(True)(x), ops.gelu_tanh(x))


def test_special_numbers(run):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], np.float32)
    grid = np.array(np.meshgrid(x, x)).reshape(2, -1)
    for name in BINARY:
        got = getattr(run, name)(grid[0], grid[1])
        check_ulps(got, getattr(reference, name)(grid[0], grid[1]).astype(np.float32), 0, name)
    for name in UNARY:
        check_ulps(getattr(run, name)(x), getattr(reference, name)(x).astype(np.float32), 1, name)
    assert np.isnan(run.clip(x, -1, 1)[0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_clip(run, rng, dtype):
    x = draw(rng, (33, 5), dtype)
    for low, high in ((-0.5, 0.5), (None, 0.25), (0.25, None), (None, None), (0.5, 0.5)):
        np.testing.assert_array_equal(run.clip(x, low, high), reference.clip(x, low, high).astype(dtype))


FUNCTIONS = {
    "polynomial": (lambda x: 3 * x**3 - x**2 / 7 + 2 - abs(x), [(5, 7)]),
    "all operators": (lambda a, b: (a + b) * (a - b) / (1 + b * b) - (2 - a) / 3 + -a, [(5, 7), (5, 7)]),
    "from the right": (lambda x: 2 - x + 3 / (4 + x * x) + 2**x, [(3, 4)]),
    "logistic loss": (lambda z, t: ops.softplus(z) - t * z, [(6, 3), (6, 1)]),
    "of three": (lambda x, m, s: (x - m) / ops.sqrt(s * s + 1e-3), [(4, 3, 2, 5), (4, 1, 1, 5), (5,)]),
    "roots": (
        lambda x: ops.sqrt(ops.square(x) + 1) + ops.log1p(ops.square(x)) + ops.log(2 + ops.sigmoid(x)),
        [(9,)],
    ),
    "activations": (
        lambda x: (
            ops.tanh(x) + ops.silu(x) + ops.elu(x, 0.5) + ops.leaky_relu(x, 0.2) + ops.relu(x) * ops.mish(x)
        ),
        [(17,)],
    ),
    "powers": (lambda a, b: ops.power(abs(a) + 0.5, b) + (abs(a) + 0.1) ** 1.5 + 1 / abs(b), [(4, 5), (5,)]),
    "expm1": (lambda x: ops.expm1(x / 4) + ops.exp(-x) + ops.reciprocal(3 + ops.tanh(x)), [(7, 2)]),
    "larger": (lambda a, b: ops.maximum(a, b) * 2 - ops.minimum(a, b * b), [(6, 7), (6, 7)]),
    "within": (lambda x: ops.clip(x, -0.5, 0.7) * x, [(41,)]),
    "a constant": (lambda x: ops.sign(x) * 2 + x, [(11,)]),
    "the same": (lambda x: x, [(3, 5)]),
    "power of nothing": (lambda x: x**0 + x**1 + x**-1 + x**0.5, [(6,)]),
}
WITHOUT_NUMPY = {
    "logistic loss": lambda z, t: np.logaddexp(z, 0) - t * z,
    "of three": lambda x, m, s: (x - m) / np.sqrt(s * s + 1e-3),
    "roots": lambda x: np.sqrt(x * x + 1) + np.log1p(x * x) + np.log(2 + 1 / (1 + np.exp(-x))),
    "activations": lambda x: (
        np.tanh(x)
        + x / (1 + np.exp(-x))
        + np.where(x > 0, x, 0.5 * np.expm1(x))
        + np.where(x > 0, x, 0.2 * x)
        + np.maximum(x, 0) * reference.mish(x)
    ),
    "powers": lambda a, b: np.power(abs(a) + 0.5, b) + (abs(a) + 0.1) ** 1.5 + 1 / abs(b),
    "expm1": lambda x: np.expm1(x / 4) + np.exp(-x) + 1 / (3 + np.tanh(x)),
    "larger": lambda a, b: np.maximum(a, b) * 2 - np.minimum(a, b * b),
    "within": lambda x: np.clip(x, -0.5, 0.7) * x,
    "a constant": lambda x: np.sign(x) * 2 + x,
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", FUNCTIONS)
def test_an_expression_and_its_gradients(run, rng, case, dtype):
    function, shapes = FUNCTIONS[case]
    definition = WITHOUT_NUMPY.get(case, function)
    arrays = [draw(rng, shape, dtype) for shape in shapes]
    if case == "power of nothing":
        arrays = [np.abs(a) + 0.3 for a in arrays]
    arrays = [np.asarray(a, dtype) for a in arrays]
    want = reference.evaluate(definition, *arrays)
    check_close(run.evaluate(function, *arrays), want, 32, case)
    dy = draw(rng, want.shape, dtype)
    got = run.evaluate_backward(function, dy, *arrays)
    wanted = reference.evaluate_backward(definition, dy, *arrays)
    for one, other in zip(*[r if isinstance(r, tuple) else (r,) for r in (got, wanted)], strict=True):
        assert one.dtype == dtype
        bound = 64 if dtype == "float32" else 1e8  # of central differences
        check_close(one, other, bound, f"gradient of {case}")


@pytest.mark.parametrize("name", ["sign", *COMPOSED, *[n for n in UNARY if n != "sign"]])
def test_gradients_of_one_function(run, rng, name):
    x = in_domain(name, rng, (3, 7), "float64", "real")
    dy = draw(rng, x.shape, "float64")
    want = numeric_gradient(lambda x: getattr(reference, name)(x), x, dy)
    np.testing.assert_allclose(run.evaluate_backward(getattr(ops, name), dy, x), want, rtol=2e-7, atol=2e-8)


def test_gradients_where_they_have_two_sides(run):
    """Equal numbers share, a number that bounds gives all to what it bounds, and smooth functions are smooth."""
    x, dy = np.zeros(1), np.ones(1)
    a, b = run.evaluate_backward(ops.maximum, dy, x, x)
    assert (a, b) == (0.5, 0.5)
    a, b = run.evaluate_backward(ops.minimum, dy, x, x)
    assert (a, b) == (0.5, 0.5)
    for function, want in (
        (lambda x: ops.clip(x, 0, 1), 1),
        (lambda x: ops.clip(x, -1, 0), 1),
        (lambda x: ops.maximum(x, 0.0), 1),
        (lambda x: ops.minimum(0.0, x), 1),
        (ops.absolute, 0),
        (ops.softplus, 0.5),
        (ops.log_sigmoid, 0.5),
        (ops.mish, 0.6),
        (ops.gelu_tanh, 0.5),
        (lambda x: ops.power(x, 0.0), 0),
    ):
        np.testing.assert_allclose(run.evaluate_backward(function, dy, x), want, rtol=1e-15)
    # x^b by b at 0 is 0, not 0 * log(0).
    assert run.evaluate_backward(ops.power, dy, x, np.ones(1))[1] == 0


REDUCED = [
    ((7,), None),
    ((5, 9), 0),
    ((5, 9), -1),
    ((5, 9), (0, 1)),
    ((4, 3, 5, 6), (1, 2)),
    ((4, 3, 5, 6), (0, 2)),
    ((4, 3, 5, 6), (1, 3)),
    ((4, 3, 5, 6), 3),
    ((4, 3, 5, 6), (0, 1, 2)),
    ((2, 3, 4, 5, 6), (1, 3)),
    ((1000, 3), 0),
    ((3, 70000), 1),
    ((2, 700, 300), 1),
    ((300, 2, 2), 1),
    ((0, 3), 0),
    ((3, 0), 1),
    ((), None),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("shape", "axis"), REDUCED)
@pytest.mark.parametrize("name", ["sum", "mean"])
def test_sums_and_means(run, rng, name, shape, axis, fill, dtype):
    x = draw(rng, shape, dtype, fill)
    for keepdims in (False, True):
        if name == "mean" and 0 in shape and (axis == 0) == (shape[0] == 0):
            assert np.all(np.isnan(run.mean(x, axis, keepdims)))
            continue
        want = getattr(reference, name)(x, axis, keepdims)
        got = getattr(run, name)(x, axis, keepdims)
        assert got.dtype == dtype
        magnitude = getattr(reference, name)(np.abs(x), axis, keepdims)
        assert got.shape == want.shape
        assert np.all(np.abs(got - want) <= 2 * np.finfo(dtype).eps * magnitude)
        if x.size > 5000:
            continue
        dy = draw(rng, want.shape, dtype)
        back = getattr(run, f"{name}_backward")(dy, shape, axis, keepdims)
        check_close(back, getattr(reference, f"{name}_backward")(dy, shape, axis, keepdims), 2)


def test_sums_are_accurate(run, rng):
    """Added up in float64: a mean of a million numbers around 1e4."""
    x = (1e4 + rng.standard_normal((2, 500_000))).astype(np.float32)
    np.testing.assert_allclose(run.mean(x, 1), np.mean(x.astype(np.float64), 1), rtol=1e-7)


@pytest.mark.parametrize("dtype", FLOATS)
def test_pad(run, rng, dtype):
    for shape, padding in (
        ((3, 4), [(1, 2)]),
        ((2, 3, 4, 5), [(1, 0), (0, 2), (0, 0)]),
        ((2, 3), [(0, 0)]),
        ((2, 0), [(1, 1)]),
    ):
        x = draw(rng, shape, dtype)
        for value in (0.0, -1.5):
            np.testing.assert_array_equal(run.pad(x, padding, value), reference.pad(x, padding, value))


def test_more_elements_than_a_grid_has_threads(run):
    x = (np.arange(4_200_005) % 4099).astype(np.float32)
    np.testing.assert_array_equal(run.evaluate(lambda x: 2 * x + 1, x), 2 * x + 1)


def test_threads_and_the_same_bits(rng):
    x, y = draw(rng, (700, 333)), draw(rng, (700, 1))
    results = []
    for count in (1, 2, 3, 8):
        with threads(count):
            results.append(
                [
                    ops.evaluate(lambda a, b: ops.mish(a) * b + 1, x, y),
                    *ops.evaluate_backward(lambda a, b: ops.mish(a) * b + 1, x, x, y),
                    ops.sum(x, 0),
                    ops.sum(x, 1),
                    ops.mean(x),
                ]
            )
    for other in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_run_of_many_operations(run, rng):
    """As many as a kernel takes, and one that keeps many numbers at once."""
    x = draw(rng, (333,))

    def long(x):
        y = x
        for i in range(45):
            y = y * 0.9 + x / (i + 3.0)
        return y

    with pytest.raises(ValueError, match="expected one that fits a kernel"):
        ops.evaluate(long, x)

    def wide(x):
        terms = [x * x + float(i) for i in range(12)]
        total = terms[0]
        for term in reversed(terms):
            total = total * 0.5 + term
        return total

    check_close(run.evaluate(wide, x), reference.evaluate(wide, x), 16)


def test_strided_and_other_arguments(rng):
    a, b = draw(rng, (4, 6)).T, draw(rng, (6, 8))[:, ::2]
    np.testing.assert_array_equal(ops.subtract(a, b), a - b)
    np.testing.assert_array_equal(ops.divide([1.0, 2.0], [4.0, 8.0]), [0.25, 0.25])
    np.testing.assert_array_equal(ops.maximum([1.0, -2.0], 0), [1.0, 0.0])


A = np.ones((2, 3), np.float32)
BAD = {
    "shapes": (lambda: ops.subtract(A, A[:, :2]), ValueError, "b", r"\(2, 3\)", r"\(2, 2\)"),
    "mixed": (lambda: ops.divide(A, A.astype("f8")), TypeError, "b", "float32", "float64"),
    "integers": (lambda: ops.exp(A.astype("i4")), TypeError, "x", "float", "int32"),
    "integers beside": (lambda: ops.power(A, A.astype("i4")), TypeError, "b", "float", "int32"),
    "axis": (lambda: ops.sum(A, 2), ValueError, "axis", "rank 2", "2"),
    "axis twice": (lambda: ops.mean(A, (1, -1)), ValueError, "axis", "differ", "1 twice"),
    "no axis": (lambda: ops.sum(A, ()), ValueError, "axis", "at least one", "none"),
    "axis of text": (lambda: ops.sum(A, "rows"), TypeError, "axis", "integer", "'rows'"),
    "dy": (lambda: ops.sum_backward(A, (2, 3), 1), ValueError, "dy", r"\(2,\)", r"\(2, 3\)"),
    "bounds": (lambda: ops.clip(A, 1, 0), ValueError, "low", "at most high = 0", "1"),
    "pads": (lambda: ops.pad(A, [(1, 1), (1, 1)]), ValueError, "padding", "2 axes", "3"),
    "pads below 0": (lambda: ops.pad(A, [(-1, 1)]), ValueError, "padding", "at least 0", "-1"),
    "pads of one": (lambda: ops.pad(A, [1]), TypeError, "padding", "pairs", r"\[1\]"),
    "nothing": (lambda: ops.evaluate(lambda: 1), ValueError, "arrays", "at least one", "none"),
    "no expression": (lambda: ops.evaluate(lambda x: np.zeros(3), A), TypeError, "function", "nnx.ops", "ndarray"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])


def test_what_is_no_expression():
    with pytest.raises(TypeError, match="elementwise function expected numbers"):
        ops.evaluate(lambda x: ops.maximum(x, np.ones(3)), A)
    with pytest.raises(TypeError, match="gelu_tanh"):
        ops.evaluate(ops.gelu, A)
    with pytest.raises(TypeError, match=r"numpy.exp cannot take a Term"):
        ops.evaluate(np.exp, A)
    assert nnx.ops.evaluate(lambda x: np.float32(2) * x, A).sum() == 12
