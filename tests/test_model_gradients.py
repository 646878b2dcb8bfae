"""Gradients of whole programs: the loss of a training step against central differences of it, in float64."""

import nnx
import numpy as np
import pytest
from harness import PROGRAM_DEVICE
from nnx import _core

STEP = 1e-6
BATCH = 4


class Network:
    """A graph under construction: declares parameters beside the nodes that read them."""

    def __init__(self, input_shape, rng):
        self.graph, self.rng = _core.Graph(), rng
        self.x = self.graph.input(input_shape)
        self.values, self.trainable = [], []

    def parameter(self, shape, low=-0.7, high=0.7, trainable=True):
        # Divided by the root of the fan-in: a loss in the thousands would drown its own differences.
        fan_in = max(1.0, np.prod(shape[:-1]) / 10)
        self.values.append(self.rng.uniform(low, high, shape) / np.sqrt(fan_in))
        self.trainable.append(trainable)
        return self.graph.parameter(len(self.values) - 1, shape)

    def dense(self, x, units, activation="identity", alpha=0.0, bias=True):
        inputs = self.graph.shape(x)[-1]
        w, b = self.parameter((inputs, units)), self.parameter((units,)) if bias else -1
        return self.graph.dense(x, w, b, activation, alpha)

    def conv(
        self,
        x,
        filters,
        size,
        strides=1,
        padding="valid",
        dilation=1,
        groups=1,
        activation="identity",
        bias=True,
    ):
        depth = self.graph.shape(x)[-1] // groups
        w = self.parameter((*size, depth, filters))
        b = self.parameter((filters,)) if bias else -1
        return self.graph.conv2d(x, w, b, strides, padding, dilation, groups, activation, 0.0)

    def batch_norm(self, x):
        channels = self.graph.shape(x)[-1:]
        gamma, beta = self.parameter(channels, 0.5, 1.5), self.parameter(channels)
        mean = self.parameter(channels, trainable=False)
        variance = self.parameter(channels, 0.5, 1.5, trainable=False)
        return self.graph.batch_norm(x, gamma, beta, mean, variance, 0.9, 1e-5)

    def sample_norm(self, x, groups=None, axes=1, scale=True, center=True):
        shape = self.graph.shape(x)[-axes:]
        gamma = self.parameter(shape, 0.5, 1.5) if scale else -1
        beta = self.parameter(shape) if center else -1
        if groups is None:
            return self.graph.layer_norm(x, gamma, beta, axes, 1e-3)
        return self.graph.group_norm(x, gamma, beta, groups, 1e-3)

    def transposed(self, x, filters, size, bias=True, **options):
        w = self.parameter((*size, filters, self.graph.shape(x)[-1]))
        return self.graph.conv2d_transpose(x, w, self.parameter((filters,)) if bias else -1, **options)

    def program(self, output, loss, batch=BATCH, seed=5, dtype="float64"):
        names = [f"p{i}" for i in range(len(self.values))]
        shapes = [value.shape for value in self.values]
        self.parameters = _core.Parameters(names, shapes, self.trainable, dtype, PROGRAM_DEVICE)
        for i, value in enumerate(self.values):
            self.parameters.set(i, value)
        return _core.Program(
            self.graph, output, self.parameters, batch, True, loss=loss, optimizer=None, seed=seed
        )


MSE = {"kind": "mean_squared_error", "targets": "values", "reduction": "mean"}


def check(network, output, loss, x, y, sample_weight=None, most=40):
    """Every parameter, up to `most` elements of each."""
    program = network.program(output, loss)
    parameters, step = network.parameters, 3  # the same step, so the same dropout masks

    def value():
        return program.train_step(x, y, sample_weight, 0.0, step)

    assert np.isfinite(value())
    trained = [i for i, trainable in enumerate(network.trainable) if trainable]
    gradients = {i: parameters.get(i, "gradient") for i in trained}
    for i in trained:
        kept = network.values[i]
        places = list(np.ndindex(kept.shape))
        if len(places) > most:
            places = [places[k] for k in network.rng.choice(len(places), most, replace=False)]
        for place in places:
            differences = []
            for sign in (1, -1):
                moved = kept.copy()
                moved[place] += sign * STEP
                parameters.set(i, moved)
                differences.append(value())
            parameters.set(i, kept)
            want = (differences[0] - differences[1]) / (2 * STEP)
            assert gradients[i][place] == pytest.approx(want, rel=1e-5, abs=1e-7), f"parameter {i} at {place}"
    assert any(np.any(g != 0) for g in gradients.values())


def data(rng, network, output, input_shape, loss):
    x = rng.standard_normal((BATCH, *input_shape))
    shape = (BATCH, *network.graph.shape(output))
    if loss["targets"] == "labels":
        y = rng.integers(0, shape[-1], BATCH)
    elif loss["targets"] == "one_hot":
        y = np.eye(shape[-1])[rng.integers(0, shape[-1], BATCH)]
    elif loss["kind"] == "binary_cross_entropy":
        y = rng.integers(0, 2, shape).astype(np.float64)
    else:
        y = rng.standard_normal(shape)
    return x, y


def two_dense(n):
    return n.dense(n.dense(n.x, 6, "tanh"), 3)


def rank_three(n):
    return n.dense(n.dense(n.graph.reshape(n.x, (2, 4)), 3, "sigmoid"), 2)


def residual(n):
    h = n.dense(n.x, 5, "relu")
    h = n.graph.add(h, n.dense(h, 5, "tanh"))
    return n.dense(n.graph.add(h, h), 2)


def branches(n):
    a, b = n.dense(n.x, 3, "sigmoid"), n.dense(n.x, 4, "elu", 1.0)
    joined = n.graph.concat([a, b, a], -1)
    return n.dense(n.graph.multiply(joined, n.graph.scale(joined, 0.5)), 2)


def product_with_itself(n):
    h = n.dense(n.x, 4)
    return n.graph.multiply(h, h)


def shared(n):
    w, b = n.parameter((8, 8)), n.parameter((8,))
    return n.graph.dense(n.graph.dense(n.x, w, b, "tanh", 0.0), w, b, "sigmoid", 0.0)


def input_into_the_sum(n):
    return n.graph.add(n.dense(n.x, 8, "silu"), n.x)


def dropped(n):
    h = n.graph.dropout(n.dense(n.x, 10, "relu"), 0.4, 0)
    return n.dense(n.graph.dropout(h, 0.2, 1), 3)


def normed(n):
    return n.dense(n.graph.activation(n.batch_norm(n.dense(n.x, 5, bias=False)), "relu", 0.0), 2)


def layer_normed(n):
    h = n.sample_norm(n.dense(n.x, 6, "tanh"))
    return n.dense(n.graph.add(h, n.sample_norm(h, scale=False)), 2)


def layer_normed_rows(n):
    h = n.sample_norm(n.graph.reshape(n.x, (2, 4)), center=False)
    return n.dense(n.sample_norm(n.dense(h, 3, "relu"), axes=2), 2)


def no_bias(n):
    return n.dense(n.dense(n.x, 5, "gelu", bias=False), 2, bias=False)


def softmax_in_the_middle(n):
    return n.dense(n.graph.softmax(n.dense(n.x, 4)), 2)


def log_softmax_in_the_middle(n):
    return n.dense(n.graph.log_softmax(n.dense(n.x, 4)), 2)


FLAT = [
    two_dense, rank_three, residual, branches, product_with_itself, shared, input_into_the_sum, dropped, normed, no_bias,
    layer_normed, layer_normed_rows,
    softmax_in_the_middle, log_softmax_in_the_middle,
]  # fmt: skip


@pytest.mark.parametrize("build", FLAT)
def test_dense_networks(rng, build):
    network = Network((8,), rng)
    output = build(network)
    check(network, output, MSE, *data(rng, network, output, (8,), MSE))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(
    ("kind", "alpha"),
    [("sigmoid", 0), ("tanh", 0), ("relu", 0), ("leaky_relu", 0.1), ("elu", 0.7), ("gelu", 0), ("silu", 0)],
)
def test_activations(rng, kind, alpha, fused):
    network = Network((8,), rng)
    if fused:
        hidden = network.dense(network.x, 6, kind, alpha)
    else:
        hidden = network.graph.activation(network.dense(network.x, 6), kind, alpha)
    output = network.dense(hidden, 3, kind, alpha)
    check(network, output, MSE, *data(rng, network, output, (8,), MSE))


@pytest.mark.parametrize("kind", ["relu", "tanh", "gelu"])
def test_wide_networks(rng, kind):
    """Layers of several tiles across: what is fused into their gradients, whole panels and the last, narrow one."""
    network = Network((70,), rng)
    h = network.dense(network.dense(network.x, 96, kind), 75, kind)
    h = network.graph.add(h, network.dense(h, 75, kind))
    output = network.dense(h, 33)
    check(network, output, MSE, *data(rng, network, output, (70,), MSE), most=60)


@pytest.mark.parametrize("kind", ["relu", "sigmoid", "silu"])
@pytest.mark.parametrize("groups", [1, 2])
def test_wide_convolutions(rng, kind, groups):
    shape = (9, 8, 6)
    network = Network(shape, rng)
    h = network.conv(network.x, 64, (3, 3), padding=1, groups=groups, activation=kind)
    h = network.graph.add(h, network.conv(h, 64, (3, 3), padding="same", groups=groups, activation=kind))
    h = network.conv(h, 70, (2, 3), strides=(2, 1), groups=groups, activation=kind)
    output = network.dense(network.graph.global_avg_pool2d(h), 5)
    check(network, output, MSE, *data(rng, network, output, shape, MSE), most=25)


IMAGE = (7, 6, 4)


def flat(n, x):
    return n.dense(n.graph.reshape(x, (-1,)), 3)


def conv_plain(n):
    return flat(n, n.conv(n.conv(n.x, 5, (3, 3), activation="relu"), 4, (2, 2), activation="tanh"))


def conv_all_options(n):
    h = n.conv(n.x, 6, (3, 2), strides=(2, 1), padding=((1, 2), (0, 1)), groups=2, activation="sigmoid")
    return flat(n, n.conv(h, 3, (2, 2), dilation=(1, 2), padding="same", bias=False))


def conv_depthwise(n):
    h = n.conv(n.x, 20, (1, 1), activation="relu")
    h = n.conv(h, 20, (3, 3), padding="same", groups=20, activation="tanh")
    return flat(n, n.conv(h, 20, (3, 3), strides=2, padding=1, groups=20, bias=False))


def conv_gelu(n):
    return flat(n, n.conv(n.x, 4, (3, 3), padding="same", activation="gelu"))


def conv_pools(n):
    h = n.graph.max_pool2d(n.conv(n.x, 5, (3, 3), padding=1, activation="relu"), 2, 2, "valid")
    return flat(n, n.graph.avg_pool2d(h, 2, 1, "same", False))


def conv_overlapping(n):
    h = n.graph.max_pool2d(n.conv(n.x, 3, (1, 1)), 3, 2, 1)
    return flat(n, n.graph.avg_pool2d(h, (2, 2), (1, 1), 1, True))


def conv_global(n):
    return n.dense(n.graph.global_avg_pool2d(n.conv(n.x, 6, (3, 3), activation="elu")), 3)


def conv_residual(n):
    h = n.conv(n.x, 4, (3, 3), padding="same", activation="relu")
    return flat(n, n.graph.activation(n.graph.add(n.conv(h, 4, (3, 3), padding="same"), h), "relu", 0.0))


def conv_norms(n):
    h = n.graph.activation(n.batch_norm(n.conv(n.x, 5, (3, 3), bias=False)), "relu", 0.0)
    return flat(n, n.graph.local_response_norm(h, 3, 0.3, 0.75, 1.0))


def conv_branches(n):
    a = n.conv(n.x, 2, (1, 1), activation="relu")
    b = n.conv(n.x, 3, (3, 3), padding="same", activation="tanh")
    return flat(n, n.conv(n.graph.concat([a, b, n.x], -1), 2, (3, 3)))


def conv_shared(n):
    w = n.parameter((3, 3, 4, 4))
    h = n.graph.conv2d(n.x, w, -1, 1, "same", 1, 1, "tanh", 0.0)
    return flat(n, n.graph.conv2d(h, w, -1, 1, "same", 1, 1, "identity", 0.0))


def conv_normalized(n):
    mean, deviation = n.parameter((4,), trainable=False), n.parameter((4,), 0.5, 2, trainable=False)
    return flat(n, n.conv(n.graph.normalize(n.x, mean, deviation), 3, (3, 3)))


def inner_normalized(n):
    mean, deviation = n.parameter((4,), trainable=False), n.parameter((4,), 0.5, 2, trainable=False)
    return flat(n, n.graph.normalize(n.conv(n.x, 4, (3, 3)), mean, deviation))


def concat_of_rows(n):
    a, b = n.conv(n.x, 3, (1, 1)), n.conv(n.x, 3, (3, 1))
    return flat(n, n.graph.concat([a, b], 1))


def conv_group_norms(n):
    h = n.graph.activation(n.sample_norm(n.conv(n.x, 6, (3, 3), bias=False), groups=3), "relu", 0.0)
    h = n.graph.add(h, n.sample_norm(h, groups=6, scale=False))
    return flat(n, n.sample_norm(h, groups=1, center=False))


def conv_transposed(n):
    h = n.conv(n.x, 5, (3, 3), strides=2, activation="relu")
    h = n.graph.activation(n.transposed(h, 3, (3, 2), strides=2, padding="same"), "tanh", 0.0)
    return flat(n, n.transposed(h, 2, (2, 2), bias=False, strides=(2, 1), output_padding=(1, 0)))


def conv_transposed_of_a_sum(n):
    """The gradient of what several layers read is added up."""
    h = n.conv(n.x, 4, (3, 3))
    a, b = (
        n.transposed(h, 2, (3, 3), dilation=2),
        n.transposed(h, 2, (3, 3), padding=((0, 0), (0, 0)), dilation=2),
    )
    return flat(n, n.graph.multiply(a, b))


def conv_transposed_input(n):
    return flat(n, n.transposed(n.x, 2, (2, 3), strides=(1, 2)))


def conv_resized(n):
    h = n.graph.upsample2d(n.conv(n.x, 3, (3, 3), activation="relu"), (2, 3), "nearest")
    h = n.graph.add(h, n.graph.upsample2d(n.graph.avg_pool2d(h, 2, 2, "valid", False), 2, "bilinear"))
    return flat(n, n.graph.max_pool2d(h, 3, 2, 1, 2, True))


def conv_global_maximum(n):
    h = n.conv(n.x, 6, (3, 3), activation="elu")
    both = n.graph.concat([n.graph.global_max_pool2d(h), n.graph.global_avg_pool2d(h)], -1)
    return n.dense(both, 3)


def conv_ceil_pools(n):
    h = n.graph.max_pool2d(n.conv(n.x, 5, (3, 3), padding=1, activation="relu"), 2, 2, "valid", 1, True)
    h = n.graph.max_pool2d(n.conv(h, 4, (3, 3), padding=1, activation="tanh"), 2, 1, "valid", (2, 1), False)
    return flat(n, n.graph.avg_pool2d(h, 2, 2, 1, True, 2, True))


IMAGES = [
    conv_plain, conv_all_options, conv_depthwise, conv_gelu, conv_pools, conv_overlapping, conv_global, conv_residual,
    conv_norms, conv_branches, conv_shared, conv_normalized, inner_normalized, concat_of_rows,
    conv_group_norms, conv_transposed, conv_transposed_of_a_sum, conv_transposed_input, conv_resized,
    conv_global_maximum, conv_ceil_pools,
]  # fmt: skip


@pytest.mark.parametrize("build", IMAGES)
def test_convolutional_networks(rng, build):
    network = Network(IMAGE, rng)
    output = build(network)
    check(network, output, MSE, *data(rng, network, output, IMAGE, MSE))


@pytest.mark.parametrize("kind", ["relu", "leaky_relu", "identity"])
@pytest.mark.parametrize("width", [16, 64])
def test_convolutions_of_many_points_in_float32(rng, kind, width):
    """What float32 alone goes through, on whole numbers: the gradients of float64, to the last bit.

    One array of weights is used by two layers, and one activation is read by three: gradients of both are summed.
    """
    network = Network((9, 10, 8), rng)
    alpha = 0.5 if kind == "leaky_relu" else 0.0
    shared = network.parameter((3, 3, width, width))

    def conv(h, w, bias):
        return network.graph.conv2d(h, w, bias, 1, "same", 1, 1, kind, alpha)

    h = conv(network.x, network.parameter((3, 3, 8, width)), network.parameter((width,)))
    h = conv(h, network.parameter((3, 3, width, width)), -1)
    a, b = conv(h, shared, network.parameter((width,))), conv(h, shared, -1)
    h = network.graph.add(network.graph.add(a, b), h)
    output = network.conv(h, 9, (3, 3))
    # Some three inputs to an output: sums stay far below the 2^22 up to which Winograd's are exact.
    network.values = [
        rng.choice((-1, 1), v.shape) * (rng.random(v.shape) < 3 / np.prod((1, *v.shape[:-1])))
        for v in network.values
    ]
    x = rng.integers(-1, 2, (BATCH, 9, 10, 8))
    y = rng.integers(-2, 3, (BATCH, *network.graph.shape(output)))
    loss = {"kind": "half_sum_squared_error", "targets": "values", "reduction": "sum"}
    gradients = {}
    for dtype in ("float32", "float64"):
        program = network.program(output, loss, dtype=dtype)
        program.train_step(x.astype(dtype), y.astype(dtype), None, 0.0, 3)
        gradients[dtype] = [network.parameters.get(i, "gradient") for i in range(len(network.values))]
    for i, (got, want) in enumerate(zip(gradients["float32"], gradients["float64"], strict=True)):
        assert np.any(want)
        np.testing.assert_array_equal(got, want, err_msg=f"parameter {i}")


LOSSES = [
    {"kind": kind, "targets": "values", "reduction": reduction, **more}
    for kind, more in (
        ("mean_squared_error", {}),
        ("mean_absolute_error", {}),
        ("huber", {"delta": 0.5}),
        ("half_sum_squared_error", {}),
        ("binary_cross_entropy", {"from_logits": True}),
    )
    for reduction in ("mean", "sum")
] + [
    {
        "kind": "softmax_cross_entropy",
        "targets": targets,
        "from_logits": True,
        "reduction": reduction,
        "label_smoothing": s,
    }
    for targets in ("labels", "one_hot")
    for reduction in ("mean", "sum")
    for s in (0.0, 0.1)
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: " ".join(str(v) for v in loss.values()))
def test_losses(rng, loss, weighted):
    network = Network((8,), rng)
    output = network.dense(network.dense(network.x, 5, "tanh"), 3)
    x, y = data(rng, network, output, (8,), loss)
    check(network, output, loss, x, y, rng.uniform(0.5, 2, BATCH) if weighted else None)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", ["softmax_cross_entropy", "binary_cross_entropy"])
def test_losses_of_probabilities(rng, kind, fused):
    """A softmax or sigmoid at the end: the loss is computed from the logits, and is the same."""
    loss = {"kind": kind, "targets": "one_hot" if kind.startswith("soft") else "values", "from_logits": False}
    network = Network((8,), rng)
    if kind == "softmax_cross_entropy":
        output = network.graph.softmax(network.dense(network.x, 3))
    elif fused:
        output = network.dense(network.x, 3, "sigmoid")
    else:
        output = network.graph.activation(network.dense(network.x, 3), "sigmoid", 0.0)
    x, y = data(rng, network, output, (8,), loss)
    check(network, output, loss, x, y)
    z = x @ network.values[0] + network.values[1]
    plain = (
        nnx.ops.softmax_cross_entropy(z, y)
        if kind.startswith("soft")
        else nnx.ops.sigmoid_binary_cross_entropy(z, y)
    )
    program = network.program(output, loss)
    assert program.train_step(x, y, None, 0.0, 0) == pytest.approx(float(plain), rel=1e-12)


def test_probabilities_that_are_no_softmax(rng):
    """Cross-entropy of an output that is not a softmax node: by its logarithm."""
    loss = {"kind": "softmax_cross_entropy", "targets": "labels", "from_logits": False}
    network = Network((8,), rng)
    probabilities = network.graph.softmax(network.dense(network.x, 3))
    output = network.graph.scale(network.graph.add(probabilities, probabilities), 0.5)
    check(network, output, loss, *data(rng, network, output, (8,), loss))


def test_model_through_the_public_interface(rng):
    """One step of SGD with learning rate 1 moves the weights by minus the gradient."""
    x, y = rng.standard_normal((16, 6, 6, 2)), rng.integers(0, 3, 16)
    model = nnx.Sequential(
        nnx.Conv2D(4, 3, activation="relu"), nnx.MaxPool2D(2), nnx.Flatten(), nnx.Dense(5, activation="tanh"),
        nnx.Dense(3, activation="softmax"),
    )  # fmt: skip
    model.compile(optimizer=nnx.SGD(learning_rate=1.0), loss="cross_entropy", precision="float64", seed=1)
    model.build((6, 6, 2))
    before = model.get_weights()
    loss = model.train_step(x, y)
    gradients = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
    assert before[0].dtype == np.float64
    model.set_weights(before)
    assert model.evaluate(x, y)["loss"] == pytest.approx(loss, rel=1e-12)
    for _ in range(3):
        direction = [rng.standard_normal(w.shape) for w in before]
        sides = []
        for sign in (1, -1):
            model.set_weights([w + sign * STEP * d for w, d in zip(before, direction, strict=True)])
            sides.append(model.evaluate(x, y)["loss"])
        want = (sides[0] - sides[1]) / (2 * STEP)
        got = sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True))
        assert got == pytest.approx(want, rel=1e-5)
