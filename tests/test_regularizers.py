"""Penalties on weights, in the loss and in the gradients; factors on the learning rate by layer."""

import nnx
import numpy as np
import pytest
from harness import FLOATS, draw, same_bits
from nnx import regularizers

KINDS = {
    "l1": (lambda: regularizers.L1(0.03), 0.03, 0.0),
    "l2": (lambda: regularizers.L2(0.02), 0.0, 0.02),
    "both": (lambda: regularizers.L1L2(0.03, 0.02), 0.03, 0.02),
}


def penalty(w, l1, l2):
    w = np.asarray(w, np.float64)
    return l1 * np.abs(w).sum() + l2 * (w**2).sum()


def slope(w, l1, l2):
    return l1 * np.sign(w) + 2 * l2 * np.asarray(w, np.float64)


def close(got, want, precision):
    tolerance = 1e-12 if precision == "float64" else 1e-5
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def pair(rng, device="cpu", precision="float64", optimizer=nnx.SGD, rate=0.1, **layer):
    """A model whose first layer has what `layer` says, one that has nothing of it, and samples."""
    models = []
    for options in (layer, {}):
        model = nnx.Sequential(nnx.Dense(3, activation="tanh", **options), nnx.Dense(2))
        model.build((4,))
        model.compile(optimizer(rate), "mse", device=device, precision=precision, seed=1)
        models.append(model)
    models[1].set_weights(models[0].get_weights())
    return *models, draw(rng, (8, 4)).astype(precision), draw(rng, (8, 2)).astype(precision)


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_penalty_is_in_loss_and_gradients(rng, device, kind, precision):
    make, l1, l2 = KINDS[kind]
    model, plain, x, t = pair(rng, device, precision, kernel_regularizer=make(), bias_regularizer=make())
    for m in (model, plain):
        m.set_weights([w + 0.5 for w in plain.get_weights()])  # biases too
    kernel, bias = model.get_weights()[:2]
    wanted = penalty(kernel, l1, l2) + penalty(bias, l1, l2)
    close(model.evaluate(x, t)["loss"] - plain.evaluate(x, t)["loss"], wanted, precision)
    close(model.evaluate(x, t, batch_size=3)["loss"] - plain.evaluate(x, t)["loss"], wanted, precision)
    (loss, got), (plain_loss, want) = model.gradients(x, t), plain.gradients(x, t)
    close(loss - plain_loss, wanted, precision)
    names = list(want)
    for name, w in zip(names[:2], (kernel, bias), strict=True):
        close(got[name], want[name] + slope(w, l1, l2), precision)
    for name in names[2:]:
        assert same_bits(got[name], want[name])
    close(model.train_step(x, t) - plain.train_step(x, t), wanted, precision)
    for got, want, w in zip(model.get_weights(), plain.get_weights(), (kernel, bias), strict=False):
        close(got, want - 0.1 * slope(w, l1, l2), precision)


def test_reports_have_the_penalty_in_them(rng):
    """Of training: the mean over the steps, each at its weights; of validation: that of the weights then."""
    model, plain, x, t = pair(rng, kernel_regularizer="l2")
    logs = model.fit(x, t, batch_size=3, epochs=1, shuffle=False, validation_data=(x, t), verbose=0).history
    by_hand = []
    for begin in range(0, 8, 3):
        rows = slice(begin, begin + 3)
        loss, gradients = plain.gradients(x[rows], t[rows])
        w = plain.get_weights()[0]
        by_hand.append((loss + penalty(w, 0.0, 0.01)) * len(x[rows]))
        gradients["dense.kernel"] += slope(w, 0.0, 0.01)
        plain.apply_gradients(gradients)
    assert logs["loss"][0] == pytest.approx(sum(by_hand) / 8, rel=1e-12)
    final = penalty(model.get_weights()[0], 0.0, 0.01)
    assert logs["val_loss"][0] == pytest.approx(plain.evaluate(x, t)["loss"] + final, rel=1e-9)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "lion"])
def test_penalties_go_through_the_optimizer(rng, device, name):
    """Unlike a decoupled weight decay: the rule sees the gradient of the penalty."""
    kinds = {"adam": nnx.Adam, "rmsprop": nnx.RMSprop, "lion": nnx.Lion}
    model, plain, x, t = pair(rng, device, optimizer=kinds[name], kernel_regularizer="l2")
    for _ in range(3):
        _, gradients = plain.gradients(x, t)
        gradients["dense.kernel"] += slope(plain.get_weights()[0], 0.0, 0.01)
        plain.apply_gradients(gradients)
        model.train_step(x, t)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_convolutions_have_them(rng):
    model = nnx.Sequential(nnx.Conv2D(2, 3, kernel_regularizer="l1"), nnx.Flatten(), nnx.Dense(1))
    plain = nnx.Sequential(nnx.Conv2D(2, 3), nnx.Flatten(), nnx.Dense(1))
    x, t = draw(rng, (4, 5, 5, 1)), draw(rng, (4, 1))
    for m in (model, plain):
        m.compile("sgd", "mse", device="cpu", precision="float64", seed=1)
        m.build((5, 5, 1))
    wanted = 0.01 * np.abs(model.get_weights()[0]).sum()
    assert model.evaluate(x, t)["loss"] - plain.evaluate(x, t)["loss"] == pytest.approx(wanted, rel=1e-10)


class Scaled(nnx.Layer):
    def build(self, input_shape):
        self.table = self.add_weight("table", (input_shape[-1], 2), regularizer="l2")

    def forward(self, x):
        return nnx.ops.dense(x, self.table)


def test_layers_of_ones_own(rng):
    layer = Scaled()
    model = nnx.Sequential(layer)
    x, t = draw(rng, (4, 3)), draw(rng, (4, 2))
    model.compile("sgd", "mse", device="cpu", precision="float64", seed=1)
    with_it = model.evaluate(x, t)["loss"]
    layer.table_regularizer = None
    without = model.evaluate(x, t)["loss"]
    assert with_it - without == pytest.approx(penalty(layer.table, 0.0, 0.01), rel=1e-10)


def test_they_may_be_changed_at_any_time(rng):
    model, plain, x, t = pair(rng)
    layer = model.layers[0]
    w = layer.kernel.numpy()

    def added():
        return model.evaluate(x, t)["loss"] - plain.evaluate(x, t)["loss"]

    assert added() == 0.0
    layer.kernel_regularizer = "l2"
    assert added() == pytest.approx(penalty(w, 0.0, 0.01), rel=1e-10)
    layer.kernel_regularizer.l2 = 0.5
    assert added() == pytest.approx(penalty(w, 0.0, 0.5), rel=1e-10)
    layer.trainable = False  # as in Keras: what is not trained is not penalized
    assert added() == 0.0
    layer.trainable = True
    layer.kernel_regularizer = None
    assert added() == 0.0
    before = [v.copy() for v in plain.get_weights()]
    model.train_step(x, t)
    plain.train_step(x, t)
    for a, b, c in zip(model.get_weights(), plain.get_weights(), before, strict=True):
        assert same_bits(a, b)
        assert not same_bits(a, c)


def test_shared_weights_are_penalized_once(rng):
    class Twice(nnx.Model):
        def __init__(self):
            super().__init__()
            self.shared = nnx.Dense(4, kernel_regularizer="l2")

        def forward(self, x):
            return self.shared(self.shared(x))

    model = Twice()
    x, t = draw(rng, (4, 4)), draw(rng, (4, 4))
    model.compile("sgd", "mse", device="cpu", precision="float64", seed=1)
    with_it = model.evaluate(x, t)["loss"]
    model.shared.kernel_regularizer = None
    wanted = penalty(model.get_weights()[0], 0.0, 0.01)
    assert with_it - model.evaluate(x, t)["loss"] == pytest.approx(wanted, rel=1e-10)


def test_names():
    assert isinstance(regularizers.get("l1"), regularizers.L1)
    assert regularizers.get("l2").l2 == 0.01
    assert regularizers.get(regularizers.L1L2).l1 == 0.0
    assert regularizers.get(None) is None
    both = regularizers.get("l1_l2")
    assert (both.l1, both.l2) == (0.01, 0.01)
    with pytest.raises(ValueError, match="argument 'regularizer' expected one of l1, l2"):
        nnx.Dense(1, kernel_regularizer="l3")
    with pytest.raises(TypeError, match="expected a name or a Regularizer, got float"):
        nnx.Dense(1, bias_regularizer=0.1)
    with pytest.raises(ValueError, match="L2: argument 'l2' expected a finite number >= 0, got -1"):
        regularizers.L2(-1)


def test_a_model_that_is_kept_keeps_them(rng, tmp_path):
    model, _, x, t = pair(rng, kernel_regularizer=regularizers.L1L2(0.1, 0.2))
    model.layers[1].learning_rate_multiplier = 0.5
    model.train_step(x, t)
    model.save(tmp_path / "m.safetensors")
    other = nnx.load(tmp_path / "m.safetensors")
    assert other.evaluate(x, t) == model.evaluate(x, t)
    assert other.train_step(x, t) == model.train_step(x, t)
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))


# Factors on the learning rate


class Nested(nnx.Model):
    def __init__(self):
        super().__init__()
        self.body = nnx.Sequential(nnx.Dense(3), nnx.Dense(3))
        self.head = nnx.Dense(2)

    def forward(self, x):
        return self.head(self.body(x))


OPTIMIZERS = {
    "sgd": lambda: nnx.SGD(0.1, momentum=0.9, weight_decay=0.01),
    "adamw": lambda: nnx.AdamW(0.01),
    "rmsprop": lambda: nnx.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: nnx.Adagrad(0.1),
    "lion": lambda: nnx.Lion(0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_multipliers_are_multiplied(rng, device, name, precision):
    """The step of each layer is that with a learning rate times its factor and those of the layers around it."""
    factors = {"body.0": 0.5 * 0.25, "body.1": 0.5 * 3.0, "head": 1.0}
    x, t = draw(rng, (8, 4)).astype(precision), draw(rng, (8, 2)).astype(precision)
    model = Nested()
    model.build((4,))
    start = model.get_weights()
    model.body.learning_rate_multiplier = 0.5
    model.body.layers[0].learning_rate_multiplier = 0.25
    model.body.layers[1].learning_rate_multiplier = 3.0
    model.compile(OPTIMIZERS[name](), "mse", device=device, precision=precision, seed=1)
    model.train_step(x, t)
    names = list(model.state_dict())
    for index, factor in enumerate((factors["body.0"], factors["body.1"], factors["head"])):
        plain = Nested()
        plain.build((4,))
        plain.set_weights(start)
        optimizer = OPTIMIZERS[name]()
        optimizer.learning_rate *= factor
        plain.compile(optimizer, "mse", device=device, precision=precision, seed=1)
        plain.train_step(x, t)
        for place in (2 * index, 2 * index + 1):
            np.testing.assert_allclose(
                model.get_weights()[place],
                plain.get_weights()[place],
                rtol=1e-6 if precision == "float32" else 1e-13,
                err_msg=names[place],
            )


def test_multipliers_may_be_changed_at_any_time(rng):
    model, plain, x, t = pair(rng)
    w = model.get_weights()
    model.layers[0].learning_rate_multiplier = 0.0
    model.train_step(x, t)
    for a, b in zip(model.get_weights()[:2], w[:2], strict=True):
        assert same_bits(a, b)
    assert not same_bits(model.get_weights()[2], w[2])
    model.set_weights(w)
    model.layers[0].learning_rate_multiplier = 1.0
    model.train_step(x, t)
    plain.train_step(x, t)
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), plain.get_weights(), strict=True))


@pytest.mark.parametrize("change", ["multiplier", "trainable"])
def test_changes_of_inner_models_hold_from_the_next_call(rng, change):
    model = Nested()
    x, t = draw(rng, (8, 4)), draw(rng, (8, 2))
    model.compile(nnx.SGD(0.1), "mse", device="cpu", seed=1)
    model.train_step(x, t)
    before = model.get_weights()
    if change == "multiplier":
        model.body.learning_rate_multiplier = 0.0
    else:
        model.body.trainable = False
    model.train_step(x, t)
    after = model.get_weights()
    assert [same_bits(a, b) for a, b in zip(before, after, strict=True)] == [True] * 4 + [False] * 2


def test_multipliers_hold_for_gradients_in_hand(rng):
    model, plain, x, t = pair(rng)
    model.layers[0].learning_rate_multiplier = 0.5
    _, gradients = model.gradients(x, t)
    before = model.get_weights()
    for m in (model, plain):
        m.apply_gradients(gradients)
    step, plain_step = (m.get_weights()[0] - before[0] for m in (model, plain))
    np.testing.assert_allclose(step, plain_step / 2, rtol=1e-12)


def test_bad_multipliers():
    layer = nnx.Dense(1)
    with pytest.raises(
        ValueError, match="Dense: argument 'learning_rate_multiplier' expected a finite number >= 0"
    ):
        layer.learning_rate_multiplier = -1
    with pytest.raises(TypeError, match="'learning_rate_multiplier' expected a number, got str"):
        layer.learning_rate_multiplier = "2"


def test_making_one_is_no_change_of_any_model():
    """Other models keep what they have traced; setting l2 on it afterwards is told to all."""
    count = nnx.graph.changes.count()
    penalty = nnx.regularizers.L2(0.1)
    nnx.regularizers.get("l1_l2")
    assert nnx.graph.changes.count() == count
    penalty.l2 = 0.2
    assert nnx.graph.changes.count() > count
