"""Optimizers in steps, against their published definitions, written out here in NumPy; clipping and averages."""

import nnx
import numpy as np
import pytest
from harness import FLOATS, draw, same_bits
from nnx import optimizers

# (optimizer, a function that makes its step: (weights, gradients, number) -> weights, with a memory of its own)


def rmsprop(rate, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, decay=0.0):
    square, mean, velocity = 0.0, 0.0, 0.0

    def step(w, g, t):
        nonlocal square, mean, velocity
        g = g + decay * w
        square, mean = rho * square + (1 - rho) * g**2, rho * mean + (1 - rho) * g
        velocity = momentum * velocity + rate * g / np.sqrt(square - centered * mean**2 + epsilon)
        return w - velocity

    return step


def adagrad(rate, initial=0.1, epsilon=1e-7, decay=0.0):
    total = initial

    def step(w, g, t):
        nonlocal total
        g = g + decay * w
        total = total + g**2
        return w - rate * g / np.sqrt(total + epsilon)

    return step


def lion(rate, beta1=0.9, beta2=0.99, decay=0.0):
    m = 0.0

    def step(w, g, t):
        nonlocal m
        update = np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        return w - rate * (update + decay * w)

    return step


def adam(rate, beta1=0.9, beta2=0.999, epsilon=1e-7):
    m = v = 0.0

    def step(w, g, t):
        nonlocal m, v
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        return w - rate * m / (1 - beta1 ** (t + 1)) / (np.sqrt(v / (1 - beta2 ** (t + 1))) + epsilon)

    return step


def sgd(rate, momentum=0.0):
    velocity = 0.0

    def step(w, g, t):
        nonlocal velocity
        velocity = momentum * velocity - rate * g
        return w + velocity

    return step


CASES = {
    "rmsprop": (lambda: nnx.RMSprop(0.01), lambda: rmsprop(0.01)),
    "rmsprop with momentum": (lambda: nnx.RMSprop(0.01, 0.8, 0.7), lambda: rmsprop(0.01, 0.8, 0.7)),
    "rmsprop centered": (
        lambda: nnx.RMSprop(0.01, centered=True, epsilon=1e-3),
        lambda: rmsprop(0.01, epsilon=1e-3, centered=True),
    ),
    "rmsprop with all": (
        lambda: nnx.RMSprop(0.01, 0.7, 0.5, 1e-4, True, weight_decay=0.1),
        lambda: rmsprop(0.01, 0.7, 0.5, 1e-4, True, 0.1),
    ),
    "adagrad": (lambda: nnx.Adagrad(0.1), lambda: adagrad(0.1)),
    "adagrad with all": (lambda: nnx.Adagrad(0.1, 0.5, 1e-3, 0.1), lambda: adagrad(0.1, 0.5, 1e-3, 0.1)),
    "adagrad from nothing": (
        lambda: nnx.Adagrad(0.1, initial_accumulator_value=0.0),
        lambda: adagrad(0.1, 0.0),
    ),
    "lion": (lambda: nnx.Lion(0.01), lambda: lion(0.01)),
    "lion with all": (
        lambda: nnx.Lion(0.01, 0.8, 0.7, weight_decay=0.2),
        lambda: lion(0.01, 0.8, 0.7, 0.2),
    ),
}


def linear(rng, optimizer, device="cpu", precision="float64"):
    model = nnx.Sequential(nnx.Dense(3), nnx.Dense(2))
    model.build((4,))
    model.compile(optimizer, "mse", device=device, precision=precision, seed=1)
    return model, draw(rng, (8, 4)).astype(precision), draw(rng, (8, 2)).astype(precision)


def gradients(weights, x, t):
    """Of the mean squared error of two linear layers."""
    w1, b1, w2, b2 = weights
    h = x @ w1 + b1
    d = 2 * (h @ w2 + b2 - t) / t.size
    return [x.T @ (d @ w2.T), (d @ w2.T).sum(0), h.T @ d, d.sum(0)]


def flat(arrays):
    return np.concatenate([np.ravel(a) for a in arrays]).astype(np.float64)


def unflat(vector, like):
    parts = np.split(vector, np.cumsum([a.size for a in like])[:-1])
    return [part.reshape(a.shape) for part, a in zip(parts, like, strict=True)]


def definition(weights, x, t, step, steps, change=lambda g: g):
    """Weights after each step."""
    w = flat(weights)
    for number in range(steps):
        g = change(flat(gradients(unflat(w, weights), x.astype(np.float64), t.astype(np.float64))))
        w = step(w, g, number)
        yield w


def check(got, want, precision):
    tolerance = 1e-12 if precision == "float64" else 2e-5
    np.testing.assert_allclose(flat(got), want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_definition(rng, device, case, precision):
    optimizer, step = (make() for make in CASES[case])
    model, x, t = linear(rng, optimizer, device, precision)
    for want in definition(model.get_weights(), x, t, step, 5):
        model.train_step(x, t)
        check(model.get_weights(), want, precision)
    assert optimizer.iterations == 5


@pytest.mark.parametrize(
    ("name", "kind"), [("rmsprop", nnx.RMSprop), ("adagrad", nnx.Adagrad), ("Lion", nnx.Lion)]
)
def test_names_and_defaults(name, kind):
    made = optimizers.get(name)
    assert type(made) is kind
    assert type(optimizers.get(kind)) is kind
    assert made.learning_rate == 0.001
    assert made.clip_value is None
    assert made.ema == 0.0


def test_defaults_are_those_of_keras():
    assert (
        nnx.RMSprop().get_config() | {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7}
        == nnx.RMSprop().get_config()
    )
    assert (
        nnx.Adagrad().get_config() | {"initial_accumulator_value": 0.1, "epsilon": 1e-7}
        == nnx.Adagrad().get_config()
    )
    assert nnx.Lion().get_config() | {"beta1": 0.9, "beta2": 0.99} == nnx.Lion().get_config()


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: nnx.RMSprop(rho=1.0), "rho"),
        (lambda: nnx.RMSprop(epsilon=0), "epsilon"),
        (lambda: nnx.RMSprop(momentum=1.5), "momentum"),
        (lambda: nnx.Adagrad(initial_accumulator_value=-0.1), "initial_accumulator_value"),
        (lambda: nnx.Lion(beta1=-0.1), "beta1"),
        (lambda: nnx.SGD(clip_value=0.0), "clip_value"),
        (lambda: nnx.Adam(ema=1.0), "ema"),
        (lambda: nnx.AdamW(ema=-0.5), "ema"),
    ],
)
def test_bad_arguments(make, argument):
    with pytest.raises(ValueError, match=f"argument '{argument}' expected"):
        make()


# Clipping


@pytest.mark.parametrize("precision", FLOATS)
def test_clip_value_comes_before_clip_norm(rng, device, precision):
    def change(g):
        g = np.clip(g, -0.05, 0.05)
        return g * min(1.0, 0.1 / np.linalg.norm(g))

    model, x, t = linear(rng, nnx.SGD(1.0, clip_value=0.05, clip_norm=0.1), device, precision)
    before = flat(model.get_weights())
    plain = next(definition(model.get_weights(), x, t, sgd(1.0), 1))
    assert np.abs(plain - before).max() > 0.05  # some are clipped
    for want in definition(model.get_weights(), x, t, sgd(1.0), 3, change):
        model.train_step(x, t)
        check(model.get_weights(), want, precision)


@pytest.mark.parametrize("optimizer", [nnx.SGD(0.1, momentum=0.9), nnx.Adam(0.01)], ids=["sgd", "adam"])
def test_clip_value_of_every_optimizer(rng, device, optimizer):
    optimizer = optimizers.get(type(optimizer).from_config({**optimizer.get_config(), "clip_value": 0.02}))
    model, x, t = linear(rng, optimizer, device)
    step = sgd(0.1, 0.9) if isinstance(optimizer, nnx.SGD) else adam(0.01)
    for want in definition(model.get_weights(), x, t, step, 3, lambda g: np.clip(g, -0.02, 0.02)):
        model.train_step(x, t)
        check(model.get_weights(), want, "float64")


# Averages


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("name", ["sgd", "adam", "lion"])
def test_averages(rng, device, name, precision):
    """Training goes by the weights; evaluation and prediction by the averages."""
    make = {
        "sgd": lambda **a: nnx.SGD(0.1, **a),
        "adam": lambda **a: nnx.Adam(0.05, **a),
        "lion": lambda **a: nnx.Lion(0.05, **a),
    }[name]
    model, x, t = linear(rng, make(ema=0.7), device, precision)
    plain, _, _ = linear(rng, make(), device, precision)
    plain.set_weights(model.get_weights())
    average = None
    for _ in range(4):
        model.train_step(x, t)
        plain.train_step(x, t)
        w = flat(model.get_weights())
        np.testing.assert_allclose(w, flat(plain.get_weights()), rtol=2e-6)
        average = w if average is None else 0.7 * average + (1 - 0.7) * w
    averaged = model.state_dict(averaged=True)
    check(averaged.values(), average, precision)
    assert np.abs(average - w).max() > 1e-3
    plain.load_state_dict(averaged)
    np.testing.assert_array_equal(model.predict(x), plain.predict(x))
    assert model.evaluate(x, t) == plain.evaluate(x, t)
    last = model.activations(x)
    np.testing.assert_array_equal(list(last.values())[-1], model.predict(x))


def test_validation_is_by_the_averages(rng):
    model, x, t = linear(rng, nnx.SGD(0.1, ema=0.9))
    logs = model.fit(x, t, batch_size=4, epochs=3, validation_data=(x, t), verbose=0).history
    assert logs["val_loss"][-1] == model.evaluate(x, t)["loss"]
    plain, _, _ = linear(rng, "sgd")
    plain.set_weights(model.get_weights())
    assert logs["val_loss"][-1] != plain.evaluate(x, t)["loss"]


def test_running_statistics_are_not_averaged(rng):
    model = nnx.Sequential(nnx.BatchNorm(), nnx.Dense(2))
    model.compile(nnx.SGD(0.1, ema=0.5), "mse", device="cpu", seed=1)
    x, t = draw(rng, (8, 4)), draw(rng, (8, 2))
    for _ in range(3):
        model.train_step(x, t)
    now, averaged = model.state_dict(), model.state_dict(averaged=True)
    differs = {name for name in now if not np.array_equal(now[name], averaged[name])}
    assert differs == {"batch_norm.gamma", "batch_norm.beta", "dense.kernel", "dense.bias"}


def test_before_a_step_there_are_no_averages(rng):
    model, x, _t = linear(rng, nnx.SGD(0.1, ema=0.5))
    with pytest.raises(ValueError, match="argument 'averaged' expected False"):
        model.state_dict(averaged=True)
    plain, _, _ = linear(rng, "sgd")
    np.testing.assert_array_equal(model.predict(x), plain.predict(x))


def test_weights_that_are_set_are_what_predicts(rng):
    model, x, t = linear(rng, nnx.SGD(0.1, ema=0.9))
    model.train_step(x, t)
    model.train_step(x, t)
    plain, _, _ = linear(rng, "sgd")
    given = [w + 1 for w in plain.get_weights()]
    model.set_weights(given)
    plain.set_weights(given)
    np.testing.assert_array_equal(model.predict(x), plain.predict(x))


def test_early_stopping_gives_back_the_averages_it_judged_by(rng):
    model, x, t = linear(rng, nnx.SGD(0.5, ema=0.9))
    stop = nnx.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    history = model.fit(x, t, batch_size=2, epochs=6, validation_data=(x, -t), callbacks=stop, verbose=0)
    assert model.evaluate(x, -t)["loss"] == pytest.approx(min(history.history["val_loss"]), rel=1e-12)


# The state


def test_states_can_be_read_and_written(rng, device):
    """What keeping a model relies upon: every slot has a name, by which it is read and written."""
    model, x, t = linear(rng, nnx.RMSprop(0.1, momentum=0.5, centered=True, ema=0.9), device)
    model.train_step(x, t)
    store = model.layers[0].kernel.store
    assert store.states == ["state0", "state1", "state2", "average"]
    for slot in store.states:
        value = store.get(0, slot) + 1
        store.set(0, value, slot)
        np.testing.assert_array_equal(store.get(0, slot), value)
    with pytest.raises(ValueError, match="'state2' or 'average'"):
        store.get(0, "state3")


@pytest.mark.parametrize(
    "make",
    [lambda: nnx.RMSprop(0.01, momentum=0.5, centered=True, ema=0.9), lambda: nnx.Adagrad(0.1), lambda: nnx.Lion(0.01, ema=0.5)],
    ids=["rmsprop", "adagrad", "lion"],
)  # fmt: skip
def test_a_model_that_is_kept_goes_on(rng, make, tmp_path, device):
    model, x, t = linear(rng, make(), device)
    for _ in range(3):
        model.train_step(x, t)
    model.save(tmp_path / "m.safetensors")
    other = nnx.load(tmp_path / "m.safetensors")
    for a in (model, other):
        a.train_step(x, t)
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
    assert same_bits(model.predict(x), other.predict(x))


def test_what_begins_to_train_later_begins_as_the_others_did(rng):
    """Adagrad's sums at 0.1, averages at the weights."""
    model, x, t = linear(rng, nnx.Adagrad(0.1, ema=0.5))
    model.layers[0].trainable = False
    model.train_step(x, t)
    model.layers[0].trainable = True
    before = model.get_weights()
    model.train_step(x, t)
    want = next(definition(before, x, t, adagrad(0.1), 1))
    np.testing.assert_allclose(flat(model.get_weights()[:2]), want[:15], rtol=1e-12)
    average = 0.5 * flat(before[:2]) + 0.5 * flat(model.get_weights()[:2])
    np.testing.assert_allclose(flat(list(model.state_dict(averaged=True).values())[:2]), average, rtol=1e-12)


def test_memory(rng):
    """Three states and an average beside gradients."""
    model, x, t = linear(rng, nnx.RMSprop(0.1, momentum=0.5, centered=True, ema=0.9))
    model.train_step(x, t)
    assert "optimizer" in model.summary()
