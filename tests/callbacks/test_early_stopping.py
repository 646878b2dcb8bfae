import math

import nnx
import numpy as np
import pytest
from callbacks.cases import Told, compiled, data, fit
from nnx.callbacks import EarlyStopping

DOWN = [5.0, 4.0, 3.0, 3.5, 3.2, 2.9, 3.0, 3.0]


class Weights(nnx.Callback):
    """Those of each epoch."""

    def on_train_begin(self, logs=None):
        self.of = []

    def on_epoch_end(self, epoch, logs=None):
        self.of.append(self.model.get_weights())


def same(a, b):
    return all(np.array_equal(u, v) for u, v in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("arguments", "stopped", "best"),
    [
        ({}, 3, 2),  # the first epoch that is no better
        ({"patience": 1}, 3, 2),
        ({"patience": 2}, 4, 2),
        ({"patience": 3}, 0, 5),
        ({"patience": 2, "min_delta": 1.5}, 4, 2),
        ({"patience": 3, "min_delta": 0.5}, 5, 2),  # 2.9 is not enough better than 3
        ({"patience": 2, "min_delta": -1.5}, 4, 2),  # Keras takes its size, too
        ({"patience": 0, "start_from_epoch": 4}, 6, 5),
        ({"patience": 2, "baseline": 1.0}, 3, 2),
        ({"patience": 2, "baseline": 3.9}, 4, 2),
        ({"mode": "max", "patience": 1}, 1, 0),
    ],
)
def test_stops_where_keras_does(arguments, stopped, best):
    stopping, weights = EarlyStopping("x", **arguments), Weights()
    model, history = fit([Told(x=DOWN), weights, stopping])
    assert stopping.stopped_epoch == stopped
    assert len(history.epoch) == (stopped + 1 if stopped else 8)
    assert stopping.best_epoch == best
    assert stopping.best == DOWN[best]
    assert same(model.get_weights(), weights.of[best])


@pytest.mark.parametrize(("min_delta", "stopped", "best"), [(0.0, 0, 5), (0.5, 5, 2), (-0.5, 5, 2)])
def test_min_delta_where_more_is_better(min_delta, stopped, best):
    stopping = EarlyStopping("x", mode="max", patience=3, min_delta=min_delta)
    fit([Told(x=[-value for value in DOWN]), stopping])
    assert (stopping.stopped_epoch, stopping.best_epoch) == (stopped, best)


def test_without_restoring_the_last_weights_stay():
    stopping, weights = EarlyStopping("x", patience=2, restore_best_weights=False), Weights()
    model, _ = fit([Told(x=DOWN), weights, stopping])
    assert same(model.get_weights(), weights.of[-1])


@pytest.mark.parametrize("end", ["ctrl-c", "exception", "stop_training", "the last epoch"])
def test_the_best_weights_are_back_however_training_ends(end):
    class End(nnx.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 4 and end == "stop_training":
                self.model.stop_training = True

        def on_train_batch_end(self, batch, logs=None):
            if self.model.epoch == 4 and batch == 2:
                if end == "ctrl-c":
                    raise KeyboardInterrupt
                if end == "exception":
                    raise ZeroDivisionError

    model, weights = compiled(), Weights()
    callbacks = [Told(x=DOWN), weights, EarlyStopping("x", patience=9), End()]
    if end in ("ctrl-c", "exception"):
        with pytest.raises((KeyboardInterrupt, ZeroDivisionError)):
            fit(callbacks, model=model)
    else:
        fit(callbacks, model=model)
    assert same(model.get_weights(), weights.of[5 if end == "the last epoch" else 2])


@pytest.mark.parametrize(
    ("monitor", "more"),
    [
        ("loss", False), ("val_loss", False), ("accuracy", True), ("val_accuracy", True), ("val_f1", True),
        ("top_k", True), ("val_r2", True), ("mse", False), ("val_mae", False), ("binary_accuracy", True),
    ],
)  # fmt: skip
def test_auto_tells_by_the_name(monitor, more):
    assert EarlyStopping(monitor).more_is_better is more
    assert EarlyStopping(monitor, mode="max").more_is_better is True


def test_the_best_weights_are_back_where_a_callback_cannot_tell_its_state():
    class Silent(nnx.Callback):
        def get_state(self):
            raise OSError("no state")

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 4:
                raise KeyboardInterrupt

    model, weights, stopping = compiled(), Weights(), EarlyStopping("x", patience=9)
    with pytest.raises(OSError, match="no state"):
        fit([Told(x=DOWN), weights, stopping, Silent()], model=model)
    assert same(model.get_weights(), weights.of[2])


@pytest.mark.parametrize("before", [True, False])
def test_the_best_weights_are_back_where_the_end_of_another_callback_fails(before, tmp_path):
    class Fails(nnx.Callback):
        def on_train_end(self, logs=None):
            raise OSError("the first that failed")

    class FailsToo(nnx.Callback):
        def on_train_end(self, logs=None):
            raise ValueError("the second")

    model, weights, stopping = compiled(), Weights(), EarlyStopping("x", patience=9)
    callbacks = [Fails(), FailsToo(), stopping] if before else [stopping, Fails(), FailsToo()]
    with pytest.raises(OSError, match="the first that failed"):
        fit([Told(x=DOWN), weights, *callbacks], 5, model)
    assert same(model.get_weights(), weights.of[2])


def test_nan_is_never_better():
    stopping = EarlyStopping("x", patience=3)
    _, history = fit([Told(x=[math.nan] * 8), stopping])
    assert len(history.epoch) == 3
    assert stopping.best == math.inf


def test_it_begins_anew_with_each_run():
    stopping, model = EarlyStopping("x", patience=2), compiled()
    fit([Told(x=DOWN), stopping], model=model)
    _, history = fit([Told(x=[9.0] * 5 + [9, 8, 7, 6, 5, 4, 3, 2]), stopping], model=model)
    assert len(history.epoch) == 8


def test_a_monitor_that_does_not_exist_names_those_that_do():
    with pytest.raises(
        ValueError,
        match=r"EarlyStopping: argument 'monitor' expected one of loss, accuracy, "
        r"learning_rate, got 'val_loss'; there is no validation: give fit validation_data",
    ):
        fit([EarlyStopping()])
    with pytest.raises(ValueError, match="expected a number, and 'confusion_matrix' is none"):
        fit([EarlyStopping("confusion_matrix")], model=compiled(metrics=["confusion_matrix"]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"patience": -1},
            ValueError,
            "EarlyStopping: argument 'patience' expected an int of at least 0, got -1",
        ),
        ({"patience": 1.5}, TypeError, "argument 'patience' expected an int"),
        ({"mode": "up"}, ValueError, "argument 'mode' expected 'auto', 'min' or 'max', got 'up'"),
        ({"min_delta": math.nan}, ValueError, "argument 'min_delta'"),
        ({"monitor": 3}, TypeError, "argument 'monitor' expected a name, got int"),
        ({"start_from_epoch": -1}, ValueError, "argument 'start_from_epoch'"),
        ({"baseline": "x"}, TypeError, "argument 'baseline'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        EarlyStopping(**arguments)


def test_a_resumed_run_stops_where_the_unbroken_one_does(tmp_path):
    x, y = data()

    class Save(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 17:
                self.model.save(tmp_path / "m")

    def callbacks():
        return [Told(x=DOWN), EarlyStopping("x", patience=2)]

    model, history = fit([*callbacks(), Save()])
    resumed = nnx.load(tmp_path / "m")
    again = resumed.fit(x, y, batch_size=8, epochs=8, verbose=0, resume=True, callbacks=callbacks())
    assert again.history == history.history
    assert same(resumed.get_weights(), model.get_weights())


def test_messages(capsys):
    fit([Told(x=DOWN), EarlyStopping("x", patience=2, verbose=1)])
    said = capsys.readouterr().out
    assert "EarlyStopping: epoch 5: no better x, training ends" in said
    assert "weights are those of the best epoch, 3" in said
