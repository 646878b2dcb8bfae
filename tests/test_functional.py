"""Models without a class: nnx.Input, layers called outside of models, nnx.Model(inputs, outputs)."""

import copy
import json
import pickle

import harness
import nnx
import numpy as np
import pytest
from nnx import ops

N = 20


@pytest.fixture
def data():
    generator = np.random.default_rng(1)
    return {
        "image": generator.standard_normal((N, 8, 8, 1)).astype(np.float32),
        "table": generator.standard_normal((N, 6)).astype(np.float32),
        "label": generator.integers(0, 3, N),
        "price": generator.standard_normal((N, 1)).astype(np.float32),
    }


class Classed(nnx.Model):
    """What `functional` makes, with a class."""

    def __init__(self):
        super().__init__()
        self.conv2d = nnx.Conv2D(4, 3, activation="relu")
        self.flatten = nnx.Flatten()
        self.dropout = nnx.Dropout(0.3)
        self.dense = nnx.Dense(5, activation="tanh")
        self.concat = nnx.Concat()
        self.label = nnx.Dense(3, activation="softmax")
        self.price = nnx.Dense(1)

    def forward(self, image, table):
        a = self.dropout(self.flatten(self.conv2d(image)))
        b = self.dense(table)
        h = self.concat(a, b * 2.0 - b)
        return self.label(h), self.price(ops.relu(h))


def functional():
    image, table = nnx.Input((8, 8, 1), name="image"), nnx.Input(6, name="table")
    a = nnx.Dropout(0.3)(nnx.Flatten()(nnx.Conv2D(4, 3, activation="relu")(image)))
    b = nnx.Dense(5, activation="tanh")(table)
    h = nnx.Concat()([a, b * 2.0 - b])
    label = nnx.Dense(3, activation="softmax", name="label")(h)
    price = nnx.Dense(1, name="price")(ops.relu(h))
    return nnx.Model(inputs=[image, table], outputs=[label, price])


def compiled(model, device="cpu"):
    model.compile(
        nnx.Adam(0.01),
        ["cross_entropy", "mse"],
        metrics={"label": ["accuracy"], "price": ["mae"]},
        loss_weights={"price": 0.5},
        seed=4,
        device=device,
    )
    return model


def trained(model, data, **options):
    return model.fit(
        {"image": data["image"], "table": data["table"]},
        {"label": data["label"], "price": data["price"]},
        batch_size=6,
        epochs=3,
        **options,
    ).history


def expect_equal(one, other):
    assert list(one.state_dict()) == list(other.state_dict())
    for name, weight in one.state_dict().items():
        np.testing.assert_array_equal(weight, other.state_dict()[name], err_msg=name)


@pytest.mark.parametrize("device", harness.devices())
def test_the_same_bits_as_with_a_class(data, device):
    one, other = compiled(functional(), device), compiled(Classed(), device)
    assert trained(one, data, validation_split=0.2) == trained(other, data, validation_split=0.2)
    expect_equal(one, other)
    x = [data["image"], data["table"]]
    for a, b in zip(one.predict(x), other.predict(x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_keras_script(data, tmp_path):
    keras = layers = nnx
    image = layers.Input(shape=(8, 8, 1), name="image")
    table = layers.Input(shape=(6,), name="table", dtype="float32", batch_size=None)
    x = layers.Conv2D(8, 3, activation="relu")(image)
    x = layers.MaxPool2D(2)(x)
    x = layers.Flatten()(x)
    y = layers.Dense(8, activation="relu")(table)
    z = layers.Concat()([x, y])
    label = layers.Dense(3, activation="softmax", name="label")(z)
    price = layers.Dense(1, name="price")(z)
    model = keras.Model(inputs=[image, table], outputs={"label": label, "price": price})
    model.compile(
        optimizer="adam",
        loss={"label": "sparse_categorical_crossentropy", "price": "mse"},
        loss_weights={"label": 1.0, "price": 0.2},
        metrics={"label": ["accuracy"], "price": ["mae"]},
    )
    assert "label" in model.summary(print_fn=None)
    history = trained(model, data, validation_split=0.25)
    keys = {"loss", "label_loss", "price_loss", "label_accuracy", "price_mae"}
    assert set(history) == keys | {f"val_{key}" for key in keys} | {"learning_rate"}
    result = model.evaluate([data["image"], data["table"]], {"label": data["label"], "price": data["price"]})
    assert set(result) == keys
    assert result["loss"] == pytest.approx(result["label_loss"] + 0.2 * result["price_loss"], rel=1e-6)
    predicted = model.predict({"image": data["image"], "table": data["table"]})
    assert predicted["label"].shape == (N, 3)
    model.save(tmp_path / "model.safetensors")
    again = nnx.load(tmp_path / "model.safetensors").predict([data["image"], data["table"]])
    np.testing.assert_array_equal(again["price"], predicted["price"])


def test_one_input_and_one_output_is_as_any_model(data):
    x = nnx.Input((8, 8, 1))
    model = nnx.Model(x, nnx.Dense(3)(nnx.Flatten()(nnx.Conv2D(2, 3)(x))))
    row = nnx.Sequential(nnx.Conv2D(2, 3), nnx.Flatten(), nnx.Dense(3))
    for one in (model, row):
        one.compile("sgd", "cross_entropy", ["accuracy"], seed=1)
    assert model.fit(data["image"], data["label"]).history == row.fit(data["image"], data["label"]).history
    expect_equal(model, row)
    assert model.predict(data["image"]).shape == (N, 3)
    assert model.input_shape == (8, 8, 1)


def test_layers_have_names_as_in_keras():
    model = functional()
    names = ["conv2d", "flatten", "dropout", "dense", "concat", "label", "price"]
    assert [name for name, _ in model.children()] == names
    assert model.get_layer("dense").units == 5
    assert model.get_layer("label") is model.layers[5]
    x = nnx.Input(4)
    model = nnx.Model(x, nnx.Dense(2)(nnx.Dense(3)(x)))
    assert list(model.state_dict()) == ["dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"]
    assert model.count_params() == 4 * 3 + 3 + 3 * 2 + 2
    assert "dense_1" in repr(model)


def test_a_layer_called_twice_has_one_set_of_weights(data):
    a, b = nnx.Input(6), nnx.Input(6)
    shared = nnx.Dense(4, activation="tanh")
    model = nnx.Model([a, b], nnx.Dense(1)(nnx.Concat()(shared(a), shared(b))))
    assert list(model.state_dict()) == ["dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"]
    w = model.state_dict()
    h = [np.tanh(x @ w["dense.kernel"] + w["dense.bias"]) for x in (data["table"], 2 * data["table"])]
    want = np.concatenate(h, axis=1) @ w["dense_1.kernel"] + w["dense_1.bias"]
    np.testing.assert_allclose(model.predict([data["table"], 2 * data["table"]]), want, rtol=1e-5, atol=1e-6)


def test_models_are_layers(data):
    x = nnx.Input(6)
    inner = nnx.Model(x, nnx.Dense(4, activation="tanh")(x), name="inner")
    y = nnx.Input(6)
    outer = nnx.Model(y, nnx.Dense(2)(inner(y) + nnx.Sequential(nnx.Dense(4))(y)))
    assert [name for name, _ in outer.children()] == ["inner", "sequential", "dense"]
    w = outer.state_dict()
    h = np.tanh(data["table"] @ w["inner.dense.kernel"]) + data["table"] @ w["sequential.dense.kernel"]
    np.testing.assert_allclose(outer.predict(data["table"]), h @ w["dense.kernel"], rtol=1e-5, atol=1e-6)
    pair = functional()
    image, table = nnx.Input((8, 8, 1)), nnx.Input(6)
    label, price = pair([image, table])
    around = nnx.Model([image, table], [price, label])
    x = [data["image"], data["table"]]
    np.testing.assert_array_equal(around.predict(x)[1], pair.predict(x)[0])


@pytest.mark.parametrize("make", ["deepcopy", "pickle", "config", "json"])
def test_copies_and_configs(data, make):
    model = compiled(functional())
    trained(model, data)
    if make == "deepcopy":
        other = copy.deepcopy(model)
    elif make == "pickle":
        other = pickle.loads(pickle.dumps(model))
    else:
        config = model.get_config()
        config = json.loads(json.dumps(config)) if make == "json" else config
        other = compiled(type(model).from_config(config))
        model = compiled(functional())
    assert trained(other, data) == trained(model, data)
    expect_equal(other, model)


def test_saved_and_resumed_to_the_bit(data, tmp_path):
    class Save(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.epoch == 1 and batch == 1:
                self.model.save(tmp_path / "model.safetensors")

    whole = compiled(functional())
    history = trained(whole, data, callbacks=Save())
    resumed = nnx.load(tmp_path / "model.safetensors")
    assert [name for name, _ in resumed.children()] == [name for name, _ in whole.children()]
    assert trained(resumed, data, resume=True) == history
    expect_equal(resumed, whole)


def test_a_file_names_nothing_that_is_not_an_operation(data):
    config = nnx.Model(x := nnx.Input(4), x * 2.0).get_config()
    assert [call["op"] for call in config["calls"]] == ["scale"]
    for name in ("__init__", "nodes", "parameter"):
        changed = copy.deepcopy(config)
        changed["calls"][0]["op"] = name
        with pytest.raises(TypeError, match="argument 'calls' expected layers and operations"):
            type(nnx.Model(x, x * 2.0)).from_config(changed)


def test_operations_on_inputs(data):
    x = nnx.Input(6)
    y = ops.concat([x * 2.0, ops.relu(x), -x], axis=-1)
    model = nnx.Model(x, {"sum": x + x, "parts": ops.reshape(y, (3, 6)), "again": x})
    t = data["table"]
    got = model.predict(t)
    np.testing.assert_array_equal(got["sum"], t + t)
    np.testing.assert_array_equal(got["parts"], np.stack([2 * t, np.maximum(t, 0), -t], axis=1))
    np.testing.assert_array_equal(got["again"], t)


def test_the_record_does_not_hold_what_nobody_needs():
    import gc
    import weakref

    x = nnx.Input(4)
    layer = nnx.Dense(3)
    layer(x)
    watched = weakref.ref(layer)
    del layer
    gc.collect()
    assert watched() is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x, y: nnx.Model(x, x + y), ValueError, "'inputs' expected all inputs.*the Input 'y'"),
        (lambda x, y: nnx.Model([x, x], x), ValueError, "each Input once"),
        (lambda x, y: nnx.Model(nnx.Dense(2)(x), x), ValueError, "the Input 'x' is missing|expected"),
        (lambda x, y: nnx.Model(np.ones(3), x), TypeError, "'inputs' expected what nnx.Input gives"),
        (lambda x, y: nnx.Model(x, 3), TypeError, "'outputs' expected what layers made"),
        (lambda x, y: nnx.Input((None, 3)), ValueError, "expected extents of at least 1"),
        (lambda x, y: nnx.Input((3,), name=""), ValueError, "argument 'name'"),
        (lambda x, y: nnx.Dense(2)(x) + y, ValueError, "add"),
    ],
)
def test_errors(make, error, message):
    x, y = nnx.Input(4, name="x"), nnx.Input(4, name="y")
    with pytest.raises((error, TypeError), match=message):
        make(x, y)
