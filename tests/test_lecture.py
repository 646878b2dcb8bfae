"""The lecture's own numbers."""

import math

import nnx
import numpy as np
import pytest


def test_softmax_of_five_numbers():
    z = np.array([1.3, 5.1, 2.2, 0.7, 1.1])
    powers = [math.exp(v) for v in z]
    assert powers[0] == pytest.approx(3.669, abs=5e-4)
    assert powers[1] == pytest.approx(164.02, abs=5e-3)
    assert powers[3] == pytest.approx(2.013, abs=1e-3)
    for dtype in (np.float32, np.float64):
        y = nnx.ops.softmax(z.astype(dtype))
        np.testing.assert_allclose(y, np.array(powers) / sum(powers), rtol=10 * np.finfo(dtype).eps)
        assert y.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(np.round(nnx.ops.softmax(z), 2), [0.02, 0.9, 0.05, 0.01, 0.02])


def test_softmax_of_cat_dog_and_horse():
    logits = np.array([[5, 4, 2], [4, 2, 8], [1, 4, 4]], np.float32)
    cut = np.floor(nnx.ops.softmax(logits) * 10) / 10
    np.testing.assert_allclose(cut, [[0.7, 0.2, 0.0], [0.0, 0.0, 0.9], [0.0, 0.4, 0.4]], atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_connector_filter(dtype):
    """A diagonal of two bright points answers with 2 * 255^2, one of them with 255^2."""
    image = np.array([[0, 0, 0, 0], [0, 0, 255, 0], [0, 255, 0, 0], [0, 0, 0, 0]], dtype)
    connector = np.array([[0, 255], [255, 0]], dtype)
    y = nnx.ops.conv2d(image.reshape(1, 4, 4, 1), connector.reshape(2, 2, 1, 1))[0, :, :, 0]
    want = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            want[i, j] = np.sum(image[i : i + 2, j : j + 2] * connector)
    np.testing.assert_array_equal(y, want)
    assert y[1, 1] == 130050
    assert y[0, 2] == y[2, 0] == 65025
    assert set(np.unique(y)) == {0, 65025, 130050}


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


# The activation, and its derivative from the activation's value.
UNITS = {
    "sigmoid": (sigmoid, lambda a: a * (1 - a)),
    "tanh": (np.tanh, lambda a: 1 - a * a),
    "relu": (lambda s: np.maximum(s, 0), lambda a: (a > 0) * 1.0),
}


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("output", ["sigmoid", None])
@pytest.mark.parametrize("hidden", UNITS)
def test_backpropagation(rng, hidden, output, batch):
    """delta_k = (t_k - y_k) g'(y_k),  dW_jk = eta delta_k h_j,  dV_ij = eta f'(h_j) sum_k W_jk delta_k x_i"""
    eta = 0.3
    v, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    x, t = rng.normal(size=(batch, 4)), rng.random((batch, 2))
    f, f_slope = UNITS[hidden]
    h = f(x @ v)
    y = sigmoid(h @ w) if output else h @ w
    dv, dw = np.zeros_like(v), np.zeros_like(w)
    for n in range(batch):
        for k in range(2):
            delta = (t[n, k] - y[n, k]) * (y[n, k] * (1 - y[n, k]) if output else 1.0)
            for j in range(3):
                dw[j, k] += eta * delta * h[n, j]
                for i in range(4):
                    dv[i, j] += eta * f_slope(h[n, j]) * w[j, k] * delta * x[n, i]

    model = nnx.Sequential(
        nnx.Dense(3, activation=hidden, use_bias=False), nnx.Dense(2, activation=output, use_bias=False)
    )
    model.compile(nnx.SGD(eta), nnx.losses.HalfSumSquaredError(), precision="float64")
    model.build((4,))
    model.set_weights([v, w])
    loss = model.train_step(x, t)
    assert loss == pytest.approx(np.sum((t - y) ** 2) / 2, rel=1e-12)
    got_v, got_w = model.get_weights()
    np.testing.assert_allclose(got_v, v + dv, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got_w, w + dw, rtol=1e-12, atol=1e-14)


def test_backpropagation_of_several_epochs(rng):
    """Online learning: a sample at a time, in order, as on the blackboard."""
    v, w = rng.normal(size=(2, 8)) / 2, rng.normal(size=(8, 1)) / 2
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
    t = np.array([[0], [1], [1], [0]], np.float64)
    model = nnx.Sequential(nnx.Dense(8, "tanh", use_bias=False), nnx.Dense(1, "sigmoid", use_bias=False))
    model.compile(nnx.SGD(0.5), nnx.losses.HalfSumSquaredError(), precision="float64")
    model.build((2,))
    model.set_weights([v, w])
    model.fit(x, t, batch_size=1, epochs=20, shuffle=False, verbose=0)
    for _ in range(20):
        for n in range(4):
            h = np.tanh(x[n] @ v)
            y = sigmoid(h @ w)
            delta = (t[n] - y) * y * (1 - y)
            w, v = w + 0.5 * np.outer(h, delta), v + 0.5 * np.outer(x[n], (1 - h * h) * (w @ delta))
    got_v, got_w = model.get_weights()
    np.testing.assert_allclose(got_v, v, rtol=1e-9)
    np.testing.assert_allclose(got_w, w, rtol=1e-9)


def test_step_decay_of_the_learning_rate():
    """Halved every five epochs."""
    schedule = nnx.schedules.StepDecay(0.1, factor=0.5, every=5)
    for epoch in range(30):
        assert schedule(epoch) == pytest.approx(0.1 * 0.5 ** (epoch // 5), rel=1e-12)


def test_exponential_decay_of_the_learning_rate():
    schedule = nnx.schedules.ExponentialDecay(0.1, 0.2)
    for epoch in range(30):
        assert schedule(epoch) == pytest.approx(0.1 * math.exp(-0.2 * epoch), rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "want"),
    [
        (nnx.schedules.StepDecay(0.2, factor=0.5, every=2), [0.2, 0.2, 0.1, 0.1, 0.05]),
        (nnx.schedules.ExponentialDecay(0.2, 0.5), [0.2 * math.exp(-0.5 * e) for e in range(5)]),
    ],
)
def test_decay_while_training(rng, schedule, want):
    """Each epoch moves the weights by its own rate."""
    model = nnx.Sequential(nnx.Dense(1, use_bias=False, kernel_initializer="zeros"))
    model.compile(nnx.SGD(schedule), nnx.losses.MeanAbsoluteError(), precision="float64")
    x, t = np.ones((4, 1)), np.full((4, 1), 100.0)
    history = model.fit(x, t, batch_size=4, epochs=5, verbose=0)
    np.testing.assert_allclose(history.history["learning_rate"], want, rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], np.sum(want), rtol=1e-9)


INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
GATES = {
    "and": ([1, 1], -1.5, [0, 0, 0, 1]),
    "or": ([1, 1], -0.5, [0, 1, 1, 1]),
    "nand": ([-1, -1], 1.5, [1, 1, 1, 0]),
}


@pytest.mark.parametrize("gate", GATES)
def test_perceptrons_are_gates(gate):
    weights, bias, want = GATES[gate]
    model = nnx.models.perceptron(2, activation="step")
    model.build((2,))
    model.set_weights([np.array(weights, np.float32).reshape(2, 1), np.array([bias], np.float32)])
    np.testing.assert_array_equal(model.predict(INPUTS).ravel(), want)


def test_the_threshold_itself_fires():
    """step(0) = 1."""
    model = nnx.models.perceptron(1, activation="step")
    model.build((1,))
    model.set_weights([np.ones((1, 1), np.float32), np.array([-1], np.float32)])
    np.testing.assert_array_equal(model.predict(np.array([[1.0]], np.float32)), [[1.0]])


@pytest.mark.parametrize("gate", GATES)
def test_a_perceptron_learns_a_gate(gate):
    """By its gradient, through the sigmoid."""
    want = np.array(GATES[gate][2])
    model = nnx.models.perceptron(2)
    model.compile(nnx.SGD(1.0), "bce", seed=1)
    model.fit(INPUTS, want.astype(np.float32), batch_size=4, epochs=500, verbose=0)
    np.testing.assert_array_equal(model.predict(INPUTS).ravel() > 0.5, want == 1)


def test_xor_takes_two_layers():
    """XOR = AND(OR, NAND)."""
    model = nnx.Sequential(nnx.Dense(2, activation="step"), nnx.Dense(1, activation="step"))
    model.build((2,))
    model.set_weights([
        np.array([[1, -1], [1, -1]], np.float32), np.array([-0.5, 1.5], np.float32),
        np.array([[1], [1]], np.float32), np.array([-1.5], np.float32),
    ])  # fmt: skip
    np.testing.assert_array_equal(model.predict(INPUTS).ravel(), [0, 1, 1, 0])


@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "relu"])
def test_a_network_learns_xor(hidden):
    model = nnx.Sequential(nnx.Dense(8, activation=hidden), nnx.Dense(1, activation="sigmoid"))
    model.compile(nnx.SGD(0.5, momentum=0.9), "bce", seed=4)
    t = np.array([[0], [1], [1], [0]], np.float32)
    history = model.fit(INPUTS, t, batch_size=4, epochs=1500, verbose=0)
    np.testing.assert_array_equal(model.predict(INPUTS) > 0.5, t > 0.5)
    assert history.history["loss"][-1] < 0.1


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_derivatives_of_the_blackboard(name):
    """sigmoid' = y (1 - y), tanh' = 1 - y^2, relu' = 0 or 1"""
    x = np.linspace(-4, 4, 33)
    y = getattr(nnx.ops, name)(x)
    np.testing.assert_allclose(
        getattr(nnx.ops, f"{name}_backward")(np.ones_like(x), y), UNITS[name][1](y), atol=1e-15
    )
