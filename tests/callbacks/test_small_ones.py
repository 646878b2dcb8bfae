"""CSVLogger, TerminateOnNaN, LambdaCallback, and what fit says of what is no callback."""

import csv
import inspect
import math
import resource

import nnx
import numpy as np
import pytest
from callbacks.cases import Told, compiled, data, fit
from nnx.callbacks import CSVLogger, EarlyStopping, LambdaCallback, TerminateOnNaN


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


@pytest.mark.parametrize("given", [3, "", None, b"a.csv"])
def test_a_file_is_a_path(given):
    with pytest.raises(TypeError, match="CSVLogger: argument 'filename' expected a path"):
        CSVLogger(given)


def test_columns_are_those_of_the_file(tmp_path):
    path = tmp_path / "a.csv"
    model = compiled()
    fit([CSVLogger(path)], 1, model, validation_split=0.25)
    fit([CSVLogger(path, append=True)], 1, model)
    assert rows(path)[2][4:] == ["NA", "NA"]  # val_accuracy, val_loss
    fit([CSVLogger(path)], 1, model)
    with pytest.warns(
        UserWarning, match=r"a\.csv has no columns for val_loss, val_accuracy, which are left out"
    ):
        fit([CSVLogger(path, append=True)], 2, model, validation_split=0.25)
    assert [len(row) for row in rows(path)] == [4] * 4


def test_a_full_disk_ends_training_with_the_best_weights(tmp_path):
    """A limit on the size of files stands for the disk, which is full from epoch 1 on."""
    path, limit = tmp_path / "a.csv", resource.getrlimit(resource.RLIMIT_FSIZE)

    class Full(nnx.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limit[1]))

    model, stopping, kept = compiled(), EarlyStopping("x", patience=9), []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    try:
        with pytest.raises(OSError, match="too large"):
            fit([Told(x=[1.0, 2.0]), keep, stopping, Full(), CSVLogger(path)], 2, model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert len(kept) == 2
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), kept[0], strict=True))
    assert len(rows(path)) == 2  # the header, and epoch 0


@pytest.mark.filterwarnings("ignore:the loss is not finite:RuntimeWarning")
def test_a_loss_that_is_nan_raises_where_that_is_wanted():
    model = nnx.Sequential(nnx.Dense(6, "relu"), nnx.Dense(2))
    model.compile(nnx.SGD(1e30), "cross_entropy", seed=1)
    ended = []
    with pytest.raises(RuntimeError, match="TerminateOnNaN: the loss is"):
        fit([TerminateOnNaN(raise_error=True), LambdaCallback(on_train_end=ended.append)], 50, model)
    assert len(ended) == 1


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


# Names, order and defaults of Keras 3.15; EarlyStopping's restore_best_weights is True here.
KERAS = {
    "EarlyStopping": "monitor='val_loss', min_delta=0, patience=0, verbose=0, mode='auto', baseline=None, "
    "restore_best_weights=True, start_from_epoch=0",
    "ModelCheckpoint": "filepath, monitor='val_loss', verbose=0, save_best_only=False, save_weights_only=False, "
    "mode='auto', save_freq='epoch', initial_value_threshold=None",
    "ReduceLROnPlateau": "monitor='val_loss', factor=0.1, patience=10, verbose=0, mode='auto', min_delta=0.0001, "
    "cooldown=0, min_lr=0",
    "LearningRateScheduler": "schedule, verbose=0",
    "CSVLogger": "filename, separator=',', append=False",
    "TensorBoard": "log_dir='logs', histogram_freq=0, write_graph=True, write_images=False, "
    "write_steps_per_second=False, update_freq='epoch', profile_batch=0, embeddings_freq=0, embeddings_metadata=None",
    "TerminateOnNaN": "raise_error=False",
    "LambdaCallback": "on_epoch_begin=None, on_epoch_end=None, on_train_begin=None, on_train_end=None, "
    "on_train_batch_begin=None, on_train_batch_end=None",
}


@pytest.mark.parametrize("name", KERAS)
def test_arguments_are_keras_arguments(name):
    keras = eval(f"lambda {KERAS[name]}: None", {})
    ours = inspect.signature(getattr(nnx.callbacks, name)).parameters.values()
    own = [(p.name, p.default) for p in ours if p.kind is not p.VAR_KEYWORD]
    assert own == [(p.name, p.default) for p in inspect.signature(keras).parameters.values()]


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
