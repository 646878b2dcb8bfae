"""A convolution and the max-pool behind it, which programs may compute together: exact on whole numbers."""

import numpy as np
import pytest
import reference
from harness import FLOATS
from nnx import _core

LOSS = {"kind": "half_sum_squared_error", "targets": "values", "reduction": "sum"}

# (input, filters, kernel, strides, padding, dilation), (pool, strides, padding, dilation, ceil_mode)
CASES = {
    "digits": (((28, 28, 1), 32, (3, 3), 1, "same", 1), (2, 2, "valid")),
    "digits, odd, narrow": (((11, 9, 1), 7, (3, 3), 1, "same", 1), (2, 2, "valid")),
    "two panels": (((10, 13, 1), 40, (5, 5), 1, "valid", 1), (2, 2, "valid")),
    "colours": (((20, 17, 3), 64, (5, 5), 2, "same", 1), (2, 2, "valid")),
    "eleven by eleven": (((47, 39, 3), 33, (11, 11), 4, 2, 1), (3, 3, "valid")),
    "rows between the windows": (((16, 15, 2), 5, (3, 2), 1, 1, 1), (2, 3, "valid")),
    "windows that share columns": (((16, 15, 2), 5, (3, 2), 1, 1, 1), ((2, 3), (2, 1), "valid")),
    "windows that share rows alone": (((16, 15, 2), 5, (3, 2), 1, 1, 1), ((3, 2), (2, 2), "valid")),
    "windows that share rows": (((16, 15, 2), 5, (3, 2), 1, 1, 1), (3, 2, "valid")),
    "pool dilated": (((17, 15, 2), 9, (3, 3), 1, "same", 1), (2, 2, "valid", 2)),
    "pool dilated down": (((16, 15, 2), 9, (3, 3), 1, "same", 1), (2, 2, "valid", (2, 1))),
    "pool dilated across": (((16, 15, 2), 9, (3, 3), 1, "same", 1), (2, 2, "valid", (1, 2))),
    "pool's last window cut": (((9, 11, 2), 5, (3, 3), 1, "same", 1), (2, 2, "valid", 1, True)),
    "pool's last window cut, many channels": (
        ((17, 13, 9), 41, (3, 3), 1, "same", 1),
        (2, 2, "valid", 1, True),
    ),
    "pool padded": (((9, 9, 2), 5, (3, 3), 1, "same", 1), (2, 2, "same")),
    "rows dilated": (((19, 11, 3), 6, (3, 3), 1, 3, (3, 1)), (2, 2, "valid")),
    "columns dilated": (((19, 19, 1), 6, (3, 3), 1, "same", (1, 2)), (2, 2, "valid")),
    "padding wider than the image": (((3, 2, 1), 4, (3, 3), 1, 6, 1), (2, 2, "valid")),
    "wide image": (((6, 700, 1), 4, (3, 3), 1, "same", 1), (2, 2, "valid")),
    "many channels": (((8, 8, 16), 32, (3, 3), 1, "same", 1), (2, 2, "valid")),
    "many channels, odd, narrow": (((17, 13, 9), 41, (3, 3), 1, "same", 1), (2, 2, "valid")),
    "many channels, few filters": (((15, 16, 17), 8, (3, 3), 1, "valid", 1), (2, 2, "valid")),
    "many channels, five by five": (((17, 18, 9), 41, (5, 5), 1, "same", 1), (2, 2, "valid")),
    "many channels, five by five, narrow": (((16, 15, 17), 8, (5, 5), 1, "valid", 1), (2, 2, "valid")),
    "many channels, large pool": (((15, 16, 8), 8, (3, 3), 1, "same", 1), (3, 3, "valid")),
    "many channels, spare rows": (((20, 16, 8), 8, (3, 3), 1, "same", 1), (2, 3, "valid")),
}


def network(case, activation, layers=1):
    (shape, filters, kernel, strides, padding, dilation), pool = CASES[case]
    graph = _core.Graph()
    x, shapes = graph.input(shape), []

    def conv(x, filters, kernel, *options):
        shapes.extend([(*kernel, graph.shape(x)[-1], filters), (filters,)])
        w, b = (graph.parameter(len(shapes) - 2 + i, shapes[-2 + i]) for i in range(2))
        return graph.conv2d(x, w, b, *options)

    if layers == 2:
        x = conv(x, shape[-1], (1, 1), 1, "valid", 1, 1, "identity", 0.0)
    y = conv(x, filters, kernel, strides, padding, dilation, 1, activation or "identity", 0.0)
    return graph, graph.max_pool2d(y, *pool), shapes


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_exact(rng, case, batch, activation, dtype):
    (shape, _, _, *options), pool = CASES[case]
    for layers in (1, 2):  # with two the input's gradient is wanted
        graph, output, shapes = network(case, activation, layers)
        parameters = _core.Parameters(
            [f"p{i}" for i in range(len(shapes))], shapes, [True] * len(shapes), dtype
        )
        values = [rng.integers(-1, 2, s).astype(dtype) for s in shapes]
        for i, value in enumerate(values):
            parameters.set(i, value)
        x = rng.integers(-1, 2, (batch, *shape)).astype(dtype)

        inner = x if layers == 1 else reference.conv2d(x, values[0], values[1])
        y = reference.conv2d(inner, *values[-2:], *options, activation=activation)
        pooled, index = reference.max_pool2d(y, *pool)
        got = _core.Program(graph, output, parameters, batch, False).predict(x, batch)
        np.testing.assert_array_equal(got, pooled)

        training = _core.Program(graph, output, parameters, batch, True, loss=LOSS, optimizer=None)
        # The gradient of the output: small whole numbers.
        dy = rng.integers(-1, 2, pooled.shape)
        assert training.train_step(x, (pooled - dy).astype(dtype), None, 0.0, 0) == np.sum(dy**2) / 2
        inside = reference.max_pool2d_backward(dy, index, y.shape)
        if activation == "relu":
            inside = np.where(y > 0, inside, 0)
        dx, *gradients = reference.conv2d_backward(inside, inner, values[-2], *options)
        if layers == 2:
            gradients = [*reference.conv2d_backward(dx, x, values[0])[1:], *gradients]
        for i, want in enumerate(gradients):
            np.testing.assert_array_equal(parameters.get(i, "gradient"), want, err_msg=f"parameter {i}")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", ["digits", "colours", "eleven by eleven"])
def test_not_a_number(rng, case, dtype):
    """A NaN of the image comes out of every window that sees it."""
    (shape, _, _, *options), pool = CASES[case]
    graph, output, shapes = network(case, "relu")
    parameters = _core.Parameters(["w", "b"], shapes, [True, True], dtype)
    values = [rng.integers(-2, 3, s).astype(dtype) for s in shapes]
    for i, value in enumerate(values):
        parameters.set(i, value)
    x = rng.integers(-2, 3, (2, *shape)).astype(dtype)
    x[1, 4, 5, 0] = np.nan
    want, _ = reference.max_pool2d(reference.conv2d(x, *values, *options, activation="relu"), *pool)
    np.testing.assert_array_equal(_core.Program(graph, output, parameters, 2, False).predict(x, 2), want)
    assert np.isnan(want).any()
    assert not np.isnan(want).all()


def test_both_outputs_wanted(rng):
    """The layer's own output has another reader: nothing may be left out."""
    graph = _core.Graph()
    x = graph.input((8, 8, 1))
    w = graph.parameter(0, (3, 3, 1, 4))
    y = graph.conv2d(x, w, -1, 1, "same", 1, 1, "relu", 0.0)
    small, mean = graph.max_pool2d(y, 8, 8, "valid"), graph.global_avg_pool2d(y)
    output = graph.add(graph.reshape(small, (4,)), mean)
    value = rng.integers(-2, 3, (3, 3, 1, 4)).astype("float32")
    parameters = _core.Parameters(["w"], [(3, 3, 1, 4)], [True], "float32")
    parameters.set(0, value)
    images = rng.integers(-2, 3, (2, 8, 8, 1)).astype("float32")
    want = reference.conv2d(images, value, padding="same", activation="relu")
    got = _core.Program(graph, output, parameters, 2, False).predict(images, 2)
    np.testing.assert_array_equal(got, want.max(axis=(1, 2)) + want.mean(axis=(1, 2)))
