"""CSVLogger, TerminateOnNaN, LambdaCallback, and what fit says of what is no callback."""

import csv
import math

import nnx
import numpy as np
import pytest
from callbacks.cases import Told, compiled, data, fit
from nnx.callbacks import CSVLogger, LambdaCallback, TerminateOnNaN


def rows(path, separator=","):
    with open(path, newline="") as stream:
        return list(csv.reader(stream, delimiter=separator))


def test_a_line_for_each_epoch(tmp_path):
    _, history = fit([CSVLogger(tmp_path / "a.csv")], 3, validation_split=0.25)
    header, *lines = rows(tmp_path / "a.csv")
    assert header == ["epoch", "accuracy", "learning_rate", "loss", "val_accuracy", "val_loss"]
    for epoch, line in enumerate(lines):
        assert int(line[0]) == epoch
        for name, cell in zip(header[1:], line[1:], strict=True):
            assert float(cell) == history.history[name][epoch]


def test_another_separator_and_appending(tmp_path):
    path = tmp_path / "a.csv"
    model = compiled()
    for _ in range(2):
        fit([CSVLogger(path, separator=";", append=True)], 2, model)
    assert [line[0] for line in rows(path, ";")] == ["epoch", "0", "1", "2", "3"]
    fit([CSVLogger(path)], 1, model)
    assert [line[0] for line in rows(path)] == ["epoch", "4"]


def test_arrays_are_lists(tmp_path):
    fit([CSVLogger(tmp_path / "a.csv")], 1, compiled(metrics=["confusion_matrix"]))
    assert sum(map(sum, eval(rows(tmp_path / "a.csv")[1][1], {}))) == 40


@pytest.mark.parametrize("append", [False, True])
def test_a_resumed_run_leaves_the_file_of_the_unbroken_one(append, tmp_path):
    x, y = data()
    path = tmp_path / "a.csv"
    if append:
        path.write_text("epoch,accuracy,learning_rate,loss\n0,1,2,3\n")

    class Save(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 12:
                self.model.save(tmp_path / "m")

    fit([CSVLogger(path, append=append), Save()], 4)
    whole = path.read_text()
    assert whole.count("\n") == 6 if append else 5
    nnx.load(tmp_path / "m").fit(
        x, y, batch_size=8, epochs=4, verbose=0, resume=True, callbacks=[CSVLogger(path, append=append)]
    )
    assert path.read_text() == whole


def test_a_file_that_cannot_be_written_is_told_before_training(tmp_path):
    model = compiled()
    with pytest.raises(FileNotFoundError):
        fit([CSVLogger(tmp_path / "missing" / "a.csv")], 1, model)
    assert model.optimizer.iterations == 0
    with pytest.raises(ValueError, match="CSVLogger: argument 'separator' expected a single character"):
        CSVLogger("a.csv", separator="")


@pytest.mark.filterwarnings("ignore:the loss is not finite:RuntimeWarning")
def test_training_ends_with_a_loss_that_is_nan(capsys):
    model = nnx.Sequential(nnx.Dense(6, "relu"), nnx.Dense(2))
    model.compile(nnx.SGD(1e30), "cross_entropy", seed=1)
    model, history = fit([TerminateOnNaN()], 50, model)
    assert len(history.epoch) < 50
    assert not math.isfinite(history.history["loss"][-1])
    assert "TerminateOnNaN: the loss is" in capsys.readouterr().out
    _, history = fit([TerminateOnNaN()], 3)
    assert len(history.epoch) == 3


def test_functions_as_callbacks():
    told = []
    callback = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: told.append(("begin", epoch)),
        on_epoch_end=lambda epoch, logs: told.append(("end", epoch, round(logs["loss"], 9))),
        on_train_batch_end=lambda batch, logs: told.append(("batch", batch)),
        on_train_begin=None,
    )
    _, history = fit([callback], 2)
    assert told[0] == ("begin", 0)
    assert told[1:6] == [("batch", batch) for batch in range(5)]
    assert told[6] == ("end", 0, round(history.history["loss"][0], 9))
    with pytest.raises(
        TypeError, match="LambdaCallback: unexpected argument 'on_epoch'; hooks are on_train_begin"
    ):
        LambdaCallback(on_epoch=print)
    with pytest.raises(TypeError, match="argument 'on_epoch_end' expected a function, got int"):
        LambdaCallback(on_epoch_end=3)


def test_without_functions_of_batches_none_are_called():
    from nnx.callbacks import CallbackList

    hooks = ("on_train_batch_begin", "on_train_batch_end")
    quiet = [LambdaCallback(on_epoch_end=print), TerminateOnNaN(), CSVLogger("x"), Told()]
    assert not CallbackList(quiet, compiled(), {}).overrides(*hooks)
    assert CallbackList([LambdaCallback(on_train_batch_end=print)], compiled(), {}).overrides(*hooks)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "argument 'callbacks' expected Callback objects, got int"),
        ("history", "argument 'callbacks' expected Callback objects, got str"),
        ([3], "argument 'callbacks' expected Callback objects, got int"),
        (TerminateOnNaN, "argument 'callbacks' expected Callback objects, got TerminateOnNaN"),
        ([TerminateOnNaN], "got the class TerminateOnNaN: call it"),
    ],
)
def test_what_is_no_callback(given, message):
    with pytest.raises(TypeError, match=message):
        fit(given, 1)


def test_pickles_leave_the_model_out():
    import pickle

    callback = TerminateOnNaN()
    fit([callback], 1)
    assert not hasattr(pickle.loads(pickle.dumps(callback)), "model")
    assert np.isfinite(callback.model.get_weights()[0]).all()
