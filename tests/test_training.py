"""fit, evaluate, predict: what training does, step by step."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import nnx
import numpy as np
import pytest
import reference
from harness import devices, draw, same_bits


def blobs(rng, rows=300, classes=3, features=6):
    """Gaussian clouds, one a class."""
    y = rng.integers(0, classes, rows)
    centres = 3 * rng.standard_normal((classes, features))
    return (centres[y] + rng.standard_normal((rows, features))).astype(np.float32), y


def small(hidden=16, classes=3, **options):
    model = nnx.Sequential(nnx.Dense(hidden, activation="relu"), nnx.Dense(classes))
    model.compile(**({"optimizer": nnx.SGD(0.1), "loss": "cross_entropy", "seed": 1} | options))
    return model


def weights_after(model, *data, **options):
    model.fit(*data, **({"batch_size": 16, "epochs": 2, "verbose": 0} | options))
    return model.get_weights()


def equal(a, b):
    return len(a) == len(b) and all(same_bits(u, v) for u, v in zip(a, b, strict=True))


# The whole way


def test_digits_are_learnt():
    """At least 97 % of the digits held out."""
    x, y = nnx.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    model = nnx.models.lenet(x.shape[1:], 10)
    model.compile(nnx.SGD(0.05, momentum=0.9), "cross_entropy", metrics=["accuracy"], seed=0)
    scale = np.float32(1 / 16 if x.max() > 1 else 1)
    history = model.fit(x[:1400] * scale, y[:1400], epochs=20, batch_size=32, verbose=0)
    result = model.evaluate(x[1400:] * scale, y[1400:])
    assert result["accuracy"] >= 0.97
    predicted = model.predict(x[1400:] * scale).argmax(axis=1)
    assert np.mean(predicted == y[1400:]) == pytest.approx(result["accuracy"], abs=1e-9)
    assert history.history["loss"][-1] < history.history["loss"][0] / 10


def test_regression_is_learnt(rng):
    x = rng.uniform(-1, 1, (400, 1)).astype(np.float32)
    t = np.sin(3 * x)
    model = nnx.Sequential(nnx.Dense(32, "tanh"), nnx.Dense(1))
    model.compile(nnx.Adam(0.01), "mse", metrics=["mae", "r2"], seed=2)
    history = model.fit(x, t, epochs=150, batch_size=32, verbose=0)
    assert history.history["r2"][-1] > 0.99
    error = model.predict(x) - t
    assert model.evaluate(x, t)["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)


# One step


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.01},
        {"momentum": 0.8, "weight_decay": 0.02, "nesterov": True},
    ],
    ids=str,
)
def test_sgd_follows_its_formula(rng, options):
    """Three steps of a linear model against the update written out."""
    x, t = rng.standard_normal((8, 4)), rng.standard_normal((8, 3))
    model = nnx.Sequential(nnx.Dense(3, use_bias=False))
    model.compile(nnx.SGD(0.1, **options), "mse", precision="float64", seed=1)
    model.build((4,))
    w = model.get_weights()[0].copy()
    velocity = np.zeros_like(w)
    for _ in range(3):
        loss = model.train_step(x, t)
        error = x @ w - t
        assert loss == pytest.approx(np.mean(error**2), rel=1e-12)
        gradient = 2 * x.T @ error / error.size
        reference.sgd_update(w, gradient, velocity if options.get("momentum") else None, 0.1, **options)
        np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_follows_its_formula(rng, decoupled):
    x, t = rng.standard_normal((8, 4)), rng.standard_normal((8, 3))
    model = nnx.Sequential(nnx.Dense(3, use_bias=False))
    optimizer = nnx.AdamW(0.05, weight_decay=0.1) if decoupled else nnx.Adam(0.05)
    model.compile(optimizer, "mse", precision="float64", seed=1)
    model.build((4,))
    w = model.get_weights()[0].copy()
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step in range(4):
        model.train_step(x, t)
        gradient = 2 * x.T @ (x @ w - t) / t.size
        reference.adam_update(
            w, gradient, m, v, step, 0.05, weight_decay=0.1 if decoupled else 0.0, decoupled=decoupled
        )
        np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-9, atol=1e-12)


def test_clipping_the_norm(rng):
    """All gradients together are scaled down to the norm, or left alone below it."""
    x, t = 10 * rng.standard_normal((8, 4)), rng.standard_normal((8, 3))
    for clip in (0.5, 1e6):
        model = nnx.Sequential(nnx.Dense(5, "tanh"), nnx.Dense(3))
        model.compile(nnx.SGD(1.0), "mse", precision="float64", seed=1)
        model.build((4,))
        before = model.get_weights()
        model.train_step(x, t)
        gradients = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
        norm = np.sqrt(sum(np.sum(g * g) for g in gradients))
        model.compile(nnx.SGD(1.0, clip_norm=clip), "mse", precision="float64", seed=1)
        model.set_weights(before)
        model.train_step(x, t)
        clipped = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
        for a, b in zip(clipped, gradients, strict=True):
            np.testing.assert_allclose(a, b * min(1, clip / norm), rtol=1e-9, atol=1e-12)


def test_fit_is_a_loop_of_steps(rng):
    x, y = blobs(rng, 64)
    a, b = small(), small()
    a.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    b.build(x.shape[1:])
    for _ in range(2):
        for i in range(0, 64, 16):
            b.train_step(x[i : i + 16], y[i : i + 16])
    assert equal(a.get_weights(), b.get_weights())


# Batches and data


def test_the_last_batch_may_be_smaller(rng):
    """37 rows in batches of 16: 16, 16, 5; the loss is the mean over rows."""
    x, y = blobs(rng, 37)
    model = small(optimizer=nnx.SGD(1e-12))
    history = model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    value = float(nnx.ops.softmax_cross_entropy(model.predict(x), y))
    assert history.history["loss"][0] == pytest.approx(value, rel=1e-5)
    assert model.evaluate(x, y, batch_size=16)["loss"] == pytest.approx(value, rel=1e-5)
    for size in (1, 5, 37, 64):
        np.testing.assert_allclose(model.predict(x, batch_size=size), model.predict(x), rtol=1e-5, atol=1e-6)


def test_the_last_batch_counts_as_its_own_mean(rng):
    x, t = rng.standard_normal((5, 2)), rng.standard_normal((5, 1))
    model = nnx.Sequential(nnx.Dense(1, use_bias=False))
    model.compile(nnx.SGD(0.1), "mse", precision="float64", seed=1)
    model.build((2,))
    w = model.get_weights()[0].copy()
    model.fit(x, t, batch_size=3, epochs=1, shuffle=False, verbose=0)
    for rows in (slice(0, 3), slice(3, 5)):
        w -= 0.1 * 2 * x[rows].T @ (x[rows] @ w - t[rows]) / len(t[rows])
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-11)


def test_shuffling_draws_each_epoch_anew(rng):
    x, y = blobs(rng, 64)
    plain = weights_after(small(), x, y, shuffle=False)
    mixed = weights_after(small(), x, y, shuffle=True)
    again = weights_after(small(), x, y, shuffle=True)
    assert not equal(plain, mixed)
    assert equal(mixed, again)


def test_iterables_of_batches(rng):
    """A list of batches, and anything that can be iterated anew, train as the array does unshuffled."""
    x, y = blobs(rng, 70)
    wanted = weights_after(small(), x, y, shuffle=False)
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 70, 16)]
    assert equal(weights_after(small(), batches), wanted)

    class Loader:
        def __iter__(self):
            return iter(batches)

    assert equal(weights_after(small(), Loader()), wanted)


def test_bytes_equal_floats(rng):
    x = rng.integers(0, 256, (60, 8), dtype=np.uint8)
    y = rng.integers(0, 3, 60)
    model = small(optimizer=nnx.SGD(1e-5))
    wanted = weights_after(small(optimizer=nnx.SGD(1e-5)), x.astype(np.float32), y)
    assert equal(weights_after(model, x, y), wanted)
    np.testing.assert_array_equal(model.predict(x), model.predict(x.astype(np.float32)))


def test_float64_data_is_cast(rng):
    x, y = blobs(rng, 48)
    assert equal(weights_after(small(), x.astype(np.float64), y), weights_after(small(), x, y))


def test_memory_mapped_arrays(rng, tmp_path):
    x, y = blobs(rng, 60)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    assert equal(weights_after(small(), *mapped), weights_after(small(), x, y))


def test_non_contiguous_data(rng):
    x, y = blobs(rng, 60)
    wanted = weights_after(small(), x[::2].copy(), y[::2].copy())
    assert equal(weights_after(small(), x[::2], y[::2]), wanted)
    assert equal(weights_after(small(), np.asfortranarray(x[::2]), y[::2]), wanted)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_labels_of_any_integer_dtype(rng, dtype):
    x, y = blobs(rng, 60)
    assert equal(weights_after(small(), x, y.astype(dtype)), weights_after(small(), x, y))


def test_one_hot_targets_equal_labels(rng):
    x, y = blobs(rng, 60)
    one_hot = np.eye(3, dtype=np.float32)[y]
    for a, b in zip(weights_after(small(), x, one_hot), weights_after(small(), x, y), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_training_data_is_not_changed(rng):
    x, y = blobs(rng, 60)
    kept = x.copy(), y.copy()
    weights_after(small(), x, y)
    assert same_bits(x, kept[0])
    assert same_bits(y, kept[1])


# Weights of samples and classes


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "bce"])
def test_sample_weights_equal_copies(rng, loss):
    """A weight of 2 is the row twice, a weight of 0 is no row: under a sum reduction's gradient, in one batch."""
    rows, count = 12, rng.integers(0, 4, 12)
    x = rng.standard_normal((rows, 5))
    y = {
        "cross_entropy": rng.integers(0, 3, rows), "mse": rng.standard_normal((rows, 3)),
        "bce": rng.integers(0, 2, (rows, 3)).astype(float),
    }[loss]  # fmt: skip
    made = []
    for data in ((x, y, count.astype(float)), (x.repeat(count, 0), y.repeat(count, 0), None)):
        model = nnx.Sequential(nnx.Dense(3))
        model.compile(nnx.SGD(1.0), loss, precision="float64", seed=1)
        model.build((5,))
        start = model.get_weights()
        model.fit(data[0], data[1], sample_weight=data[2], batch_size=100, epochs=1, shuffle=False, verbose=0)
        # Means divide by the rows there are, whatever their weights.
        made.append([(a - b) * len(data[0]) for a, b in zip(start, model.get_weights(), strict=True)])
    for a, b in zip(*made, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_class_weights_equal_sample_weights(rng):
    x, y = blobs(rng, 60)
    weight = {0: 1.0, 1: 2.0, 2: 0.5}
    by_class = weights_after(small(), x, y, class_weight=weight)
    by_sample = weights_after(small(), x, y, sample_weight=np.array([weight[int(c)] for c in y], np.float32))
    assert equal(by_class, by_sample)
    both = weights_after(small(), x, y, class_weight=weight, sample_weight=np.full(60, 2, np.float32))
    assert not equal(both, by_class)


# Validation


def test_validation_split_is_stratified(rng):
    """Each class keeps its share in what is held out; the rest is what is trained on."""
    y = np.repeat([0, 1, 2], [20, 40, 100])
    x = np.arange(160, dtype=np.float32)[:, None] / 160
    # All logits are 0 and ties go to class 0: its share of the held out is 5 in 40, of the rest 15 in 120.
    counted = small(optimizer=nnx.SGD(0.0), metrics=["accuracy"])
    counted.build((1,))
    zeros = [np.zeros_like(w) for w in counted.get_weights()]
    counted.set_weights(zeros)
    history = counted.fit(x, y, validation_split=0.25, epochs=1, batch_size=16, verbose=0)
    assert history.history["val_accuracy"][0] == pytest.approx(5 / 40)
    assert history.history["accuracy"][0] == pytest.approx(15 / 120)


def test_validation_data(rng):
    x, y = blobs(rng, 90)
    model = small(metrics=["accuracy"])
    history = model.fit(x[:60], y[:60], validation_data=(x[60:], y[60:]), epochs=2, batch_size=16, verbose=0)
    result = model.evaluate(x[60:], y[60:])
    assert history.history["val_loss"][-1] == pytest.approx(result["loss"], rel=1e-6)
    assert history.history["val_accuracy"][-1] == pytest.approx(result["accuracy"])
    untouched = weights_after(small(), x[:60], y[:60])
    watched = weights_after(small(), x[:60], y[:60], validation_data=(x[60:], y[60:]))
    assert equal(untouched, watched)


def test_history_keys(rng):
    x, y = blobs(rng, 60)
    model = small(metrics=["accuracy"])
    history = model.fit(x, y, epochs=3, batch_size=16, validation_split=0.2, verbose=0)
    wanted = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert wanted <= set(history.history)
    assert all(len(history.history[key]) == 3 for key in wanted)
    assert all(isinstance(v, float) for key in wanted for v in history.history[key])


def test_initial_epoch_moves_the_schedule(rng):
    x, y = blobs(rng, 32)
    model = small(optimizer=nnx.SGD(nnx.schedules.StepDecay(0.1, 0.5, 1)))
    history = model.fit(x, y, epochs=4, initial_epoch=2, batch_size=16, verbose=0)
    np.testing.assert_allclose(history.history["learning_rate"], [0.025, 0.0125], rtol=1e-6)


# Schedules

S = nnx.schedules
SCHEDULES = {
    "constant": (S.Constant(0.3), [0.3] * 6),
    "step": (S.StepDecay(0.8, factor=0.5, every=2), [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]),
    "exponential": (S.ExponentialDecay(1.0, 0.5), np.exp(-0.5 * np.arange(6))),
    "inverse time": (S.InverseTimeDecay(1.0, 0.5), 1 / (1 + 0.5 * np.arange(6))),
    "cosine": (S.CosineDecay(1.0, 4), [*(0.5 * (1 + np.cos(np.pi * np.arange(4) / 4))), 0, 0]),
    "piecewise": (S.PiecewiseConstant([1, 3], [3.0, 2.0, 1.0]), [3, 3, 2, 2, 1, 1]),
    "warmup": (S.Warmup(S.Constant(0.4), 4), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    schedule, want = SCHEDULES[name]
    np.testing.assert_allclose([schedule(t) for t in range(6)], want, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(schedule(np.arange(6)), want, rtol=1e-12, atol=1e-15)


def test_a_schedule_by_steps():
    """Rates 1, 0.5, 0.25 over the three steps of an epoch: a linear loss sums them up."""
    model = nnx.Sequential(nnx.Dense(1, use_bias=False, kernel_initializer="zeros"))
    schedule = nnx.schedules.StepDecay(1.0, factor=0.5, every=1, per="step")
    model.compile(nnx.SGD(schedule), "mae", precision="float64")
    model.fit(np.ones((6, 1)), np.full((6, 1), 100.0), batch_size=2, epochs=2, verbose=0)
    assert model.get_weights()[0][0, 0] == pytest.approx(1 + 0.5 + 0.25 + 0.125 + 0.0625 + 0.03125)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: S.StepDecay(0.1, every=0), "every"),
        (lambda: S.StepDecay(-0.1), "initial"),
        (lambda: S.ExponentialDecay(float("nan"), 1), "initial"),
        (lambda: S.ExponentialDecay(0.1, -1), "rate"),
        (lambda: S.CosineDecay(0.1, 0), "length"),
        (lambda: S.PiecewiseConstant([2, 1], [1, 2, 3]), "boundaries"),
        (lambda: S.PiecewiseConstant([1], [1]), "values"),
        (lambda: S.Warmup(0.1, 0), "steps"),
        (lambda: S.StepDecay(0.1, per="batch"), "per"),
    ],
)
def test_bad_schedules(call, argument):
    with pytest.raises(ValueError, match=f"'{argument}' expected .*, got "):
        call()


# Layers that behave differently in training


def test_dropout_only_in_training(rng):
    x = np.ones((200, 50), np.float32)
    model = nnx.Sequential(nnx.Dropout(0.5))
    model.compile("sgd", "mse", seed=1)
    model.build((50,))
    np.testing.assert_array_equal(model.predict(x), x)
    assert model.evaluate(x, x)["loss"] == 0
    loss = model.train_step(x, x)  # kept values are 2, dropped ones 0: the error is 1 everywhere
    assert loss == pytest.approx(1.0)


def test_dropout_masks_change_with_the_step_and_the_layer(rng):
    x, y = blobs(rng, 32, features=40)
    model = nnx.Sequential(nnx.Dropout(0.5), nnx.Dense(3))
    model.compile(nnx.SGD(1e-30), "cross_entropy", seed=1)
    model.build((40,))
    losses = [model.train_step(x, y) for _ in range(3)]
    assert len(set(losses)) == 3


def test_dropout_masks_are_those_of_the_reference(rng):
    """The mask of step s and the n-th dropout layer, as nnx.ops.dropout draws it from the model's seed."""
    x = np.ones((16, 30))
    found = False
    model = nnx.Sequential(nnx.Dropout(0.5), nnx.Dense(1, use_bias=False, kernel_initializer="zeros"))
    model.compile(nnx.SGD(1.0), nnx.losses.MeanAbsoluteError(), precision="float64", seed=21)
    model.build((30,))
    model.train_step(x, np.full((16, 1), 100.0))
    drawn = model.get_weights()[0].ravel() * 16  # sum over rows of the dropped-out inputs
    mask = reference.dropout_mask((16, 30), 0.5, 21, 0, 0)
    found = np.allclose(drawn, 2 * mask.sum(axis=0))
    assert found


def test_batch_norm_in_training_and_in_prediction(rng):
    x = (3 * rng.standard_normal((64, 4)) + 5).astype(np.float32)
    model = nnx.Sequential(nnx.BatchNorm(momentum=0.9, epsilon=1e-5))
    model.compile(nnx.SGD(1e-30), "mse", seed=1)
    model.build((4,))
    np.testing.assert_allclose(
        model.predict(x), x / np.sqrt(1 + 1e-5), rtol=1e-5
    )  # statistics 0 and 1 at first
    normal = reference.batch_norm(x, np.ones(4), np.zeros(4), np.zeros(4), np.ones(4), training=True)
    loss = model.train_step(x, np.zeros_like(x))
    assert loss == pytest.approx(np.mean(normal[0] ** 2), rel=1e-5)
    mean, var = normal[1], normal[2]
    want = reference.batch_norm(x, np.ones(4), np.zeros(4), mean, var)
    np.testing.assert_allclose(model.predict(x), want, rtol=1e-4, atol=1e-4)
    for _ in range(200):
        model.train_step(x, np.zeros_like(x))
    np.testing.assert_allclose(model.predict(x).mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(model.predict(x).std(axis=0), 1, atol=1e-3)


def test_frozen_layers_keep_their_weights(rng):
    x, y = blobs(rng, 48)
    model = small()
    model.build(x.shape[1:])
    before = [w.copy() for w in model.get_weights()]
    model.layers[0].trainable = False
    model.compile(nnx.SGD(0.1), "cross_entropy", seed=1)
    after = weights_after(model, x, y)
    assert equal(before[:2], after[:2])
    assert not same_bits(before[2], after[2])


# Shapes of models


class Residual(nnx.Model):
    def __init__(self):
        super().__init__()
        self.first = nnx.Dense(8, activation="relu")
        self.second = nnx.Dense(8)
        self.last = nnx.Dense(3)

    def forward(self, x):
        h = self.first(x)
        return self.last(nnx.ops.relu(self.second(h) + h))


class Branches(nnx.Model):
    def __init__(self):
        super().__init__()
        self.left, self.right = nnx.Conv2D(3, 1, activation="tanh"), nnx.Conv2D(4, 3, padding="same")
        self.pool, self.last = nnx.GlobalAvgPool2D(), nnx.Dense(3)

    def forward(self, x):
        return self.last(self.pool(nnx.ops.concat([self.left(x), self.right(x)])))


class Twice(nnx.Model):
    """One layer used twice: one set of weights, gradients of both uses."""

    def __init__(self):
        super().__init__()
        self.layer = nnx.Dense(4, activation="tanh", use_bias=False)

    def forward(self, x):
        return self.layer(self.layer(x))


@pytest.mark.parametrize(("build", "shape"), [(Residual, (5,)), (Branches, (6, 6, 2))])
def test_graphs_learn(rng, build, shape):
    y = rng.integers(0, 3, 60)
    x = rng.standard_normal((60, *shape)).astype(np.float32)
    x.reshape(60, -1)[:, 0] += 3 * y
    x.reshape(60, -1)[:, :: shape[-1]] += y[:, None]
    model = build()
    model.compile(nnx.Adam(0.02), "cross_entropy", metrics=["accuracy"], seed=1)
    history = model.fit(x, y, epochs=80, batch_size=20, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]


def test_residual_forward(rng):
    model = Residual()
    x = draw(rng, (7, 5))
    model.build((5,))
    v, bv, w, bw, u, bu = model.get_weights()
    h = reference.relu(x @ v + bv)
    want = reference.relu(h @ w + bw + h) @ u + bu
    np.testing.assert_allclose(model.predict(x), want, rtol=1e-4, atol=1e-5)


def test_a_layer_used_twice(rng):
    x, t = rng.standard_normal((6, 4)), rng.standard_normal((6, 4))
    model = Twice()
    model.compile(nnx.SGD(1.0), "mse", precision="float64", seed=1)
    model.build((4,))
    assert len(model.get_weights()) == 1
    w = model.get_weights()[0].copy()
    model.train_step(x, t)
    got = w - model.get_weights()[0]

    def loss(w):
        return np.mean((np.tanh(np.tanh(x @ w) @ w) - t) ** 2)

    want = np.zeros_like(w)
    for i in np.ndindex(w.shape):
        moved = w.copy()
        moved[i] += 1e-6
        above = loss(moved)
        moved[i] -= 2e-6
        want[i] = (above - loss(moved)) / 2e-6
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


# Trouble


def test_a_loss_that_is_not_finite_is_reported(rng):
    """With the step and the layer."""
    x, y = blobs(rng, 64)
    x[40] = np.nan
    model = small()
    with pytest.warns(RuntimeWarning, match="not finite from step 2 on.*'input'"):
        model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)


def test_divergence_is_reported(rng):
    x, t = 100 * draw(rng, (64, 5)), draw(rng, (64, 1))
    model = nnx.Sequential(nnx.Dense(16), nnx.Dense(1))
    model.compile(nnx.SGD(100.0), "mse", seed=1)
    with pytest.warns(RuntimeWarning, match="step"):
        model.fit(x, t, batch_size=16, epochs=20, verbose=0)


@pytest.mark.slow
def test_ctrl_c_leaves_a_usable_model(rng):
    """Within half a second; what was learnt is kept and training can go on."""
    x, y = blobs(rng, 20_000, features=100)
    model = small(hidden=400)
    model.fit(x[:100], y[:100], epochs=1, verbose=0)
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.5, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=32, epochs=10_000, verbose=0)
    assert time.perf_counter() - sent[0] < 0.5
    timer.join()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert np.isfinite(model.evaluate(x[:500], y[:500])["loss"])
    before = model.get_weights()
    model.fit(x[:100], y[:100], epochs=1, verbose=0)
    assert not equal(before, model.get_weights())


def test_an_error_in_a_callback_leaves_a_usable_model(rng):
    x, y = blobs(rng, 64)

    class Broken(nnx.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise ZeroDivisionError("by the callback")

    model = small()
    with pytest.raises(ZeroDivisionError, match="by the callback"):
        model.fit(x, y, epochs=3, verbose=0, callbacks=[Broken()])
    weights_after(model, x, y)


def fit_bad(x, y, loss="cross_entropy", **options):
    model = small(loss=loss)
    return lambda: model.fit(x, y, **({"epochs": 1, "batch_size": 16, "verbose": 0} | options))


X, Y = np.zeros((40, 6), np.float32), np.zeros(40, np.int64)
BAD = {
    "rows": (fit_bad(X, Y[:30]), ValueError, "(?s)40.*30|30.*40"),
    "label too large": (fit_bad(X, Y + 3), ValueError, "3"),
    "negative label": (fit_bad(X, Y - 1), ValueError, "-1"),
    "no rows": (fit_bad(X[:0], Y[:0]), ValueError, "(x|row|sample|empty)"),
    "batch of 0": (fit_bad(X, Y, batch_size=0), ValueError, "batch_size.*0"),
    "negative batch": (fit_bad(X, Y, batch_size=-4), ValueError, "batch_size.*-4"),
    "split of 1": (fit_bad(X, Y, validation_split=1.0), ValueError, "validation_split.*1"),
    "negative split": (fit_bad(X, Y, validation_split=-0.2), ValueError, "validation_split.*-0.2"),
    "sample weights": (fit_bad(X, Y, sample_weight=np.ones(3)), ValueError, "sample_weight"),
    "negative epochs": (fit_bad(X, Y, epochs=-1), ValueError, "epochs.*-1"),
    "x of text": (fit_bad(np.array([["a"] * 6] * 40), Y), (TypeError, ValueError), "x"),
    "complex x": (fit_bad(X.astype(complex), Y), (TypeError, ValueError), "complex"),
    "targets of another width": (fit_bad(X, np.zeros((40, 2), np.float32), "mse"), ValueError, r"3.*2|2.*3"),
    "unknown loss": (lambda: small(loss="nonsense"), ValueError, "nonsense"),
    "unknown optimizer": (lambda: small(optimizer="nonsense"), ValueError, "nonsense"),
    "unknown metric": (lambda: small(metrics=["nonsense"]), ValueError, "nonsense"),
    "unknown activation": (lambda: nnx.Dense(3, activation="nonsense"), ValueError, "nonsense"),
    "unknown device": (lambda: small(device="tpu"), ValueError, "tpu"),
    "unknown precision": (lambda: small(precision="float8"), ValueError, "float8"),
    "units of 0": (lambda: nnx.Dense(0), ValueError, "units.*0"),
    "units of a fraction": (lambda: nnx.Dense(2.5), TypeError, "units.*"),
    "rate of 1": (lambda: nnx.Dropout(1.0), ValueError, "rate.*1"),
    "rate nan": (lambda: nnx.Dropout(float("nan")), ValueError, "rate.*nan"),
    "learning rate": (lambda: nnx.SGD(-0.1), ValueError, "learning_rate.*-0.1"),
    "learning rate nan": (lambda: nnx.SGD(float("nan")), ValueError, "learning_rate.*nan"),
    "momentum": (lambda: nnx.SGD(0.1, momentum=1.5), ValueError, "momentum.*1.5"),
    "clip norm": (lambda: nnx.SGD(0.1, clip_norm=0.0), ValueError, "clip_norm.*0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, exception, pattern = BAD[case]
    with pytest.raises(exception, match=pattern):
        call()


def test_fit_before_compile_says_so():
    with pytest.raises((RuntimeError, ValueError), match="compile"):
        nnx.Sequential(nnx.Dense(1)).fit(X, X[:, :1], verbose=0)


def test_prediction_of_another_shape_says_so():
    model = small()
    model.build((6,))
    with pytest.raises(ValueError, match=r"(?s)6.*5|5.*6"):
        model.predict(X[:, :5])


def test_bad_data_leaves_the_model_as_it_was(rng):
    x, y = blobs(rng, 48)
    model = small()
    model.fit(x, y, epochs=1, verbose=0)
    before = model.get_weights()
    with pytest.raises(ValueError, match="7"):
        model.fit(x, np.where(np.arange(48) == 40, 7, y), epochs=1, verbose=0)
    assert equal(before, model.get_weights())


def test_prediction_of_nothing():
    model = small()
    model.build((6,))
    assert model.predict(X[:0]).shape == (0, 3)


def test_no_warnings_in_a_plain_run(rng):
    x, y = blobs(rng, 48)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights_after(small(metrics=["accuracy"]), x, y, validation_split=0.25)


def test_a_callback_may_not_run_the_program_it_is_called_from():
    """It would wait for itself; other programs of the same model may run."""
    x, y = np.zeros((8, 3), np.float32), np.zeros(8, np.int64)
    seen = []

    class Nested(nnx.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(model.predict(x).shape)
            with pytest.raises(ValueError, match="may not run the program"):
                model.train_step(x[:4], y[:4])

    model = nnx.Sequential(nnx.Dense(2))
    model.compile("sgd", "cross_entropy", seed=0)
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=[Nested()])
    assert seen == [(8, 2), (8, 2)]


MEMORY = """
import ctypes, re
import numpy as np, nnx

def in_use():  # bytes: private pages, less what is free in the heap
    ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
    return 1024 * int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1])

nnx.set_num_threads(2)  # each has a stack, which is not the model's
rng = np.random.default_rng(0)
x, y = rng.standard_normal((128, 784), np.float32), rng.integers(0, 10, 128)
before = in_use()
model = nnx.models.mlp(784, (512, 512), 10)
model.compile(nnx.SGD(0.01, momentum=0.9), "cross_entropy", device="cpu")
for _ in range(3):
    model.train_step(x, y)
taken = in_use() - before
said = re.search(r"Memory to train on 128 samples, .*: ([\\d.]+) MB", model.summary(128, print_fn=None))[1]
print(1e6 * float(said) / taken)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim") or "LD_PRELOAD" in os.environ,
    reason="needs glibc's own allocator",
)
def test_summary_says_what_training_takes():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert 0.9 <= float(done.stdout) <= 1.1


@pytest.mark.parametrize("device", devices())
def test_no_samples_are_no_perfect_score(device):
    """Refused, or nan where batches turn out to be empty; an empty batch among others counts for nothing."""
    model = nnx.Sequential(nnx.Dense(3))
    model.compile("sgd", "cross_entropy", ["accuracy", "confusion_matrix"], device=device, seed=0)
    x, y = np.ones((6, 4), np.float32), np.zeros(6, np.int64)
    model.fit(x, y, verbose=0)
    calls = {
        "x": lambda: model.evaluate(x[:0], y[:0]),
        "validation_data": lambda: model.fit(x, y, validation_data=(x[:0], y[:0]), verbose=0),
    }
    weights = model.get_weights()
    for argument, call in calls.items():
        with pytest.raises(ValueError, match=f"argument '{argument}' expected at least one sample, got none"):
            call()
    with pytest.raises(ValueError, match="argument 'x' expected at least one sample"):
        model.train_step(x[:0], y[:0])
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))
    nothing = model.evaluate([(x[:0], y[:0])] * 2)
    assert np.isnan(nothing["loss"])
    assert np.isnan(nothing["accuracy"])
    whole, parts = model.evaluate(x, y), model.evaluate([(x[:0], y[:0]), (x, y), (x[:0], y[:0])])
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    assert parts["accuracy"] == whole["accuracy"]


def test_metrics_of_logits_are_refused():
    """A yes or no is told by a probability; what lies outside [0, 1] is none."""
    y = np.array([0, 1, 1])
    for metric in (nnx.metrics.accuracy, nnx.metrics.confusion_matrix, nnx.metrics.precision):
        with pytest.raises(
            ValueError, match=r"'y_pred' expected probabilities in \[0, 1\] or labels.*nnx.ops.sigmoid"
        ):
            metric(y, np.array([[-3.0], [0.4], [2.0]]))
    assert nnx.metrics.accuracy(y, nnx.ops.sigmoid(np.array([[-3.0], [0.4], [2.0]]))) == 1.0
    assert nnx.metrics.accuracy(y, np.array([[0.2], [np.nan], [0.7]])) == pytest.approx(2 / 3)
