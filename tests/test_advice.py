"""Messages that say what to type, warnings of what will not learn, probabilities told from logits."""

import warnings

import nnx
import numpy as np
import pytest
from nnx import ops

TRANSPOSE = r"x\.transpose\(0, 2, 3, 1\)"


def data(samples=24, features=4, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, features)), rng.integers(0, classes, samples)


def convolutions(classes=10, flatten=True):
    parts = [nnx.Conv2D(4, 3, padding="same"), nnx.MaxPool2D(2)]
    return nnx.Sequential(*parts, *([nnx.Flatten()] if flatten else []), nnx.Dense(classes))


# Probabilities and logits


class Ends(nnx.Model):
    def __init__(self, end):
        super().__init__()
        self.dense, self.other, self.inner = (
            nnx.Dense(3),
            nnx.Dense(3),
            nnx.Sequential(nnx.Dense(3), nnx.Softmax()),
        )
        self.end = end

    def forward(self, x):
        return self.end(self, x)


PROBABILITIES = {
    "softmax": lambda m, x: ops.softmax(m.dense(x)),
    "sigmoid": lambda m, x: ops.sigmoid(m.dense(x)),
    "softmax * 1.0": lambda m, x: ops.softmax(m.dense(x)) * 1.0,
    "sigmoid / 1": lambda m, x: ops.sigmoid(m.dense(x)) / 1,
    "softmax, reshape": lambda m, x: ops.reshape(ops.reshape(ops.softmax(m.dense(x)), (1, 3)), (3,)),
    "sigmoid, reshape": lambda m, x: ops.reshape(ops.reshape(ops.sigmoid(m.dense(x)), (1, 3)), (3,)),
    "dropout of nothing": lambda m, x: ops.dropout(ops.softmax(m.dense(x)), 0.0),
    "a model inside": lambda m, x: m.inner(x),
    "a mean of two": lambda m, x: (ops.softmax(m.dense(x)) + ops.softmax(m.other(x))) / 2,
    "a product": lambda m, x: ops.multiply(ops.sigmoid(m.dense(x)), ops.sigmoid(m.other(x))),
    "a pool": lambda m, x: ops.global_avg_pool2d(ops.reshape(ops.sigmoid(m.dense(x)), (1, 1, 3))),
    "1 - sigmoid": lambda m, x: 1 - ops.sigmoid(m.dense(x)),
    "softmax + 0": lambda m, x: ops.softmax(m.dense(x)) + 0,
    "clipped": lambda m, x: ops.clip(ops.softmax(m.dense(x)), 1e-7, 1 - 1e-7),
    "columns reversed": lambda m, x: ops.sigmoid(m.dense(x))[:, ::-1],
    "hard sigmoid": lambda m, x: ops.clip(ops.hard_sigmoid(m.dense(x)), 0.01, 0.99),
    "tanh between 0 and 1": lambda m, x: (ops.tanh(m.dense(x)) + 1) * 0.5,
    "columns": lambda m, x: ops.concat([ops.sigmoid(m.dense(x)), ops.softmax(m.other(x))]),
}
LOGITS = {
    "dense": lambda m, x: m.dense(x),
    "softmax * 2.0": lambda m, x: ops.softmax(m.dense(x)) * 2.0,
    "a sum of two": lambda m, x: ops.softmax(m.dense(x)) + ops.softmax(m.other(x)),
    "a difference": lambda m, x: ops.sigmoid(m.dense(x)) - ops.sigmoid(m.other(x)),
    "tanh": lambda m, x: ops.tanh(m.dense(x)),
    "relu": lambda m, x: ops.relu(m.dense(x)),
    "relu over 1": lambda m, x: ops.minimum(m.dense(x), 1.0),
    "sigmoid + 1": lambda m, x: ops.sigmoid(m.dense(x)) + 1,
    "dense behind a sigmoid": lambda m, x: m.other(ops.sigmoid(m.dense(x))),
}


def evaluated(end, loss, y, **options):
    x, _ = data()
    model = Ends(end)
    model.compile("sgd", loss, device="cpu", precision="float64", seed=3, **options)
    model.build((4,))
    return model.predict(x), model.evaluate(x, y)


@pytest.mark.parametrize("end", PROBABILITIES)
def test_probabilities_are_found_where_the_graph_shows_them(end):
    _, y = data()
    p, found = evaluated(PROBABILITIES[end], "cross_entropy", y)
    expected = -np.mean(np.log((p / p.sum(1, keepdims=True))[np.arange(len(y)), y]))
    assert found["loss"] == pytest.approx(expected, rel=1e-12)
    t = (np.random.default_rng(1).random(p.shape) > 0.5).astype(float)
    p, found = evaluated(PROBABILITIES[end], "bce", t, metrics=["binary_accuracy"])
    assert found["loss"] == pytest.approx(-np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)), rel=1e-12)
    assert found["binary_accuracy"] == np.mean((p > 0.5) == (t > 0.5))


@pytest.mark.parametrize("end", LOGITS)
def test_all_else_counts_as_logits(end):
    _, y = data()
    z, found = evaluated(LOGITS[end], "cross_entropy", y)
    expected = np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y])
    assert found["loss"] == pytest.approx(expected, rel=1e-12)
    t = (np.random.default_rng(1).random(z.shape) > 0.5).astype(float)
    z, found = evaluated(LOGITS[end], "bce", t, metrics=["binary_accuracy"])
    assert found["loss"] == pytest.approx(np.mean(np.log1p(np.exp(z)) - t * z), rel=1e-12)
    assert found["binary_accuracy"] == np.mean((z > 0) == (t > 0.5))


def test_the_gradient_of_binary_cross_entropy_behind_a_softmax():
    x, y = data()
    t = np.eye(3)[y]
    model = Ends(PROBABILITIES["softmax"])
    model.compile("sgd", "bce", device="cpu", precision="float64", seed=3)
    with pytest.warns(UserWarning, match="will not learn"):
        model.train_step(x, t)
    _, gradients = model.gradients(x, t)
    kernel = model.dense.kernel.numpy()
    step = np.zeros_like(kernel)
    step[1, 2] = 1e-6
    losses = []
    for sign in (1, -1):
        model.dense.kernel.assign(kernel + sign * step)
        losses.append(model.evaluate(x, t)["loss"])
    assert gradients["dense.kernel"][1, 2] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-6)


# What will not learn


def warned(model, x, y, loss="mse"):
    """What a first call of fit warns of; later calls are silent."""
    model.compile("sgd", loss, seed=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y, verbose=0)
        first = [str(one.message) for one in caught]
        assert all(one.filename == __file__ for one in caught)
        model.fit(x, y, verbose=0)
        model.learning_rate_multiplier = 0.5  # the graph is made anew
        model.train_step(x, y)
    assert len(caught) == len(first)
    return first


def values(samples=24, outputs=1):
    return np.random.default_rng(1).random((samples, outputs))


def test_a_step_perceptron():
    (text,) = warned(nnx.models.perceptron(4, "step"), data()[0], values())
    assert text == (
        "the model ends in a step function, whose gradient is 0: no weight will move. Train with 'sigmoid' in its "
        "place, in 'dense', or set the weights by hand"
    )
    (text,) = warned(nnx.Sequential(nnx.Dense(1), nnx.Step(name="jump"), nnx.Flatten()), data()[0], values())
    assert "in its place, in 'jump'" in text


def test_layers_before_a_step_function():
    model = nnx.Sequential(nnx.Dense(3, name="first"), nnx.Step(name="jump"), nnx.Dense(1))
    assert warned(model, data()[0], values()) == [
        "'first' will not learn: a step function, in 'jump', comes after, and its gradient is 0"
    ]

    class Ending(nnx.Model):
        def __init__(self, end):
            super().__init__()
            self.dense, self.end = nnx.Dense(1), end

        def forward(self, x):
            return self.end(self.dense(x))

    for end in (lambda h: ops.step(h) * 2.0, lambda h: ops.sign(h) + 1):
        assert warned(Ending(end), data()[0], values()) == [
            "no weight will move: a step function, in 'forward', comes after, and its gradient is 0"
        ]


def test_a_way_around_the_step_function_is_a_way():
    class Around(nnx.Model):
        def __init__(self):
            super().__init__()
            self.dense = nnx.Dense(1)

        def forward(self, x):
            h = self.dense(x)
            return ops.step(h) + h

    assert warned(Around(), data()[0], values()) == []


def test_everything_frozen():
    model = nnx.Sequential(nnx.Dense(3, trainable=False), nnx.ReLU(), nnx.Dense(1, trainable=False))
    assert warned(model, data()[0], values()) == [
        "no weight will move: trainable is False for 'dense', 'dense_1'; set it to True for those that are to learn"
    ]
    model.trainable = False
    (text,) = warned(model, data()[0], values())
    assert text == "no weight will move: trainable is False for the whole model"
    model.trainable = model.layers[0].trainable = True
    assert warned(model, data()[0], values()) == []


def test_frozen_later():
    model = nnx.Sequential(nnx.Dense(1))
    x, y = data()[0], values()
    assert warned(model, x, y) == []
    model.layers[0].trainable = False
    with pytest.warns(UserWarning, match="trainable is False for 'dense'"):
        model.train_step(x, y)


def test_layers_that_forward_does_not_use():
    class Partly(nnx.Model):
        def __init__(self):
            super().__init__()
            self.used, self.spare, self.lost = nnx.Dense(1), nnx.Dense(3), nnx.Dense(2)
            self.block = nnx.Sequential(nnx.Dense(2), nnx.ReLU())
            self.activation = nnx.ReLU()  # has nothing to learn

        def forward(self, x):
            self.lost(x)
            return self.used(x)

    assert warned(Partly(), data()[0], values()) == [
        "'lost' will not learn: called in forward, but nothing of it reaches the output",
        "'spare', 'block' will not learn: held by the model, but never called in forward",
    ]


def test_a_model_that_learns_is_not_warned_of():
    x, y = data()
    assert (
        warned(
            nnx.Sequential(nnx.Dense(8, nnx.ReLU()), nnx.Dropout(0.1), nnx.Dense(3)), x, y, "cross_entropy"
        )
        == []
    )


# Images that lie the other way


def test_channels_first_into_a_built_model():
    model = convolutions()
    model.build((32, 32, 3))
    for shape in ((4, 3, 32, 32), (4, 3, 64, 64)):
        with pytest.raises(ValueError, match=TRANSPOSE) as caught:
            model.predict(np.zeros(shape))
        assert "reshape" not in str(caught.value)
    grey = nnx.models.lenet((28, 28, 1), 10)
    small = nnx.Sequential(nnx.Conv2D(2, 3), nnx.Flatten(), nnx.Dense(2))
    small.build((6, 7, 3))
    for model, shape in ((grey, (4, 1, 28, 28)), (small, (4, 3, 6, 7))):
        with pytest.raises(ValueError, match=TRANSPOSE) as caught:
            model.predict(np.zeros(shape))
        assert "reshape" not in str(caught.value)


def test_channels_first_into_dense_layers_that_could_not_tell():
    model = nnx.models.mlp((32, 32, 3), 4, 2)
    with pytest.warns(UserWarning, match=TRANSPOSE) as caught:
        model.predict(np.zeros((2, 3, 32, 32)))
    assert caught[0].filename == __file__


def test_channels_first_into_a_model_that_is_not_built():
    labels = np.zeros(4, int)
    model = nnx.Sequential(nnx.Conv2D(4, 3, padding="same"), nnx.Flatten(), nnx.Dense(10))
    model.compile("sgd", "cross_entropy")
    with pytest.warns(UserWarning, match=r"height 3, width 32 and 32 channels.*" + TRANSPOSE) as caught:
        model.fit(np.zeros((4, 3, 32, 32)), labels, verbose=0)
    assert caught[0].filename == __file__
    other = convolutions()
    other.compile("sgd", "cross_entropy")
    with pytest.raises(ValueError, match="layer 'max_pool2d': .*" + TRANSPOSE):
        other.fit(np.zeros((4, 1, 28, 28)), labels, verbose=0)
    assert other.input_shape is None
    for make in (nnx.models.lenet, nnx.models.alexnet):
        with pytest.raises(ValueError, match=TRANSPOSE):
            make((3, 64, 64), 10)


@pytest.mark.parametrize("shape", [(28, 28, 1), (1, 128, 9), (3, 4, 16), (8, 8, 3), (32, 32, 32)])
def test_other_images_get_no_such_advice(shape):
    model = nnx.Sequential(nnx.Conv2D(4, 1), nnx.Flatten(), nnx.Dense(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.build(shape)


def test_what_can_only_be_reshaped():
    model = convolutions()
    model.build((32, 32, 3))
    with pytest.raises(ValueError, match=r"reshape it: x.reshape\(-1, 32, 32, 3\)"):
        model.predict(np.zeros((4, 16, 16, 12)))


# What to type


def test_a_missing_batch_axis():
    model = convolutions()
    model.build((28, 28, 1))
    with pytest.raises(ValueError, match=r"samples of shape \(28, 28, 1\), got \(28, 1\).*x\[None\]"):
        model.predict(np.zeros((28, 28, 1)))
    with pytest.raises(ValueError, match=r"samples of shape \(4,\), got \(1,\).*x\[None\]"):
        nnx.models.mlp(4, 3, 2).predict(np.zeros(4))


@pytest.mark.parametrize(
    ("layers", "shape", "layer"),
    [
        ([nnx.Dense(8, name="wide"), nnx.Dense(10)], (28, 28), "wide"),
        ([nnx.Conv2D(4, 3), nnx.Dense(10, name="last")], (8, 8, 1), "last"),
    ],
)
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_missing_flatten(layers, shape, layer, loss):
    model = nnx.Sequential(layers)
    model.compile("sgd", loss)
    y = np.zeros(4, int) if loss == "cross_entropy" else np.zeros((4, 10))
    with pytest.raises(ValueError, match=rf"layer '{layer}' .*put nnx.Flatten\(\) before it"):
        model.fit(np.zeros((4, *shape)), y, verbose=0)


def test_targets_that_do_not_fit_for_another_reason():
    model = nnx.Sequential(nnx.Flatten(), nnx.Dense(2))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"expected targets of shape \(N, 2\), got \(4, 3\)$"):
        model.fit(np.zeros((4, 3, 3)), np.zeros((4, 3)), verbose=0)
    model = nnx.Sequential(nnx.Conv2D(10, 1))
    model.compile("sgd", "cross_entropy")
    with pytest.raises(
        ValueError, match=r"nnx.Flatten\(\), or nnx.GlobalAvgPool2D\(\), and a Dense layer at the end"
    ):
        model.fit(np.zeros((4, 3, 3, 1)), np.zeros(4, int), verbose=0)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((64,), r"x.reshape\(-1, 8, 8, 1\), or Reshape\(\(8, 8, 1\)\)"),
        ((50,), "rows of features want Dense"),
        ((28, 28), r"x\[..., None\]"),
    ],
)
@pytest.mark.parametrize("make", [lambda: nnx.Conv2D(4, 3), lambda: nnx.DepthwiseConv2D(3)])
def test_what_is_no_image(make, shape, advice):
    layer = make()
    name = type(layer).__name__
    with pytest.raises(ValueError, match=rf"layer '{layer.name}': {name}: expected images .*{advice}"):
        nnx.Sequential(layer).build(shape)


@pytest.mark.parametrize(
    "layer", [nnx.Conv2D(4, 30), nnx.MaxPool2D(30), nnx.AvgPool2D((2, 30))], ids=lambda layer: layer.name
)
def test_a_window_larger_than_the_image(layer):
    model = nnx.Sequential(nnx.Conv2D(4, 3), nnx.Sequential(layer, name="block"))
    with pytest.raises(
        ValueError, match=rf"layer 'block.{layer.name}': .*, got 30; .*smaller window.*padding='same'"
    ):
        model.build((28, 28, 1))


def test_an_error_of_ones_own_names_the_layer_once():
    class Mine(nnx.Layer):
        def forward(self, x):
            raise ValueError("not like this")

    with pytest.raises(ValueError, match=r"^layer 'block\.mine': not like this$"):
        nnx.Sequential(nnx.Dense(2), nnx.Sequential(Mine(), name="block")).build((3,))


def test_build_takes_a_batch_axis_of_none():
    model = nnx.Sequential(nnx.Dense(2))
    model.build((None, 4))
    assert model.input_shape == (4,)
    images = convolutions()
    images.build([None, 28, 28, 1])
    assert images.input_shape == (28, 28, 1)


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        (4, TypeError, r"expected the shape of a sample, .*got 4: write \(4,\)"),
        ("4", TypeError, "expected the shape of a sample"),
        ((None, None, 3), ValueError, "expected a number for every axis of a sample"),
        ((4.0,), TypeError, "expected an int, got float"),
    ],
)
def test_what_is_no_shape(shape, error, message):
    with pytest.raises(error, match=f"build: argument 'input_shape' {message}"):
        nnx.Sequential(nnx.Dense(2)).build(shape)
    with pytest.raises(error, match=f"Dense: argument 'input_shape' {message}"):
        nnx.Dense(2, input_shape=shape)
