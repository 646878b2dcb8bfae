"""Every backward function against central differences of its forward function, in float64.

The same cases run on the NumPy references, so that they are known to be right before anything is compared to them.
"""

import nnx
import numpy as np
import pytest
import reference
from harness import directional, draw

CASES = {}
SIZES = ("small", "large")
STEP = 1e-6


def case(function):
    """function(ops, rng, large) -> forward(*inputs) -> y, inputs, backward(dy, y) -> gradients of the inputs"""
    CASES[function.__name__] = function
    return function


def drawn(rng, *shapes):
    return tuple(draw(rng, shape, "float64") for shape in shapes)


@case
def dense(ops, rng, large):
    n, i, o = (37, 70, 33) if large else (3, 4, 5)
    x, w, b = drawn(rng, (n, i), (i, o), (o,))
    return ops.dense, (x, w, b), lambda dy, y: ops.dense_backward(dy, x, w)


def conv2d_case(name, small, large_shapes, **options):
    def conv2d(ops, rng, large):
        x, w = drawn(rng, *(large_shapes if large else small))
        (b,) = drawn(rng, w.shape[-1:])
        return (
            lambda x, w, b: ops.conv2d(x, w, b, **options),
            (x, w, b),
            lambda dy, y: ops.conv2d_backward(dy, x, w, **options),
        )

    CASES[f"conv2d {name}"] = conv2d


conv2d_case("plain", ((1, 4, 4, 2), (3, 2, 2, 3)), ((3, 12, 11, 9), (3, 3, 9, 20)))
conv2d_case(
    "strided",
    ((1, 5, 4, 2), (2, 3, 2, 2)),
    ((2, 13, 14, 5), (3, 4, 5, 17)),
    strides=(2, 1),
    padding=((1, 0), (2, 1)),
)
conv2d_case(
    "grouped",
    ((1, 4, 4, 4), (2, 2, 2, 6)),
    ((2, 9, 9, 12), (3, 3, 6, 14)),
    groups=2,
    padding="same",
    dilation=(1, 2),
)
conv2d_case("1x1", ((2, 2, 3, 3), (1, 1, 3, 2)), ((2, 8, 8, 33), (1, 1, 33, 18)))


def transposed_case(name, small, large_shapes, **options):
    def conv2d_transpose(ops, rng, large):
        x, w = drawn(rng, *(large_shapes if large else small))
        (b,) = drawn(rng, w.shape[2:3])
        return (
            lambda x, w, b: ops.conv2d_transpose(x, w, b, **options),
            (x, w, b),
            lambda dy, y: ops.conv2d_transpose_backward(dy, x, w, **options),
        )

    CASES[f"conv2d_transpose {name}"] = conv2d_transpose


transposed_case("plain", ((1, 3, 3, 2), (3, 2, 3, 2)), ((2, 9, 8, 9), (3, 3, 20, 9)))
transposed_case(
    "strided", ((1, 2, 3, 2), (3, 3, 2, 2)), ((2, 5, 6, 17), (4, 3, 9, 17)), strides=2, padding="same"
)
transposed_case(
    "of all options",
    ((1, 3, 2, 2), (2, 3, 2, 2)),
    ((2, 6, 7, 5), (3, 2, 6, 5)),
    strides=(2, 3),
    padding=((1, 0), (0, 2)),
    output_padding=(1, 2),
    dilation=(1, 2),
)


def pool_case(name, **options):
    def maximum(ops, rng, large):
        (x,) = drawn(rng, (2, 9, 8, 17) if large else (1, 5, 4, 2))
        index = ops.max_pool2d(x, **options)[1]
        return (
            lambda x: ops.max_pool2d(x, **options)[0],
            (x,),
            lambda dy, y: (ops.max_pool2d_backward(dy, index, x.shape, **options),),
        )

    def average(ops, rng, large, **more):
        (x,) = drawn(rng, (2, 9, 8, 17) if large else (1, 5, 4, 2))
        return (
            lambda x: ops.avg_pool2d(x, **options, **more),
            (x,),
            lambda dy, y: (ops.avg_pool2d_backward(dy, x.shape, **options, **more),),
        )

    CASES[f"max_pool2d {name}"] = maximum
    CASES[f"avg_pool2d {name}"] = average
    CASES[f"avg_pool2d {name}, padding counted"] = lambda *args: average(*args, count_include_pad=True)


pool_case("plain")
pool_case("overlapping", pool_size=3, strides=(1, 2), padding=((1, 0), (2, 1)))
pool_case("ceil", pool_size=(3, 2), strides=(3, 2), padding=((1, 1), (0, 1)), ceil_mode=True)
pool_case("dilated", pool_size=(2, 3), strides=(2, 1), padding=((2, 0), (1, 2)), dilation=2, ceil_mode=True)


@case
def global_max_pool2d(ops, rng, large):
    (x,) = drawn(rng, (3, 7, 6, 19) if large else (2, 2, 3, 2))
    return ops.global_max_pool2d, (x,), lambda dy, y: (ops.global_max_pool2d_backward(dy, x),)


def upsample_case(interpolation, size):
    def upsample2d(ops, rng, large):
        (x,) = drawn(rng, (2, 5, 6, 19) if large else (1, 2, 3, 2))
        return (
            lambda x: ops.upsample2d(x, size, interpolation),
            (x,),
            lambda dy, y: (ops.upsample2d_backward(dy, size, interpolation),),
        )

    CASES[f"upsample2d {interpolation} {size}"] = upsample2d


for upsample_size in (2, (3, 1), (1, 4)):
    upsample_case("nearest", upsample_size)
    upsample_case("bilinear", upsample_size)


@case
def global_avg_pool2d(ops, rng, large):
    (x,) = drawn(rng, (3, 7, 6, 19) if large else (2, 2, 3, 2))
    return ops.global_avg_pool2d, (x,), lambda dy, y: (ops.global_avg_pool2d_backward(dy, x.shape),)


def activation_case(name, *parameters):
    def activation(ops, rng, large):
        (x,) = drawn(rng, 501 if large else 12)
        f, g = getattr(ops, name), getattr(ops, f"{name}_backward")
        reads_input = name in ("gelu", "silu")
        return lambda x: f(x, *parameters), (x,), lambda dy, y: (g(dy, x if reads_input else y, *parameters),)

    CASES[" ".join([name, *map(str, parameters)])] = activation


for activation_name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"):
    activation_case(activation_name)
activation_case("leaky_relu", 0.3)
activation_case("elu", 0.5)


def reduction_case(name, axis, keepdims):
    def reduction(ops, rng, large):
        (x,) = drawn(rng, (7, 30, 5) if large else (2, 3, 2))
        f, g = getattr(ops, name), getattr(ops, f"{name}_backward")
        return lambda x: f(x, axis, keepdims), (x,), lambda dy, y: (g(dy, x.shape, axis, keepdims),)

    CASES[f"{name} axis {axis}"] = reduction


for reduced_axes in (None, 1, (0, 2)):
    reduction_case("sum", reduced_axes, False)
    reduction_case("mean", reduced_axes, True)


@case
def evaluate(ops, rng, large):
    a, b = drawn(rng, *(((31, 17), (17,)) if large else ((2, 3), (3,))))

    def function(a, b):
        return (a - b) / (1.0 + a * a) + abs(b) ** 1.5

    return (
        lambda a, b: ops.evaluate(function, a, b),
        (a, b),
        lambda dy, y: ops.evaluate_backward(function, dy, a, b),
    )


def softmax_case(name, axis):
    def softmax(ops, rng, large):
        (x,) = drawn(rng, (9, 40, 3) if large else (2, 4, 2))
        f, g = getattr(ops, name), getattr(ops, f"{name}_backward")
        return lambda x: f(x, axis=axis), (x,), lambda dy, y: (g(dy, y, axis=axis),)

    CASES[f"{name} axis {axis}"] = softmax


for softmax_axis in (-1, 1):
    softmax_case("softmax", softmax_axis)
    softmax_case("log_softmax", softmax_axis)


@case
def dropout(ops, rng, large):
    (x,) = drawn(rng, 501 if large else 12)
    key = {"rate": 0.4, "seed": 11, "layer": 1, "step": 3}
    return lambda x: ops.dropout(x, **key), (x,), lambda dy, y: (ops.dropout(dy, **key),)


@case
def batch_norm(ops, rng, large):
    x, gamma, beta = drawn(rng, *(((40, 3, 17), (17,), (17,)) if large else ((5, 2), (2,), (2,))))
    zero, one = np.zeros_like(gamma), np.ones_like(gamma)

    def forward(x, gamma, beta):
        return ops.batch_norm(x, gamma, beta, zero, one, training=True)[0]

    saved = ops.batch_norm(x, gamma, beta, zero, one, training=True)[3:]
    return forward, (x, gamma, beta), lambda dy, y: ops.batch_norm_backward(dy, x, gamma, *saved)


def sample_norm_case(name, small, large_shape, weights, **options):
    def norm(ops, rng, large):
        shape = large_shape if large else small
        x, gamma, beta = drawn(rng, shape, shape[-weights:], shape[-weights:])
        f, g = getattr(ops, name), getattr(ops, f"{name}_backward")
        return (
            lambda x, gamma, beta: f(x, gamma=gamma, beta=beta, **options),
            (x, gamma, beta),
            lambda dy, y: g(dy, x, gamma=gamma, **options),
        )

    CASES[f"{name} {options}"] = norm


sample_norm_case("layer_norm", (3, 4), (7, 3, 37), 1)
sample_norm_case("layer_norm", (2, 2, 3), (5, 4, 3, 9), 2, axis=(-2, -1), epsilon=0.1)
sample_norm_case("group_norm", (2, 2, 2, 4), (3, 5, 4, 18), 1, groups=2)
sample_norm_case("group_norm", (2, 6), (7, 33), 1, groups=3, epsilon=0.1)


@case
def local_response_norm(ops, rng, large):
    (x,) = drawn(rng, (4, 5, 33) if large else (2, 7))
    options = {"size": 5, "alpha": 0.3, "beta": 0.75, "k": 1.5}
    return (
        lambda x: ops.local_response_norm(x, **options),
        (x,),
        lambda dy, y: (ops.local_response_norm_backward(dy, x, **options),),
    )


def loss_case(name, reduction, **options):
    def loss(ops, rng, large):
        columns = 1 if "class_weight" in options else 9 if large else 4
        y, t = rng.uniform(0.05, 0.95, (2, 70 if large else 3, columns))
        weight = rng.uniform(0.5, 2, len(y))
        given = {"reduction": reduction, "sample_weight": weight, **options}
        if name == "softmax_cross_entropy":
            t = t / t.sum(axis=1, keepdims=True)
        f, g = getattr(ops, name), getattr(ops, f"{name}_backward")
        return lambda y: np.sum(f(y, t, **given)), (y,), lambda dy, value: (dy * g(y, t, **given),)

    CASES[f"{name} {reduction} {options or ''}"] = loss


for loss_reduction in ("mean", "sum", "none"):
    for loss_name in ("mean_squared_error", "mean_absolute_error", "huber", "half_sum_squared_error"):
        loss_case(loss_name, loss_reduction)
    loss_case("huber", loss_reduction, delta=0.2)
    for loss_name in ("binary_cross_entropy", "sigmoid_binary_cross_entropy"):
        loss_case(loss_name, loss_reduction, class_weight={0: 0.5, 1: 2.0})
    loss_case("softmax_cross_entropy", loss_reduction, label_smoothing=0.1)


def labels_case(ops, rng, large):
    rows, classes = (60, 11) if large else (4, 3)
    (z,) = drawn(rng, (rows, classes))
    labels, options = rng.integers(0, classes, rows), {"class_weight": rng.uniform(0.5, 2, classes)}
    return (
        lambda z: ops.softmax_cross_entropy(z, labels, **options),
        (z,),
        lambda dy, y: (dy * ops.softmax_cross_entropy_backward(z, labels, **options),),
    )


CASES["softmax_cross_entropy of labels"] = labels_case


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=2e-7 * max(1.0, np.max(np.abs(want))))


@pytest.mark.parametrize("ops", [nnx.ops, reference], ids=["nnx", "reference"])
@pytest.mark.parametrize("name", CASES)
def test_jacobian(rng, name, ops):
    """The whole Jacobian: columns by differences, rows by backward functions of unit vectors."""
    forward, inputs, backward = CASES[name](ops, rng, False)
    y = np.asarray(forward(*inputs))
    rows = []
    for k in range(y.size):
        dy = np.zeros(y.size)
        dy[k] = 1.0
        rows.append(backward(dy.reshape(y.shape), y))
    for position, x in enumerate(inputs):
        got = np.array([row[position].ravel() for row in rows])
        want = np.zeros_like(got)
        for column, where in enumerate(np.ndindex(x.shape)):
            moved = [a.copy() for a in inputs]
            moved[position][where] += STEP
            above = forward(*moved)
            moved[position][where] -= 2 * STEP
            want[:, column] = np.ravel(above - forward(*moved)) / (2 * STEP)
        close(got, want)


@pytest.mark.parametrize("ops", [nnx.ops, reference], ids=["nnx", "reference"])
@pytest.mark.parametrize("name", CASES)
def test_random_directions(rng, name, ops):
    forward, inputs, backward = CASES[name](ops, rng, True)
    y = np.asarray(forward(*inputs))
    for _ in range(3):
        dy = rng.standard_normal(y.shape)
        for position, (x, dx) in enumerate(zip(inputs, backward(dy, y), strict=True)):
            direction = rng.standard_normal(x.shape) / np.sqrt(x.size)

            def along(x, position=position):
                return np.asarray(forward(*inputs[:position], x, *inputs[position + 1 :]))

            want = directional(along, x, direction, dy)
            assert np.sum(dx * direction) == pytest.approx(want, rel=1e-6, abs=1e-6)


# Their gradients are those of draws, and have differences of their own in ops/test_augment.py.
DRAWN = {"center_crop", "random_contrast", "random_crop", "random_rotation", "random_translation"}


def test_every_backward_function_is_here():
    """Each <name>_backward of nnx.ops has a case above; the step's gradient is zero by definition."""
    backward = {name.removesuffix("_backward") for name in dir(nnx.ops) if name.endswith("_backward")}
    assert backward - {"step"} - DRAWN <= {name.split()[0] for name in CASES}
