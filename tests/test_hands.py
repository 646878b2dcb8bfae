"""A step in one's own hands: gradients, apply_gradients, activations, layers by name, learning-rate search."""

import harness
import nnx
import numpy as np
import pytest


def data(samples=30, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, 6, 6, 1)).astype(np.float32), rng.integers(0, 3, samples)


def network(seed_layers=True):
    return nnx.Sequential(
        nnx.Conv2D(4, 3, activation="relu"),
        nnx.BatchNorm(),
        nnx.MaxPool2D(),
        nnx.Flatten(),
        nnx.Dense(8, "tanh"),
        nnx.Dropout(0.4),
        nnx.Dense(3),
    )


OPTIMIZERS = {
    "sgd": lambda: nnx.SGD(0.1),
    "momentum": lambda: nnx.SGD(nnx.schedules.StepDecay(0.1, every=1), momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda: nnx.SGD(nnx.schedules.CosineDecay(0.1, 9, per="step"), momentum=0.9, nesterov=True),
    "clipped": lambda: nnx.SGD(0.1, clip_norm=0.3),
    "adam": lambda: nnx.Adam(0.01),
    "adamw": lambda: nnx.AdamW(nnx.schedules.Warmup(0.01, 4), weight_decay=0.1),
}


def compiled(optimizer, device, precision="float32"):
    model = network()
    model.compile(OPTIMIZERS[optimizer](), "cross_entropy", [], device, precision, seed=7)
    return model


def same_models(a, b):
    one, other = harness.saved_arrays(a), harness.saved_arrays(b)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.tobytes() == other[name].tobytes(), name
    assert (a.epoch, a.optimizer.iterations) == (b.epoch, b.optimizer.iterations)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("device", harness.devices())
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_loop_by_hand_is_fit_bit_for_bit(optimizer, device, precision):
    x, y = data()
    whole, by_hand = (compiled(optimizer, device, precision) for _ in range(2))
    history = whole.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    by_hand.steps_per_epoch = 4
    for epoch in range(3):
        total = 0.0
        for start in range(0, len(x), 8):
            part = slice(start, start + 8)
            loss, gradients = by_hand.gradients(x[part], y[part])
            by_hand.apply_gradients(gradients)
            total += loss * len(x[part])
        assert total / len(x) == pytest.approx(history["loss"][epoch], rel=1e-12)
    same_models(whole, by_hand)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_by_hand_with_any_number_of_threads(threads):
    before = nnx.get_num_threads()
    x, y = data(64)
    whole, by_hand = (compiled("adam", "cpu") for _ in range(2))
    whole.fit(x, y, batch_size=64, epochs=2, shuffle=False, verbose=0)
    nnx.set_num_threads(threads)
    try:
        by_hand.steps_per_epoch = 1
        for _ in range(2):
            by_hand.apply_gradients(by_hand.gradients(x, y)[1])
    finally:
        nnx.set_num_threads(before)
    same_models(whole, by_hand)


@pytest.mark.parametrize("device", harness.devices())
def test_gradients_are_those_of_the_loss(device):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 5)), rng.normal(size=(6, 2))
    weight = rng.uniform(0.5, 2, 6)
    model = nnx.Sequential(nnx.Dense(4, "tanh"), nnx.Dense(2))
    model.compile("sgd", "mse", device=device, precision="float64", seed=1)
    loss, gradients = model.gradients(x, y, weight)
    assert list(gradients) == ["dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"]
    start = model.state_dict()
    assert loss == pytest.approx(model.evaluate(x, y, sample_weight=weight)["loss"], rel=1e-12)
    for name, gradient in gradients.items():
        assert gradient.shape == start[name].shape
        numbers = np.zeros_like(gradient)
        for place in np.ndindex(gradient.shape):
            sides = []
            for step in (1e-6, -1e-6):
                changed = {key: value.copy() for key, value in start.items()}
                changed[name][place] += step
                model.load_state_dict(changed)
                sides.append(model.evaluate(x, y, sample_weight=weight)["loss"])
            numbers[place] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(gradient, numbers, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("device", harness.devices())
def test_gradients_leave_weights_and_clocks(device):
    x, y = data()
    model = compiled("adam", device)
    model.fit(x, y, verbose=0)
    before, steps = model.state_dict(), model.optimizer.iterations
    one, other = model.gradients(x, y), model.gradients(x, y)
    assert one[0] == other[0]  # the same masks
    assert all(np.array_equal(one[1][name], other[1][name]) for name in one[1])
    after = model.state_dict()
    moved = [name for name in before if not np.array_equal(before[name], after[name])]
    assert moved == ["batch_norm.running_mean", "batch_norm.running_var"]
    assert (model.optimizer.iterations, model.epoch) == (steps, 1)


def test_frozen_layers_have_none_and_need_none():
    x, y = data()
    model = compiled("sgd", "cpu")
    model.gradients(x, y)
    model.layers[0].trainable = False
    _, gradients = model.gradients(x, y)
    assert "conv2d.kernel" not in gradients
    kernel = model.layers[0].kernel.numpy()
    model.apply_gradients({**gradients, "conv2d.kernel": None})
    assert np.array_equal(model.layers[0].kernel, kernel)


@pytest.mark.parametrize("device", harness.devices())
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_was_applied_does_not_stay(optimizer, device):
    """A weight that no gradient reaches keeps its value, whatever was applied to it before."""

    class Spare(nnx.Model):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nnx.Dense(2), nnx.Dense(2)

        def forward(self, x):
            return self.used(x) + nnx.ops.step(self.spare(x)) * 0.0

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)), rng.integers(0, 2, 8)
    model = Spare()
    model.compile(
        nnx.SGD(0.1) if optimizer == "sgd" else nnx.Adam(0.1, beta1=0.0),
        "cross_entropy",
        device=device,
        seed=1,
    )
    _, gradients = model.gradients(x, y)
    assert not gradients["spare.kernel"].any()
    model.apply_gradients({name: np.ones_like(value) for name, value in gradients.items()})
    if optimizer == "adam":
        return
    kernel = model.spare.kernel.numpy()
    with pytest.warns(UserWarning, match="'spare' will not learn: a step function"):
        model.train_step(x, y)
    model.fit(x, y, verbose=0)
    assert np.array_equal(model.spare.kernel, kernel)
    assert not model.gradients(x, y)[1]["spare.kernel"].any()


def test_bad_gradients_change_nothing():
    x, y = data()
    model = compiled("momentum", "cpu")
    _, gradients = model.gradients(x, y)
    before = model.get_weights()
    gone = {name: value for name, value in gradients.items() if name != "dense.bias"}
    bad = {**gradients, "dense.bias": np.full(8, np.nan)}
    for given, error, message in (
        (gone, ValueError, r"apply_gradients: argument 'gradients' missing: dense\.bias"),
        ({**gradients, "other": 1}, ValueError, "unexpected: other"),
        (
            {**gradients, "dense.bias": np.zeros(3)},
            ValueError,
            r"weight 'bias' expected shape \(8,\), got \(3,\)",
        ),
        (bad, ValueError, "expected finite numbers that float32 holds, got NaN or infinity in 'dense.bias'"),
        (
            {**gradients, "dense.bias": np.full(8, 1e39)},
            ValueError,
            "float32 holds, got larger ones in 'dense.bias'",
        ),
        (list(gradients.values()), TypeError, "expected a dict by names of weights, got list"),
    ):
        with pytest.raises(error, match=message):
            model.apply_gradients(given)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    assert model.optimizer.iterations == 0
    with pytest.raises(ValueError, match="cannot be trained or evaluated yet: call compile first"):
        network().gradients(x, y)
    with pytest.raises(ValueError, match="expected at least one sample"):
        model.gradients(x[:0], y[:0])


@pytest.mark.parametrize("device", harness.devices())
def test_activations_are_what_layers_give(device):
    x, y = data()
    model = compiled("adam", device)
    model.fit(x, y, verbose=0)
    outputs = model.activations(x)
    names = ["conv2d", "batch_norm", "max_pool2d", "flatten", "dense", "dropout", "dense_1"]
    assert list(outputs) == names
    assert np.array_equal(outputs["dense_1"], model.predict(x))
    assert np.array_equal(outputs["dropout"], outputs["dense"])
    value = x
    for name, layer in zip(names, model.layers, strict=True):
        value = layer(value)
        np.testing.assert_allclose(outputs[name], value, rtol=1e-5, atol=1e-6)
    assert list(model.activations(x[:2], "dense")) == ["dense"]
    assert list(model.activations(x[:2], ["dense", 0, model.layers[-1]])) == ["dense", "conv2d", "dense_1"]
    assert model.activations(x[:0], 0)["conv2d"].shape == (0, 4, 4, 4)
    with pytest.raises(
        ValueError, match="activations: no layer is named 'dense_9'; there are conv2d, batch_norm"
    ):
        model.activations(x, "dense_9")


class Nested(nnx.Model):
    def __init__(self):
        super().__init__()
        self.block = nnx.Sequential(nnx.Dense(4, "relu"), nnx.Dense(4))
        self.shared = nnx.Dense(4)
        self.unused = nnx.Dropout(0.5)

    def forward(self, x):
        return self.shared(self.shared(self.block(x)))


def test_nested_and_shared_layers_by_name():
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    model = Nested()
    model.build((4,))
    outputs = model.activations(x)
    assert list(outputs) == ["block.dense", "block.dense_1", "block", "shared"]
    assert np.array_equal(outputs["block"], outputs["block.dense_1"])
    assert np.array_equal(outputs["shared"], model.predict(x))  # the last time
    assert model.get_layer("block.dense_1") is model.block.layers[1]
    assert model.layers == [model.block, model.shared, model.unused]
    assert model.get_layer(1) is model.shared
    assert model.get_layer(index=-1) is model.unused
    assert model.get_layer(name="block") is model.block
    with pytest.raises(ValueError, match=r"get_layer: no layer is named 'x'; there are block, block\.dense"):
        model.get_layer("x")
    with pytest.raises(ValueError, match="get_layer: expected an index of 3 layers, got 3"):
        model.get_layer(index=3)
    with pytest.raises(ValueError, match="expected a name or an index"):
        model.get_layer()
    with pytest.raises(ValueError, match="activations: layer 'unused' puts out nothing"):
        model.activations(x, "unused")
    with pytest.raises(ValueError, match="is not in the model"):
        model.activations(x, nnx.Dense(3))


def test_a_model_may_have_layers_of_its_own():
    class Listed(nnx.Model):
        def __init__(self):
            super().__init__()
            self.layers = [nnx.Dense(2), nnx.Dense(2)]

        def forward(self, x):
            return self.layers[1](self.layers[0](x))

    model = Listed()
    model.build((3,))
    assert len(model.layers) == 2
    assert next(iter(model.state_dict())) == "layers.0.kernel"


def test_weights_of_layers_and_counts():
    model = network()
    with pytest.raises(ValueError, match="build"):
        model.count_params()
    with pytest.raises(ValueError, match=r"conv2d\.count_params: the layer has no weights yet"):
        model.layers[0].count_params()
    model.build((6, 6, 1))
    assert model.count_params() == sum(w.size for w in model.get_weights())
    layer = model.layers[0]
    assert layer.count_params() == 3 * 3 * 4 + 4
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel + 1, bias + 2])
    assert np.array_equal(model.state_dict()["conv2d.kernel"], kernel + 1)
    with pytest.raises(ValueError, match="expected shape"):
        layer.set_weights([kernel, bias[:2]])
    with pytest.raises(ValueError, match=r"conv2d\.set_weights: expected 2 arrays, got 1"):
        layer.set_weights([kernel])
    assert np.array_equal(layer.get_weights()[0], kernel + 1)
    with pytest.raises(ValueError, match=r"expected 0 arrays, got 2; the layer is not built yet"):
        nnx.Dense(3).set_weights([kernel, bias])


def test_lr_finder_leaves_the_model_and_finds_a_rate():
    x, y = nnx.datasets.load_digits()
    model = nnx.models.mlp((8, 8, 1), 32, 10)
    model.compile(nnx.SGD(0.01, 0.9), "cross_entropy", seed=1)
    model.fit(x, y, verbose=0)
    before, steps = model.get_weights(), model.optimizer.iterations
    found = nnx.lr_finder(model, x, y, highest=100.0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    assert (model.optimizer.iterations, model.epoch, model.optimizer.learning_rate) == (steps, 1, 0.01)
    assert 10 < len(found.losses) < 100  # stopped where the loss explodes
    assert found.learning_rates[0] == pytest.approx(1e-6)
    assert found.smoothed[-1] > 4 * found.smoothed[10:].min()
    again = nnx.lr_finder(model, x, y, highest=100.0)
    assert np.array_equal(again.losses, found.losses)
    fresh = nnx.models.mlp((8, 8, 1), 32, 10)
    fresh.compile(nnx.SGD(0.01), "cross_entropy", seed=1)
    found = nnx.lr_finder(fresh, x, y, highest=10.0, steps=80)
    assert 1e-4 < found.suggestion < 0.1
    axes = found.plot()
    assert axes.get_xscale() == "log"
    batches = [(x[i : i + 50], y[i : i + 50]) for i in range(0, 500, 50)]
    assert len(nnx.lr_finder(fresh, batches, steps=15).losses) == 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lowest": 0}, "lr_finder: argument 'lowest'"),
        ({"highest": 1e-7}, "lr_finder: argument 'highest' expected more than lowest"),
        ({"steps": 3}, "lr_finder: argument 'steps' expected an int of at least 4"),
        ({"batch_size": 0}, "lr_finder: argument 'batch_size'"),
        ({"stop_factor": 0.5}, "lr_finder: argument 'stop_factor'"),
        ({"y": None}, "argument 'y' expected targets"),
    ],
)
def test_lr_finder_refuses(arguments, message):
    x, y = data()
    model = compiled("sgd", "cpu")
    with pytest.raises(ValueError, match=message):
        nnx.lr_finder(model, **{"x": x, "y": y, **arguments})


def test_lr_finder_of_a_model_that_is_not_compiled():
    x, y = data()
    with pytest.raises(ValueError, match="expected a compiled model"):
        nnx.lr_finder(network(), x, y)
