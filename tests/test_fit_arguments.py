"""What fit says of arguments that do not fit, before anything is trained."""

import threading
import time

import nnx
import numpy as np
import pytest


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(16, 3)).astype(np.float32), rng.integers(0, 2, 16)


def compiled(precision="float32", loss="cross_entropy"):
    model = nnx.Sequential(nnx.Dense(2))
    model.compile("sgd", loss, precision=precision, seed=1)
    return model


def test_weights_that_float32_does_not_hold():
    x, y = data()
    heavy = np.full(16, 1e30)
    for options, name in (
        ({"sample_weight": heavy * 1e9}, "sample_weight"),
        ({"class_weight": {0: 1e39}}, "class_weight"),
        ({"sample_weight": heavy, "class_weight": {0: 1e30, 1: 1e30}}, "sample_weight times class_weight"),
    ):
        model = compiled()
        with pytest.raises(ValueError, match=f"argument '{name}' expected weights that float32 holds, got "):
            model.fit(x, y, verbose=0, **options)
        assert model.optimizer.iterations == 0
    model = compiled("float64")
    model.fit(x, y, verbose=0, sample_weight=heavy, class_weight={0: 1e-30, 1: 1e-30})
    with pytest.raises(ValueError, match="that float64 holds"):
        model.fit(x, y, verbose=0, sample_weight=heavy * 1e270, class_weight={0: 1e30, 1: 1e30})


def test_errors_of_validation_data_say_so():
    x, y = data()
    for given, message in (
        (
            (x[:, :2], y),
            r"argument 'validation_data': argument 'x' expected samples of shape \(3,\), got \(2,\)",
        ),
        ((x, y[:3]), "argument 'validation_data': x and y expected one length, got 16 and 3"),
        ((x, y + 5), "argument 'validation_data': .*argument 'y' expected labels"),
        ((x,), r"argument 'validation_data': expected \(x, y\) or \(x, y, sample_weight\), got 1 parts"),
        ((x, y, -np.ones(16)), "argument 'validation_data': argument 'sample_weight' expected weights >= 0"),
    ):
        model = compiled()
        with pytest.raises(ValueError, match=message):
            model.fit(x, y, validation_data=given, verbose=0)
        assert model.optimizer.iterations == 0


def test_an_epoch_to_begin_with_after_the_last():
    x, y = data()
    model = compiled()
    with pytest.warns(
        UserWarning, match="fit: nothing is trained: argument 'epochs', .* is 3, initial_epoch 5"
    ):
        history = model.fit(x, y, epochs=3, initial_epoch=5, verbose=0)
    assert history.epoch == []
    assert model.optimizer.iterations == 0
    assert model.fit(x, y, epochs=3, initial_epoch=3, verbose=0).epoch == []  # nothing left to do


def test_a_second_thread_is_refused_at_once():
    x, y = data()
    model = compiled()
    begun, go_on = threading.Event(), threading.Event()

    class Wait(nnx.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.set()
            assert go_on.wait(60)

    thread = threading.Thread(target=lambda: model.fit(x, y, verbose=0, callbacks=[Wait()]))
    thread.start()
    try:
        assert begun.wait(60)
        start = time.monotonic()
        with pytest.raises(RuntimeError, match="fit: the model trains already, in another thread"):
            model.fit(x, y, verbose=0)
        assert time.monotonic() - start < 50  # it did not wait for the first one
    finally:
        go_on.set()
        thread.join()
    model.fit(x, y, verbose=0)
    assert model.epoch == 2


@pytest.mark.parametrize("train", ["fit", "train_step"])
def test_a_model_that_ends_in_a_step_says_why_nothing_moves(train):
    x, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 0, 0, 1])
    model = nnx.models.perceptron(2, "step")
    model.compile("sgd", "mse", seed=1)
    before = model.get_weights()
    with pytest.warns(UserWarning, match="ends in a step function, whose gradient is 0: no weight will move"):
        model.fit(x, y, verbose=0) if train == "fit" else model.train_step(x, y)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    model.fit(x, y, verbose=0)  # said once


@pytest.mark.parametrize(
    "layer", [lambda **given: nnx.Dense(3, **given), lambda **given: nnx.Conv2D(3, 3, **given)]
)
@pytest.mark.parametrize("argument", ["kernel_initializer", "bias_initializer"])
def test_initializers_are_looked_at_when_the_layer_is_made(layer, argument):
    with pytest.raises(
        ValueError, match=f"argument '{argument}': argument 'initializer' expected one of zeros, ones"
    ):
        layer(**{argument: "glorot"})
    with pytest.raises(ValueError, match=f"argument '{argument}': initializer expected finite numbers"):
        layer(**{argument: np.nan})
    with pytest.raises(ValueError, match=f"argument '{argument}'"):
        layer(**{argument: [1.0, np.inf]})
