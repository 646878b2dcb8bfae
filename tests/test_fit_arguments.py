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


def test_weights_of_classes_that_do_not_exist():
    x, y = data()
    for given, message in (
        (
            {0: 1.0, 2: 3.0},
            r"argument 'class_weight' expected labels in \[0, 2\), the model's classes, as keys, got 2",
        ),
        ({-1: 1.0}, "argument 'class_weight' expected labels >= 0 as keys"),
        (
            [1.0, 1.0, 1.0],
            "argument 'class_weight' expected a weight for each of the model's 2 classes, got 3",
        ),
    ):
        for targets, loss in ((y, "cross_entropy"), (np.eye(2)[y], "cross_entropy"), (y[:, None], "bce")):
            model = nnx.Sequential(nnx.Dense(1 if loss == "bce" else 2))
            model.compile("sgd", loss, seed=1)
            with pytest.raises(ValueError, match=message):
                model.fit(x, targets, class_weight=given, verbose=0)
            assert model.optimizer.iterations == 0
    compiled().fit(x, y, class_weight={1: 2.0}, verbose=0)


def test_targets_that_do_not_sum_to_one():
    """Trained with, as in Keras, and warned of at the line that gives them."""
    x, y = data()
    shares = np.eye(2, dtype=np.float32)[y]
    model = compiled()
    model.fit(x, shares, verbose=0)
    model.fit(x, (shares * 0.9 + 0.05).astype(np.float16), verbose=0)  # smoothed, and rounded
    shares[3] = 1
    with pytest.warns(
        UserWarning, match="'y' expected distributions .* sum to 1, and row 3 sums to 2; .*'bce'"
    ) as said:
        model.fit(x, shares, verbose=0)
    assert said[0].filename == __file__
    assert model.optimizer.iterations == 3


def test_validation_data_beside_a_split():
    x, y = data()
    with pytest.warns(UserWarning, match="'validation_split' has no effect beside validation_data") as said:
        both = compiled().fit(x, y, validation_data=(x[:4], y[:4]), validation_split=0.5, verbose=0).history
    assert said[0].filename == __file__
    assert both == compiled().fit(x, y, validation_data=(x[:4], y[:4]), verbose=0).history


def test_one_callback_and_the_class_of_an_optimizer():
    x, y = data()
    model = nnx.Sequential(nnx.Dense(2))
    model.compile(nnx.SGD, "cross_entropy", seed=1)
    assert type(model.optimizer) is nnx.SGD
    seen = []
    model.fit(
        x,
        y,
        callbacks=nnx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch)),
        verbose=0,
    )
    assert seen == [0]
    with pytest.raises(TypeError, match="argument 'callbacks' expected Callback objects, got EarlyStopping"):
        model.fit(x, y, callbacks=nnx.callbacks.EarlyStopping, verbose=0)
