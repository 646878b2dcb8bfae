"""Models of several inputs and outputs, against a reference written by hand."""

import copy
import pickle

import harness
import nnx
import numpy as np
import pytest

N, ROWS = 24, 8


class TwoBranches(nnx.Model):
    """An image and a table, joined, and one output."""

    def __init__(self):
        super().__init__()
        self.conv = nnx.Conv2D(3, 3, activation="relu")
        self.flat = nnx.Flatten()
        self.table = nnx.Dense(4, activation="tanh")
        self.join = nnx.Concat()
        self.out = nnx.Dense(3)

    def forward(self, image, table):
        return self.out(self.join(self.flat(self.conv(image)), self.table(table)))


class TwoHeads(nnx.Model):
    """One input, a class and a value."""

    def __init__(self, kind="dict"):
        super().__init__()
        self.kind = kind
        self.trunk = nnx.Dense(6, activation="tanh")
        self.label = nnx.Dense(3)
        self.value = nnx.Dense(2)

    def forward(self, x):
        h = self.trunk(x)
        if self.kind == "dict":
            return {"label": self.label(h), "value": self.value(h)}
        return self.label(h), self.value(h)


@pytest.fixture
def data():
    generator = np.random.default_rng(3)
    return {
        "image": generator.standard_normal((N, 6, 5, 2)),
        "table": generator.standard_normal((N, 7)),
        "x": generator.standard_normal((N, 5)),
        "label": generator.integers(0, 3, N),
        "value": generator.standard_normal((N, 2)),
        "weight": generator.uniform(0.1, 2.0, N),
    }


def softmax_loss(z, labels, weight=None):
    """Mean cross-entropy and its gradient."""
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    weight = np.ones(len(z)) if weight is None else weight
    rows = np.arange(len(z))
    loss = -(weight * np.log(p[rows, labels])).sum() / len(z)
    p[rows, labels] -= 1
    return loss, p * weight[:, None] / len(z)


def two_branches_step(w, image, table, labels):
    """Loss and gradients of `TwoBranches`, in float64."""
    kernel, n = w["conv.kernel"], len(image)
    patches = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))  # N, H, W, C, 3, 3
    a = np.maximum(np.einsum("nhwcij,ijco->nhwo", patches, kernel) + w["conv.bias"], 0)
    t = np.tanh(table @ w["table.kernel"] + w["table.bias"])
    joined = np.concatenate([a.reshape(n, -1), t], axis=1)
    loss, dz = softmax_loss(joined @ w["out.kernel"] + w["out.bias"], labels)
    dj = dz @ w["out.kernel"].T
    split = joined.shape[1] - 4
    da = dj[:, :split].reshape(a.shape) * (a > 0)
    dt = dj[:, split:] * (1 - t**2)
    return loss, {
        "conv.kernel": np.einsum("nhwcij,nhwo->ijco", patches, da),
        "conv.bias": da.sum(axis=(0, 1, 2)),
        "table.kernel": table.T @ dt,
        "table.bias": dt.sum(axis=0),
        "out.kernel": joined.T @ dz,
        "out.bias": dz.sum(axis=0),
    }


def two_heads_step(w, x, labels, values, factors=(1.0, 1.0), weight=None):
    """Losses by output, and the gradients of their weighted sum."""
    h = np.tanh(x @ w["trunk.kernel"] + w["trunk.bias"])
    one, dz = softmax_loss(h @ w["label.kernel"] + w["label.bias"], labels, weight)
    error = h @ w["value.kernel"] + w["value.bias"] - values
    two = (error**2).mean()
    dz, de = factors[0] * dz, factors[1] * 2 * error / error.size
    dh = (dz @ w["label.kernel"].T + de @ w["value.kernel"].T) * (1 - h**2)
    return (one, two), {
        "trunk.kernel": x.T @ dh,
        "trunk.bias": dh.sum(axis=0),
        "label.kernel": h.T @ dz,
        "label.bias": dz.sum(axis=0),
        "value.kernel": h.T @ de,
        "value.bias": de.sum(axis=0),
    }


def compiled(model, shape, device="cpu", **options):
    options = {"loss": "cross_entropy"} | options
    model.compile(nnx.SGD(0.1), device=device, precision="float64", seed=5, **options)
    model.build(shape)
    return model


def heads(device="cpu", kind="dict", **options):
    return compiled(TwoHeads(kind), (5,), device, **{"loss": ["cross_entropy", "mse"]} | options)


def expect_equal(got, want, tolerance=1e-11):
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("device", harness.devices())
def test_two_branches_train_as_the_reference(data, device):
    model = compiled(TwoBranches(), [(6, 5, 2), (7,)], device)
    assert model.input_shape == ((6, 5, 2), (7,))
    w = model.state_dict()
    image, table, y = data["image"], data["table"], data["label"]
    loss, gradients = model.gradients([image, table], y)
    want, reference = two_branches_step(w, image, table, y)
    assert loss == pytest.approx(want, rel=1e-12)
    expect_equal(gradients, reference)
    history = model.fit({"image": image, "table": table}, y, batch_size=ROWS, epochs=2, shuffle=False)
    losses = []
    for _ in range(2):
        total = 0.0
        for start in range(0, N, ROWS):
            rows = slice(start, start + ROWS)
            loss, gradients = two_branches_step(w, image[rows], table[rows], y[rows])
            total += loss * ROWS
            w = {name: value - 0.1 * gradients[name] for name, value in w.items()}
        losses.append(total / N)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-11)
    expect_equal(model.state_dict(), w)


@pytest.mark.parametrize("device", harness.devices())
@pytest.mark.parametrize("factors", [(1.0, 1.0), (0.5, 2.0), (0.0, 1.0)])
def test_two_heads_train_as_the_reference(data, device, factors):
    model = heads(device, loss_weights=factors, metrics={"label": "accuracy", "value": ["mae"]})
    w = model.state_dict()
    x, labels, values = data["x"], data["label"], data["value"]
    loss, gradients = model.gradients(x, {"label": labels, "value": values})
    (one, two), reference = two_heads_step(w, x, labels, values, factors)
    assert loss == pytest.approx(factors[0] * one + factors[1] * two, rel=1e-12)
    expect_equal({k: v for k, v in gradients.items()}, reference)
    history = model.fit(x, [labels, values], batch_size=ROWS, shuffle=False).history
    sums = np.zeros(2)
    for start in range(0, N, ROWS):
        rows = slice(start, start + ROWS)
        both, gradients = two_heads_step(w, x[rows], labels[rows], values[rows], factors)
        sums += np.array(both) * ROWS / N
        w = {name: value - 0.1 * gradients[name] for name, value in w.items()}
    assert history["label_loss"] == pytest.approx([sums[0]], rel=1e-11)
    assert history["value_loss"] == pytest.approx([sums[1]], rel=1e-11)
    assert history["loss"] == pytest.approx([np.dot(factors, sums)], rel=1e-11)
    expect_equal(model.state_dict(), w)
    predicted = model.predict(x)
    result = model.evaluate(x, {"label": labels, "value": values}, batch_size=10)
    assert set(result) == {"loss", "label_loss", "value_loss", "label_accuracy", "value_mae"}
    assert result["label_accuracy"] == np.mean(predicted["label"].argmax(axis=1) == labels)
    assert result["value_mae"] == pytest.approx(np.abs(predicted["value"] - values).mean(), rel=1e-12)


def test_sample_weights_are_by_output(data):
    model = heads()
    w, x = model.state_dict(), data["x"]
    y = [data["label"], data["value"]]
    loss, gradients = model.gradients(x, y, {"label": data["weight"]})
    both, reference = two_heads_step(w, x, *y, weight=data["weight"])
    assert loss == pytest.approx(sum(both), rel=1e-12)
    expect_equal(gradients, reference)
    with_both, _ = model.gradients(x, y, data["weight"])
    one_each, _ = model.gradients(x, y, [data["weight"], data["weight"]])
    assert with_both == one_each != loss


def test_predict_gives_what_forward_returns(data):
    assert list(heads().predict(data["x"])) == ["label", "value"]
    listed = heads(kind="tuple").predict(data["x"])
    assert isinstance(listed, list)
    assert [array.shape for array in listed] == [(N, 3), (N, 2)]
    for by_call in (heads()(data["x"]), heads().predict_on_batch(data["x"])):
        np.testing.assert_array_equal(by_call["value"], heads().predict(data["x"])["value"])


def test_names_of_outputs_are_those_of_their_layers(data):
    model = heads(kind="tuple", metrics=["accuracy", "mae"])
    history = model.fit(
        data["x"], (data["label"], data["value"]), validation_split=0.25, batch_size=ROWS
    ).history
    names = {"loss", "label_loss", "value_loss", "label_accuracy", "value_mae"}
    assert set(history) == names | {f"val_{name}" for name in names} | {"learning_rate"}


def test_batches_and_validation_data_of_several(data):
    image, table, y = data["image"], data["table"], data["label"]
    model, other = (compiled(TwoBranches(), [(6, 5, 2), (7,)]) for _ in range(2))
    parts = [slice(start, start + ROWS) for start in range(0, N, ROWS)]
    batches = [((image[rows], table[rows]), y[rows]) for rows in parts]
    history = model.fit(batches, validation_data=((image, table), y))
    other.fit((image, table), y, batch_size=ROWS, shuffle=False)
    expect_equal(model.state_dict(), other.state_dict(), 0)
    assert history.history["val_loss"][0] == pytest.approx(other.evaluate([image, table], y)["loss"])
    together = compiled(TwoBranches(), [(6, 5, 2), (7,)])
    together.fit(batches, accumulate=3)
    whole = compiled(TwoBranches(), [(6, 5, 2), (7,)])
    whole.fit((image, table), y, batch_size=N, shuffle=False)
    expect_equal(together.state_dict(), whole.state_dict(), 1e-13)


@pytest.mark.parametrize("device", harness.devices())
def test_steps_by_hand(data, device):
    y = {"label": data["label"], "value": data["value"]}
    by_step, by_fit, by_gradient = heads(device), heads(device), heads(device)
    before = by_step.test_on_batch(data["x"], y)
    assert by_step.train_on_batch(data["x"], y) == before
    by_fit.fit(data["x"], y, batch_size=N, shuffle=False)
    by_gradient.apply_gradients(by_gradient.gradients(data["x"], y)[1])
    expect_equal(by_step.state_dict(), by_fit.state_dict(), 0)
    expect_equal(by_gradient.state_dict(), by_fit.state_dict(), 1e-15)
    assert by_step.train_step(data["x"], y) == by_fit.train_step(data["x"], y)
    assert list(by_step.activations(data["x"])) == ["trunk", "label", "value"]


def test_an_output_without_a_loss_is_only_predicted(data):
    model = heads(loss={"label": "cross_entropy", "value": None})
    w = model.state_dict()
    model.fit(data["x"], {"label": data["label"]}, epochs=2)
    np.testing.assert_array_equal(model.state_dict()["value.kernel"], w["value.kernel"])
    assert np.any(model.state_dict()["label.kernel"] != w["label.kernel"])
    assert "value_loss" not in model.evaluate(data["x"], {"label": data["label"]})


def test_outputs_that_lie_on_each_others_way(data):
    class Chain(nnx.Model):
        def __init__(self):
            super().__init__()
            self.gate = nnx.Dense(2, activation="sigmoid")
            self.out = nnx.Dense(2)

        def forward(self, x):
            gate = self.gate(x)
            return {"gate": gate, "again": gate, "out": self.out(gate)}

    model = compiled(Chain(), (5,), loss=["bce", "mse", "mse"])
    w, x = model.state_dict(), data["x"]
    t = (data["value"] > 0).astype(float)
    loss, gradients = model.gradients(x, [t, t, data["value"]])
    z = x @ w["gate.kernel"] + w["gate.bias"]
    p = 1 / (1 + np.exp(-z))
    error = p @ w["out.kernel"] + w["out.bias"] - data["value"]
    want = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean() + ((p - t) ** 2).mean() + (error**2).mean()
    dp = 2 * (p - t) / p.size + 2 * error / p.size @ w["out.kernel"].T
    dz = (p - t) / p.size + dp * p * (1 - p)
    assert loss == pytest.approx(want, rel=1e-12)
    expect_equal(gradients, {"gate.kernel": x.T @ dz, "gate.bias": dz.sum(axis=0)})


@pytest.mark.parametrize("make", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_go_on_alike(data, make):
    y = {"label": data["label"], "value": data["value"]}
    model = heads(metrics={"label": ["accuracy"]}, loss_weights={"label": 2.0})
    model.fit(data["x"], y)
    nnx.register(TwoHeads)
    other = make(model)
    assert model.fit(data["x"], y).history == other.fit(data["x"], y).history


def test_save_load_and_resume(data, tmp_path):
    nnx.register(TwoBranches)
    nnx.register(TwoHeads)
    x, y = [data["image"], data["table"]], data["label"]

    class Stop(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.epoch == 1 and batch == 1:
                self.model.save(tmp_path / "model.safetensors")

    whole = compiled(TwoBranches(), [(6, 5, 2), (7,)], metrics=["accuracy"])
    history = whole.fit(x, y, batch_size=ROWS, epochs=3, callbacks=Stop())
    resumed = nnx.load(tmp_path / "model.safetensors")
    assert resumed.input_shape == ((6, 5, 2), (7,))
    assert resumed.fit(x, y, batch_size=ROWS, epochs=3, resume=True).history == history.history
    expect_equal(resumed.state_dict(), whole.state_dict(), 0)

    both = {"label": y, "value": data["value"]}
    whole = heads(metrics={"value": "mae"}, loss_weights=[1.0, 0.5])
    history = whole.fit(data["x"], both, batch_size=ROWS, epochs=3, callbacks=Stop())
    resumed = nnx.load(tmp_path / "model.safetensors")
    assert resumed.fit(data["x"], both, batch_size=ROWS, epochs=3, resume=True).history == history.history
    other = nnx.load(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="other data"):
        other.fit(data["x"], {**both, "value": data["value"] + 1}, batch_size=ROWS, epochs=3, resume=True)


def test_a_dict_for_an_only_argument(data):
    class ByName(nnx.Model):
        def __init__(self):
            super().__init__()
            self.out = nnx.Dense(3)

        def forward(self, parts):
            return self.out(nnx.ops.concat([parts["table"], parts["x"]]))

    model = ByName()
    model.compile("sgd", "cross_entropy")
    x = {"table": data["table"], "x": data["x"]}
    model.fit(x, data["label"])
    assert model.input_shape == (("table", (7,)), ("x", (5,)))
    assert model.predict(x).shape == (N, 3)


def test_summary_and_nested(data):
    class Outer(nnx.Model):
        def __init__(self):
            super().__init__()
            self.inner = TwoBranches()
            self.last = nnx.Dense(2)

        def forward(self, image, table):
            return self.last(self.inner(image, table))

    model = compiled(Outer(), [(6, 5, 2), (7,)], loss="mse")
    assert "inner.conv" in model.summary(print_fn=None)
    assert model.fit([data["image"], data["table"]], data["value"]).history["loss"]
    assert "label" in heads().summary(print_fn=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, m: m.fit(d["image"], d["label"]), "expected 2 arrays, image, table"),
        (lambda d, m: m.fit([d["image"]], d["label"]), "expected 2 arrays, image, table.*got 1"),
        (lambda d, m: m.fit([d["image"], d["table"][:3]], d["label"]), "one length, got 24 .* and 3"),
        (lambda d, m: m.fit({"image": d["image"]}, d["label"]), "missing: table"),
        (
            lambda d, m: m.predict({"image": d["image"], "table": d["table"], "other": d["x"]}),
            "unexpected: other",
        ),
        (lambda d, m: m.fit([d["image"], d["table"]], d["label"][:4]), "one length, got 24 and 4"),
        (lambda d, m: m.fit([d["table"], d["image"]], d["label"]), "samples of shapes"),
    ],
)
def test_errors_of_inputs(data, change, message):
    model = compiled(TwoBranches(), [(6, 5, 2), (7,)])
    with pytest.raises(ValueError, match=message):
        change(data, model)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (lambda d: d["label"], "2 outputs, label, value, got one"),
        (lambda d: [d["label"]], "2 outputs, label, value, got 1"),
        (lambda d: {"label": d["label"], "valu": d["value"]}, "unexpected: valu"),
        (lambda d: {"label": d["label"]}, "targets for the output 'value', got None"),
        (lambda d: [d["label"], d["value"][:5]], "y of output 'value' expected one length, got 24 and 5"),
        (lambda d: [d["label"] + 9, d["value"]], "output 'label'"),
    ],
)
def test_errors_of_targets(data, y, message):
    with pytest.raises(ValueError, match=message):
        heads().fit(data["x"], y(data))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": {"label": "mse", "nothing": "mse"}}, "unexpected: nothing"),
        ({"loss": ["mse"]}, "argument 'loss' expected one for each of 2 outputs"),
        ({"loss_weights": [1.0, 2.0, 3.0]}, "argument 'loss_weights' expected one for each of 2 outputs"),
        ({"metrics": {"nothing": "mae"}}, "argument 'metrics'.*unexpected: nothing"),
        ({"loss": {"label": "cross_entropy"}, "metrics": {"value": "mae"}}, "'value', which has no loss"),
    ],
)
def test_errors_of_compile(data, options, message):
    model = heads(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(data["x"], [data["label"], data["value"]])


def test_a_learning_rate_is_found(data):
    y = {"label": data["label"], "value": data["value"]}
    found = nnx.lr_finder(heads(), data["x"], y, steps=10, batch_size=ROWS)
    assert len(found.losses) == 10
    found = nnx.lr_finder(
        compiled(TwoBranches(), [(6, 5, 2), (7,)]), [data["image"], data["table"]], data["label"], steps=5
    )
    assert len(found.losses) == 5


def test_what_is_better_of_an_output(data):
    for name, more in (("val_label_accuracy", True), ("val_label_f1", True), ("val_value_loss", False)):
        assert nnx.callbacks.EarlyStopping(name).more_is_better is more
    y = {"label": data["label"], "value": data["value"]}
    stop = nnx.callbacks.EarlyStopping("val_value_loss", patience=1)
    heads().fit(data["x"], y, epochs=3, validation_split=0.25, callbacks=stop)
