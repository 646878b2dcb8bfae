"""Diagnostics: what the program measures is what NumPy makes of gradients, weights and activations."""

import harness
import nnx
import numpy as np
import pytest
from nnx.callbacks import Diagnostics

OPTIMIZERS = {
    "sgd": lambda: nnx.SGD(0.1),
    "momentum": lambda: nnx.SGD(0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda: nnx.Adam(0.01, clip_norm=0.5),
}


def data(samples=24):
    rng = np.random.default_rng(3)
    return rng.normal(size=(samples, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, samples)


def network(padding="valid"):
    return nnx.Sequential(
        nnx.Conv2D(6, 3, padding=padding, activation="relu", bias_initializer=[0.0, 0, 0, 0, 0, -50.0]),
        nnx.MaxPool2D(),
        nnx.BatchNorm(),
        nnx.Flatten(),
        nnx.Dense(8, "tanh", kernel_initializer=nnx.initializers.normal(0.0, 1.0)),
        nnx.Dense(7, "sigmoid", kernel_initializer=nnx.initializers.normal(0.0, 3.0)),
        nnx.Dense(5),
        nnx.ReLU(),
        nnx.Dense(3),
    )


def compiled(optimizer, device, precision="float64", model=None):
    model = model or network()
    model.compile(OPTIMIZERS[optimizer](), "cross_entropy", device=device, precision=precision, seed=5)
    return model


def norm(arrays):
    return np.sqrt(sum(np.sum(np.square(array, dtype=np.float64)) for array in arrays))


def by_hand(model, x, y, batch, epochs):
    """The same numbers from gradients, weights and layers, one step at a time."""
    model.steps_per_epoch = -(-len(x) // batch)
    result = []
    for _ in range(epochs):
        gradients_of, ratios_of, alive, outside = {}, {}, {}, {}
        for start in range(0, len(x), batch):
            part = slice(start, start + batch)
            value = x[part].astype(np.float64)
            _, gradients = model.gradients(x[part], y[part])
            # training's activations: every layer on arrays, but for the batch norm, which takes the batch's statistics
            for name, layer in model.children():
                if isinstance(layer, nnx.BatchNorm):
                    mean, var = value.mean(axis=(0, 1, 2)), value.var(axis=(0, 1, 2))
                    value = (value - mean) / np.sqrt(
                        var + layer.epsilon
                    ) * layer.gamma.numpy() + layer.beta.numpy()
                    continue
                value = np.asarray(layer(value.astype(np.float64)))
                if name in ("conv2d", "relu"):
                    units = value.reshape(-1, value.shape[-1]).max(axis=0) > 0
                    owner = "dense_2" if name == "relu" else name  # the layer that it is fused into
                    alive[owner] = alive.get(owner, False) | units
                if name == "dense":
                    outside.setdefault(name, []).append(np.abs(value) > 0.99)
                if name == "dense_1":
                    outside.setdefault(name, []).append((value < 0.01) | (value > 0.99))
            before = model.state_dict()
            model.apply_gradients(gradients)
            after = model.state_dict()
            for layer in dict.fromkeys(name.rsplit(".", 1)[0] for name in gradients):
                own = [name for name in gradients if name.rsplit(".", 1)[0] == layer]
                gradients_of.setdefault(layer, []).append(norm(gradients[name] for name in own))
                step = norm(after[name] - before[name] for name in own) / norm(before[name] for name in own)
                ratios_of.setdefault(layer, []).append(step)
        epoch = {
            layer: {
                "gradient_norm": np.mean(norms),
                "largest_gradient_norm": np.max(norms),
                "update_ratio": np.mean(ratios_of[layer]),
            }
            for layer, norms in gradients_of.items()
        }
        for layer, units in alive.items():
            epoch.setdefault(layer, {})["dead"] = np.mean(~units)
        for layer, parts in outside.items():
            epoch[layer]["saturated"] = np.mean(np.concatenate(parts))
        result.append(epoch)
    return result


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("device", harness.devices())
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_as_numpy_has_it(optimizer, device, precision):
    x, y = data()
    model = compiled(optimizer, device, precision)
    options = {"batch_size": 10, "epochs": 3, "shuffle": False, "verbose": 0}
    history = model.fit(x, y, callbacks=[Diagnostics()], **options)
    expected = by_hand(compiled(optimizer, device, precision), x, y, 10, 3)
    assert len(model.diagnostics) == 3
    exact = precision == "float64"
    for epoch, layers in enumerate(expected):
        assert model.diagnostics[epoch].keys() == layers.keys()
        for layer, values in layers.items():
            assert model.diagnostics[epoch][layer].keys() == values.keys(), layer
            for quantity, value in values.items():
                found = history.diagnostics[layer][quantity][epoch]
                tolerance = 1e-9 if exact else 2e-3 if quantity == "update_ratio" else 1e-4
                assert found == pytest.approx(value, rel=tolerance, abs=1e-12 if exact else 5e-3), (
                    layer,
                    quantity,
                )
    assert history.diagnostics["conv2d"]["dead"][0] >= 1 / 6  # the unit with a bias of -50
    assert 0 < history.diagnostics["dense_1"]["saturated"][0] < 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("device", harness.devices())
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_weights_come_to_the_same_bits(optimizer, device, precision):
    x, y = data()
    models = [compiled(optimizer, device, precision) for _ in range(3)]
    for model, callbacks in zip(models, ([], [Diagnostics()], [Diagnostics(3)]), strict=True):
        model.fit(x, y, batch_size=5, epochs=3, verbose=0, callbacks=callbacks)
    for model in models[1:]:
        for a, b in zip(models[0].get_weights(), model.get_weights(), strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_measures_the_same(threads):
    x, y = data()
    before, found = nnx.get_num_threads(), []
    for count in (2, threads):
        nnx.set_num_threads(count)
        try:
            model = compiled("adam", "cpu")
            model.fit(x, y, batch_size=12, verbose=0, callbacks=[Diagnostics()])
        finally:
            nnx.set_num_threads(before)
        found.append(model.diagnostics)
    assert found[0] == found[1]


@pytest.mark.parametrize("device", harness.devices())
def test_every_so_many_steps(device):
    x, y = data()
    model, often = compiled("sgd", device), compiled("sgd", device)
    model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0, callbacks=[Diagnostics(every=6)])
    often.fit(x[:4], y[:4], batch_size=4, epochs=1, shuffle=False, verbose=0, callbacks=[Diagnostics()])
    # of six steps the first alone is measured
    for layer, values in often.diagnostics[0].items():
        assert model.diagnostics[0][layer] == pytest.approx(values, rel=1e-12)


def test_batches_a_step_each_and_resuming(tmp_path):
    x, y = data()
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 24, 8)]
    whole, parts = compiled("momentum", "cpu"), compiled("momentum", "cpu")
    whole.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[Diagnostics()])
    parts.fit(batches, epochs=2, verbose=0, callbacks=[Diagnostics()])
    assert parts.diagnostics == whole.diagnostics

    class Save(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                self.model.save(tmp_path / "m")

    model = compiled("momentum", "cpu")
    options = {"batch_size": 8, "epochs": 3, "verbose": 0}
    history = model.fit(x, y, callbacks=[Diagnostics(), Save()], **options)
    again = nnx.load(tmp_path / "m").fit(x, y, callbacks=[Diagnostics()], resume=True, **options)
    assert again.diagnostics == history.diagnostics


def test_without_the_callback_there_is_nothing():
    x, y = data()
    model = compiled("sgd", "cpu")
    model.fit(x, y, verbose=0, callbacks=[Diagnostics()])
    history = model.fit(x, y, verbose=0)
    assert model.diagnostics == []
    assert history.diagnostics == {}
    with pytest.raises(ValueError, match="diagnostics: nothing was measured: give fit callbacks="):
        nnx.plots.diagnostics(history)


def test_frozen_layers_and_unused_ones_are_left_out():
    x, y = data()
    model = network()
    model.layers[0].trainable = False
    compiled("adam", "cpu", model=model)
    model.fit(x, y, verbose=0, callbacks=[Diagnostics()])
    assert list(model.diagnostics[0]["conv2d"]) == ["dead"]
    assert "gradient_norm" in model.diagnostics[0]["batch_norm"]


class Block(nnx.Model):
    """ReLUs of 6 and of `width` units behind batch norms: one layer at both places, or functions."""

    def __init__(self, function, width):
        super().__init__()
        self.function = function
        self.conv, self.conv_2 = nnx.Conv2D(6, 3), nnx.Conv2D(width, 3)
        self.norm, self.norm_2 = nnx.BatchNorm(), nnx.BatchNorm()
        self.act, self.flatten, self.dense = nnx.ReLU(), nnx.Flatten(), nnx.Dense(3)

    def forward(self, x):
        relu = nnx.ops.relu if self.function else self.act
        x = relu(self.norm(self.conv(x)))
        return self.dense(self.flatten(relu(self.norm_2(self.conv_2(x)))))


@pytest.mark.parametrize("device", harness.devices())
@pytest.mark.parametrize("function", [False, True])
@pytest.mark.parametrize("width", [4, 6])
@pytest.mark.parametrize("split", [False, True])
def test_a_relu_used_twice_has_its_units_at_both_places(device, function, width, split):
    x, y = data()
    model = Block(function, width)
    model.build((8, 8, 1))
    model.norm.beta.assign(np.array([0.0, 0, 0, 0, -50, -50]))
    model.norm_2.beta.assign(np.array([-50.0] + [0] * (width - 1)))
    compiled("sgd", device, model=model)
    given = ([(x[:8], y[:8]), (x[8:], y[8:])],) if split else (x, y)
    history = model.fit(*given, epochs=2, verbose=0, callbacks=[Diagnostics()])
    found = [values["dead"] for values in history.diagnostics.values() if "dead" in values]
    assert found == [[3 / (6 + width)] * 2]
    assert ("(forward)" in history.diagnostics) is function


def test_pictures():
    x, y = data()
    model = compiled("sgd", "cpu")
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[Diagnostics()])
    axes = nnx.plots.diagnostics(history)
    assert [panel.get_title(loc="left").split(",")[0] for panel in axes] == [
        "Gradient norm", "Update over weights", "Share of dead ReLUs", "Share of saturated units",
    ]  # fmt: skip
    assert len(axes[0].get_lines()) == 6
    assert nnx.plots.diagnostics(history.diagnostics, axes[1], "dead") is axes[1]
    with pytest.raises(
        ValueError, match=r"'quantity' expected what was measured, gradient_norm, .*, got 'colour'"
    ):
        nnx.plots.diagnostics(history, axes[1], "colour")


def test_bad_arguments():
    with pytest.raises(
        ValueError, match="Diagnostics: argument 'every' expected an int of at least 1, got 0"
    ):
        Diagnostics(0)
