"""What is typed in Keras's way does what Keras does, or what docs/keras.md says of it."""

import copy
import pickle
import warnings

import nnx
import numpy as np
import pytest
from nnx import layers, metrics, ops, schedules


def data(samples=48, features=5, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, features)), rng.integers(0, classes, samples)


def images(samples=6, channels=3, side=7):
    return np.random.default_rng(1).normal(size=(samples, side, side, channels))


# Schedules


def test_exponential_decay_under_keras_names():
    steps = np.array([0, 1, 999, 1000, 2500])
    smooth = schedules.ExponentialDecay(initial_learning_rate=0.1, decay_steps=1000, decay_rate=0.96)
    np.testing.assert_allclose(smooth(steps), 0.1 * 0.96 ** (steps / 1000), rtol=1e-13)
    stairs = schedules.ExponentialDecay(0.1, decay_steps=1000, decay_rate=0.96, staircase=True)
    np.testing.assert_allclose(stairs(steps), 0.1 * 0.96 ** (steps // 1000), rtol=1e-13)
    three = schedules.ExponentialDecay(0.1, 1000, 0.96)
    assert three.get_config() == smooth.get_config()
    assert smooth.per == stairs.per == "step"
    again = schedules.ExponentialDecay.from_config(stairs.get_config())
    np.testing.assert_array_equal(again(steps), stairs(steps))


def test_inverse_time_decay_under_keras_names():
    steps = np.array([0, 9, 10, 25])
    smooth = schedules.InverseTimeDecay(0.1, decay_steps=10, decay_rate=0.5)
    np.testing.assert_allclose(smooth(steps), 0.1 / (1 + 0.5 * steps / 10), rtol=1e-13)
    stairs = schedules.InverseTimeDecay(0.1, decay_steps=10, decay_rate=0.5, staircase=True)
    np.testing.assert_allclose(stairs(steps), 0.1 / (1 + 0.5 * (steps // 10)), rtol=1e-13)


def test_cosine_decay_under_keras_names():
    steps = np.array([0, 250, 1000, 2000])
    found = schedules.CosineDecay(0.1, decay_steps=1000, alpha=0.1)
    expected = 0.1 * (0.9 * 0.5 * (1 + np.cos(np.pi * np.minimum(steps, 1000) / 1000)) + 0.1)
    np.testing.assert_allclose(found(steps), expected, rtol=1e-13)
    assert found.per == "step"


def test_piecewise_constant_decay_counts_steps():
    found = schedules.PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    assert found.per == "step"
    np.testing.assert_array_equal(found([0, 100, 101, 201]), [0.1, 0.1, 0.01, 0.001])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0.96), r"0.1 \* exp\(-0.96 \* t\) here"),
        (lambda: schedules.CosineDecay(0.1, 1000), "counts epochs here, not steps"),
        (lambda: schedules.CosineDecay(0.1, 1000, 0.01), "counts epochs here, not steps"),
    ],
)
def test_positional_arguments_that_look_like_keras_say_what_they_mean(make, says):
    with pytest.warns(UserWarning, match=says) as caught:
        make()
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.ExponentialDecay(0.1, 0.3),
        lambda: schedules.ExponentialDecay(0.1, rate=0.96),
        lambda: schedules.ExponentialDecay(0.1, 0.96, "epoch"),
        lambda: schedules.ExponentialDecay(0.1, 0.96, per="step"),
        lambda: schedules.CosineDecay(0.1, 30),
        lambda: schedules.CosineDecay(0.1, length=1000),
        lambda: schedules.CosineDecay(0.1, 1000, per="step"),
        lambda: schedules.CosineDecay.from_config({"initial": 0.1, "length": 1000}),
        lambda: copy.deepcopy(schedules.CosineDecay(0.1, length=1000)),
    ],
)
def test_what_is_clear_needs_no_warning(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: schedules.ExponentialDecay(0.1, decay_steps=10), "'decay_steps' and 'decay_rate' go together"),
        (lambda: schedules.ExponentialDecay(0.1, decay_rate=0.5), "'decay_steps' and 'decay_rate' go together"),
        (lambda: schedules.ExponentialDecay(0.1, 0.5, staircase=True), "decay_steps and decay_rate beside it"),
        (lambda: schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5, per="epoch"), "'per' cannot stand"),
        (lambda: schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=1.5), "'decay_rate' expected"),
        (lambda: schedules.CosineDecay(0.1, 10, decay_steps=10), "'length' cannot stand beside decay_steps"),
        (lambda: schedules.CosineDecay(0.1, decay_steps=10, warmup_steps=5), "nnx.schedules.Warmup"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(make, says):
    with pytest.raises((TypeError, ValueError), match=says):
        make()


def test_decay_of_an_optimizer_counts_steps():
    x, y = data()
    model = nnx.Sequential(nnx.Dense(3, input_shape=(5,)))
    model.compile(nnx.SGD(lr=0.5, decay=0.25), "cross_entropy", seed=1)
    rates = []
    for _ in range(3):
        before = model.get_weights()[0]
        _, gradients = model.gradients(x, y)
        model.train_step(x, y)
        rates.append(np.mean((before - model.get_weights()[0]) / gradients["dense.kernel"]))
    np.testing.assert_allclose(rates, [0.5 / (1 + 0.25 * step) for step in range(3)], rtol=1e-4)


def test_lr_is_the_learning_rate():
    optimizer = nnx.Adam(lr=0.5)
    assert optimizer.lr == optimizer.learning_rate == 0.5
    optimizer.lr = 0.25
    assert optimizer.learning_rate == 0.25


# Sequential


def test_a_first_layer_with_input_shape_builds_at_once():
    model = nnx.Sequential([nnx.Conv2D(4, 3, input_shape=(8, 8, 1)), nnx.Flatten(), nnx.Dense(2)])
    assert model.input_shape == (8, 8, 1)
    assert model.count_params() == 4 * 9 + 4 + 6 * 6 * 4 * 2 + 2
    assert nnx.Sequential(nnx.Dense(2), nnx.Dense(2, input_shape=(3,))).input_shape is None


def test_layers_are_added_to_a_built_model():
    x, y = data()
    added = nnx.Sequential()
    added.add(nnx.Dense(4, activation="tanh", input_dim=5))
    assert added.count_params() == 24
    added.add(nnx.Dense(3))
    at_once = nnx.Sequential(nnx.Dense(4, "tanh"), nnx.Dense(3))
    for model in (added, at_once):
        model.compile(nnx.Adam(0.01), "cross_entropy", seed=3)
        model.fit(x, y, epochs=2, verbose=0)
    for a, b in zip(added.get_weights(), at_once.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pop_takes_the_last_layer_and_the_others_go_on():
    x, y = data()
    model = nnx.Sequential(nnx.Dense(4, "tanh"), nnx.Dense(3))
    model.compile(nnx.Adam(0.01), "cross_entropy", seed=3)
    model.fit(x, y, epochs=2, verbose=0)
    before, last = model.get_weights(), model.layers[-1]
    assert model.pop() is last
    assert [layer.name for layer in model.layers] == ["dense"]
    np.testing.assert_array_equal(
        model.predict(x), layers.Dense.forward(model.layers[0], x.astype(np.float32))
    )
    model.add(nnx.Dense(3))
    after = model.get_weights()
    np.testing.assert_array_equal(after[0], before[0])
    assert not np.array_equal(after[2], before[2])
    assert model.optimizer.iterations == 4
    model.fit(x, y, verbose=0)


def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was():
    x, y = data()
    model = nnx.Sequential(nnx.Dense(3, input_shape=(5,)))
    model.compile(nnx.SGD(0.1, momentum=0.9), "cross_entropy", seed=3)
    other = copy.deepcopy(model)
    for trained in (model, other):
        trained.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"layer 'conv2d': .*expected images"):
        model.add(nnx.Conv2D(3, 3))
    assert len(model.layers) == 1
    for trained in (model, other):
        trained.fit(x, y, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TypeError, match="got the class Dense: call it"):
        model.add(nnx.Dense)
    while model.layers:
        model.pop()
    assert model.input_shape is None
    with pytest.raises(ValueError, match="expected a model with layers"):
        model.pop()


# Layers


def depthwise(x, kernel, multiplier):
    """By the definition: windows of each channel, stride 1, no padding."""
    size = kernel.shape[0]
    side = x.shape[1] - size + 1
    y = np.zeros((len(x), side, side, x.shape[3] * multiplier))
    for i in range(side):
        for j in range(side):
            for c in range(x.shape[3]):
                for m in range(multiplier):
                    window = x[:, i : i + size, j : j + size, c]
                    y[:, i, j, c * multiplier + m] = np.sum(
                        window * kernel[:, :, 0, c * multiplier + m], (1, 2)
                    )
    return y


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolution(multiplier):
    x = images()
    layer = nnx.DepthwiseConv2D(3, depth_multiplier=multiplier, bias_initializer="ones")
    model = nnx.Sequential(layer)
    model.compile("sgd", "mse", precision="float64", device="cpu", seed=2)
    model.build(x.shape[1:])
    kernel = model.state_dict()["depthwise_conv2d.kernel"]
    assert kernel.shape == (3, 3, 1, 3 * multiplier)
    np.testing.assert_allclose(model.predict(x), depthwise(x, kernel, multiplier) + 1, atol=1e-12)


def test_depthwise_kernels_are_drawn_by_keras_fans():
    layer = nnx.DepthwiseConv2D(3, depth_multiplier=2, kernel_initializer="he_uniform")
    layer.build((9, 9, 64))
    limit = np.sqrt(6 / (3 * 3 * 64))  # fan_in of (3, 3, 64, 2)
    largest = np.abs(layer.kernel.numpy()).max()
    assert 0.95 * limit < largest <= limit


def test_separable_convolution_is_a_depthwise_and_a_pointwise_one():
    x = images()
    model = nnx.Sequential(
        nnx.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu", bias_initializer="ones")
    )
    model.compile("sgd", "mse", precision="float64", device="cpu", seed=2)
    model.build(x.shape[1:])
    weights = model.state_dict()
    inner = depthwise(x, weights["separable_conv2d.depthwise"], 2)
    expected = np.maximum(inner @ weights["separable_conv2d.pointwise"][0, 0] + 1, 0)
    np.testing.assert_allclose(model.predict(x), expected, atol=1e-12)
    model.fit(x, np.zeros_like(expected), verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(weights.values(), model.get_weights(), strict=True))


def test_a_regularizer_of_a_separable_convolution_is_in_the_loss():
    x = images()
    model = nnx.Sequential(nnx.SeparableConv2D(2, 3, depthwise_regularizer="l2", pointwise_regularizer="l1"))
    model.compile("sgd", "mse", precision="float64", device="cpu", seed=2)
    y = np.zeros((6, 5, 5, 2))
    loss = model.evaluate(x, y)["loss"]
    weights = model.state_dict()
    penalty = 0.01 * np.sum(weights["separable_conv2d.depthwise"] ** 2)
    penalty += 0.01 * np.abs(weights["separable_conv2d.pointwise"]).sum()
    assert loss == pytest.approx(np.mean(model.predict(x) ** 2) + penalty, rel=1e-12)


@pytest.mark.parametrize(("scale", "offset"), [(1 / 255, 0.0), (1 / 127.5, -1.0), (-2.0, 3.0)])
def test_rescaling(scale, offset):
    x = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 2)).astype(np.uint8)
    model = nnx.Sequential(nnx.Rescaling(scale, offset))
    model.build((3, 3, 2))
    np.testing.assert_allclose(model.predict(x), x * scale + offset, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(nnx.Rescaling(scale, offset)(x), x * scale + offset, rtol=1e-5, atol=1e-5)
    assert model.weights == []


def test_activation_is_what_the_op_is():
    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    for given, function in (
        ("relu", ops.relu),
        ("softmax", ops.softmax),
        ("swish", ops.silu),
        (ops.tanh, ops.tanh),
    ):
        np.testing.assert_array_equal(nnx.Activation(given)(x), function(x))
    assert nnx.Activation("linear")(x) is x
    model = nnx.Sequential(nnx.Dense(3), nnx.Activation("softmax"))
    model.build((4,))
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict(x).sum(1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match=r"Activation: .*'rleu'; did you mean 'relu'"):
        nnx.Activation("rleu")


@pytest.mark.parametrize(("center", "scale"), [(False, True), (True, False)])
def test_batch_norm_without_one_of_its_weights(center, scale):
    x = np.random.default_rng(0).normal(3, 2, (32, 4))
    model = nnx.Sequential(nnx.BatchNormalization(center=center, scale=scale, axis=-1))
    model.compile(nnx.SGD(0.1), "mse", precision="float64", device="cpu", seed=1)
    model.fit(x, x, epochs=2, verbose=0)
    weights = model.state_dict()
    assert np.array_equal(weights["batch_norm.beta"], np.zeros(4)) is not center
    assert np.array_equal(weights["batch_norm.gamma"], np.ones(4)) is not scale
    assert not np.array_equal(weights["batch_norm.running_mean"], np.zeros(4))
    with pytest.raises(ValueError, match="expected True for one of them at least"):
        nnx.BatchNorm(center=False, scale=False)


def test_an_initializer_with_a_seed_does_not_follow_the_models():
    def kernel(initializer, seed):
        model = nnx.Sequential(nnx.Dense(3, kernel_initializer=initializer, input_shape=(4,)))
        model.compile("sgd", "mse", seed=seed)
        return model.get_weights()[0]

    own = nnx.initializers.GlorotUniform(seed=7)
    np.testing.assert_array_equal(kernel(own, 1), kernel(own, 2))
    assert not np.array_equal(kernel(own, 1), kernel(nnx.initializers.GlorotUniform(seed=8), 1))
    assert not np.array_equal(kernel("glorot_uniform", 1), kernel("glorot_uniform", 2))
    spread = nnx.initializers.VarianceScaling(2.0, mode="fan_out")((500, 400))
    assert np.std(spread) == pytest.approx(np.sqrt(2 / 400), rel=0.02)


# call, training


class Called(nnx.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.dropout, self.last = nnx.Dense(6, "tanh"), nnx.Dropout(0.5), nnx.Dense(3)

    def call(self, inputs, training=None):
        return self.last(self.dropout(self.dense(inputs), training=training))


class Forward(Called):
    def forward(self, x):
        return self.last(self.dropout(self.dense(x)))


def test_call_is_forward():
    x, y = data()
    weights = []
    for model in (Called(), Forward()):
        model.compile("adam", "cross_entropy", seed=3)
        model.fit(x, y, epochs=2, verbose=0)
        weights.append(model.get_weights())
        np.testing.assert_array_equal(model(x, training=False), model.predict(x))
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_written_as_in_keras():
    class Linear(nnx.Layer):
        def __init__(self, units, **rest):
            super().__init__(**rest)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True
            )
            self.b = self.add_weight(shape=(self.units,), initializer="ones", trainable=True)

        def call(self, inputs):
            return ops.dense(inputs, self.w, self.b)

    model = nnx.Sequential([Linear(3, name="linear", input_shape=(5,)), nnx.Dense(2)])
    assert list(model.state_dict()) == ["linear.weight", "linear.weight_1", "dense.kernel", "dense.bias"]
    x, _ = data()
    w, b = model.get_weights()[:2]
    np.testing.assert_allclose(model.layers[0](x), x.astype(np.float32) @ w + b, rtol=1e-5)


def test_training_has_no_value_while_a_call_is_traced():
    class Branching(Called):
        def call(self, inputs, training):
            h = self.dense(inputs)
            return self.last(self.dropout(h) if training else h)

    with pytest.raises(TypeError, match="leave out `if training`"):
        Branching().build((5,))
    with pytest.raises(ValueError, match="argument 'training' expected None or False, got True"):
        Called()(data()[0], training=True)


def test_training_false_leaves_dropout_out():
    class Fixed(Called):
        def call(self, inputs):
            return self.last(self.dropout(self.dense(inputs), training=False))

    x, y = data()
    model = Fixed()
    model.compile("sgd", "cross_entropy", seed=1)
    assert model.train_step(x, y) == pytest.approx(_first_loss(Fixed, x, y), rel=1e-6)
    dropped = Called()
    dropped.compile("sgd", "cross_entropy", seed=1)
    assert dropped.train_step(x, y) != pytest.approx(_first_loss(Called, x, y), rel=1e-3)


def _first_loss(cls, x, y):
    model = cls()
    model.compile("sgd", "cross_entropy", seed=1)
    return model.evaluate(x, y)["loss"]


def test_training_false_wants_norms_frozen():
    base = nnx.Sequential(nnx.Dense(4), nnx.BatchNorm(), name="base")

    class Top(nnx.Model):
        def __init__(self):
            super().__init__()
            self.base, self.last = base, nnx.Dense(3)

        def call(self, inputs):
            return self.last(self.base(inputs, training=False))

    x, y = data()
    with pytest.raises(ValueError, match="'batch_norm' would train; set its trainable = False"):
        Top().build((5,))
    base.trainable = False
    model = Top()
    model.compile("sgd", "cross_entropy", seed=1)
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(base.layers[1].running_mean.numpy(), np.zeros(4))


def test_weights_that_are_trained_and_those_that_are_not():
    model = nnx.Sequential([nnx.Dense(4, trainable=False), nnx.BatchNorm(), nnx.Dense(3)])
    model.build((5,))
    assert [w.name for w in model.trainable_weights] == ["gamma", "beta", "kernel", "bias"]
    assert [w.name for w in model.non_trainable_weights] == ["kernel", "bias", "running_mean", "running_var"]
    model.trainable = False
    assert model.trainable_weights == []


def test_ops_take_activations_under_all_names():
    x, w = np.ones((2, 3), np.float32), np.full((3, 4), 0.5, np.float32)
    np.testing.assert_array_equal(ops.dense(x, w, activation="swish"), ops.dense(x, w, activation="silu"))


# Metrics, utilities


def test_metrics_are_reported_under_the_name_that_was_given():
    x, y = data()
    model = nnx.Sequential(nnx.Dense(3))
    given = [
        "acc",
        "sparse_categorical_accuracy",
        metrics.Accuracy(name="mine"),
        metrics.CategoricalAccuracy(),
    ]
    model.compile("sgd", "sparse_categorical_crossentropy", given, seed=1)
    history = model.fit(x, y, validation_split=0.25, verbose=0).history
    for name in ("acc", "sparse_categorical_accuracy", "mine", "categorical_accuracy"):
        assert history[name] == history["acc"]
        assert history[f"val_{name}"] == history["val_acc"]
    again = pickle.loads(pickle.dumps(model))
    assert list(again.evaluate(x, y)) == list(model.evaluate(x, y))


def test_saved_metrics_keep_their_names(tmp_path):
    x, y = data()
    model = nnx.Sequential(nnx.Dense(3))
    model.compile("sgd", "cross_entropy", ["acc"], seed=1)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.safetensors")
    assert nnx.load(tmp_path / "model.safetensors").evaluate(x, y) == model.evaluate(x, y)


def test_to_categorical():
    np.testing.assert_array_equal(nnx.utils.to_categorical([0, 2, 1]), np.eye(3)[[0, 2, 1]])
    assert nnx.utils.to_categorical([[1], [0]], num_classes=4).shape == (2, 4)
    assert nnx.utils.to_categorical([[1, 0], [0, 1]]).shape == (2, 2, 2)
    assert nnx.utils.to_categorical([]).shape == (0, 0)
    assert nnx.utils.to_categorical([1.0]).dtype == np.float32
    for bad in ([-1], [1.5], [3]):
        with pytest.raises(ValueError, match="'x'"):
            nnx.utils.to_categorical(bad, num_classes=3)


def test_normalize_and_the_seed():
    np.testing.assert_allclose(nnx.utils.normalize([[3.0, 4.0], [0.0, 0.0]]), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(nnx.utils.normalize([[1.0, 3.0]], order=1), [[0.25, 0.75]])
    np.testing.assert_allclose(nnx.utils.normalize([[3.0], [4.0]], axis=0), [[0.6], [0.8]])
    with pytest.raises(ValueError, match="normalize: argument 'axis'"):
        nnx.utils.normalize([1.0], axis=1)
    kernels = []
    for _ in range(2):
        nnx.utils.set_random_seed(5)
        model = nnx.Sequential(nnx.Dense(3, input_shape=(4,)))
        model.compile("sgd", "mse")
        kernels.append(model.get_weights()[0])
    np.testing.assert_array_equal(*kernels)
