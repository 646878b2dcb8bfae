import nnx
import numpy as np
import pytest
import reference
from harness import FLOATS, check_ulps, draw, expect_bad

SIZES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 1000)
# Largest error in units in the last place; 0: the very bits.
FORWARD = {"step": 0, "sigmoid": 4, "tanh": 4, "relu": 0, "leaky_relu": 1, "elu": 4, "silu": 6}
OF_OUTPUT = ("sigmoid", "tanh", "relu", "leaky_relu", "elu")
ALL = (*FORWARD, "gelu")


def spread(rng, count, dtype):
    """Values of every size the activations tell apart, both signs, dense about zero."""
    limits = {"float32": (-40, 6.5), "float64": (-60, 9.5)}[dtype]
    sizes = 2.0 ** rng.uniform(*limits, count)
    return (sizes * rng.choice([-1, 1], count)).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FORWARD)
def test_forward(run, rng, name, dtype):
    x = spread(rng, 20_000, dtype)
    check_ulps(getattr(run, name)(x), getattr(reference, name)(x.astype(np.longdouble)), FORWARD[name])


@pytest.mark.parametrize("dtype", FLOATS)
def test_gelu(run, rng, dtype):
    """Within 4 units in the last place of x: on the negative side the result is a small difference."""
    x = spread(rng, 20_000, dtype)
    error = np.abs(run.gelu(x) - reference.gelu(x)) / np.spacing(np.abs(x))
    assert error.max() <= 4


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ALL)
def test_every_length(run, rng, name, dtype):
    """Vectors and remainders agree to the bit."""
    x, dy = draw(rng, 1000, dtype), draw(rng, 1000, dtype)
    y, dx = getattr(run, name)(x), getattr(run, f"{name}_backward")(dy, x)
    assert y.dtype == dx.dtype == x.dtype
    for size in SIZES:
        for start in (0, 1, 5):
            part = slice(start, start + size) if start + size <= 1000 else slice(1000 - size, 1000)
            np.testing.assert_array_equal(getattr(run, name)(x[part]), y[part])
            np.testing.assert_array_equal(getattr(run, f"{name}_backward")(dy[part], x[part]), dx[part])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ALL)
def test_backward(run, rng, name, dtype):
    x = np.concatenate([spread(rng, 2000, dtype), draw(rng, 2000, dtype)])
    dy = draw(rng, x.size, dtype)
    saved = getattr(run, name)(x) if name in OF_OUTPUT else x
    got = getattr(run, f"{name}_backward")(dy, saved)
    # In float64 the reference itself would be off by more than the kernel: s (1 - s) cancels.
    wide = dy, saved if name == "gelu" else saved.astype(np.longdouble)
    want = getattr(reference, f"{name}_backward")(*wide)
    if name in ("step", "relu"):
        np.testing.assert_array_equal(got, want)
    else:
        # 1 - y^2 and its kin cancel: measured against dy, the size of the gradient where act' is 1.
        error = np.abs(got - want) / np.spacing(np.abs(dy))
        assert error.max() <= 8


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("parameter", [0.0, 0.2, 1.0, 3.0])
def test_parameters(run, rng, parameter, dtype):
    x, dy = draw(rng, 301, dtype), draw(rng, 301, dtype)
    y = run.leaky_relu(x, negative_slope=parameter)
    check_ulps(y, reference.leaky_relu(x, parameter), 1)
    check_ulps(run.leaky_relu_backward(dy, y, parameter), reference.leaky_relu_backward(dy, y, parameter), 1)
    y = run.elu(x, alpha=parameter)
    check_ulps(y, reference.elu(x.astype(np.longdouble), parameter), 4)
    error = np.abs(run.elu_backward(dy, y, parameter) - reference.elu_backward(dy, y, parameter))
    assert np.max(error / np.spacing(np.abs(dy) * max(parameter, 1))) <= 4


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ALL)
def test_special_values(run, name, dtype):
    """NaN stays NaN, infinities reach the limits, zero keeps its value, nothing overflows on the way."""
    large = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, large, -large, 100.0, -100.0, 800.0, -800.0] * 3, dtype)
    y = getattr(run, name)(x)
    with np.errstate(invalid="ignore", over="ignore"):
        want = getattr(reference, name)(x)
    limit = {"gelu": 0.0, "silu": 0.0}.get(name)
    if limit is not None:  # minus infinity times zero: the limit, or NaN by the definition
        low = np.isneginf(x)
        assert np.all(np.isnan(y[low]) | (y[low] == limit))
        y, want = y[~low], want[~low]
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    finite = ~np.isnan(want)
    np.testing.assert_allclose(y[finite], want[finite].astype(dtype), rtol=1e-5, atol=np.finfo(dtype).tiny)


def test_gradients_at_the_corner(run):
    zero, one = np.zeros(5, np.float32), np.ones(5, np.float32)
    np.testing.assert_array_equal(run.relu_backward(one, zero), 0)
    np.testing.assert_array_equal(run.step(zero), 1)
    np.testing.assert_array_equal(run.step(np.float32([-1e-30, -0.0, 1e-30])), [0, 1, 1])
    np.testing.assert_array_equal(run.step_backward(one, one), 0)
    np.testing.assert_array_equal(run.leaky_relu_backward(one, zero), np.float32(0.01))


@pytest.mark.parametrize("name", ALL)
def test_any_shape_and_order(rng, name):
    x = np.asfortranarray(draw(rng, (3, 4, 5)))[:, ::-1]
    y = getattr(nnx.ops, name)(x)
    assert y.shape == x.shape
    np.testing.assert_array_equal(y, getattr(nnx.ops, name)(np.ascontiguousarray(x)))
    dx = getattr(nnx.ops, f"{name}_backward")(x, x)
    assert dx.shape == x.shape
    assert getattr(nnx.ops, name)(np.float32(0.5)).shape == ()


X = np.zeros((2, 3), np.float32)
BAD = {}
for name in ALL:
    f, g = getattr(nnx.ops, name), getattr(nnx.ops, f"{name}_backward")
    saved = "y" if name in (*OF_OUTPUT, "step") else "x"
    BAD[name] = (lambda f=f: f(X.astype("int32")), TypeError, "x", "float", "int32")
    BAD[f"{name} backward"] = (lambda g=g: g(X, X[:1]), ValueError, f"({saved}|dy)", r"\(., 3\)", r"\(., 3\)")
    BAD[f"{name} mixed"] = (
        lambda g=g: g(X, X.astype("float64")),
        TypeError,
        f"({saved}|dy)",
        "float",
        "float",
    )
BAD["slope"] = (lambda: nnx.ops.leaky_relu(X, float("nan")), ValueError, "negative_slope", "finite", "nan")
BAD["alpha"] = (lambda: nnx.ops.elu(X, float("inf")), ValueError, "alpha", "finite", "inf")


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
