import os
import resource
from pathlib import Path

import nnx
import numpy as np
import pytest
from callbacks.cases import Told, compiled, data, fit
from nnx.callbacks import EarlyStopping, ModelCheckpoint


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_for_each_epoch_with_numbers_in_its_name(tmp_path):
    template = tmp_path / "deep" / "{epoch:02d}-{accuracy:.2f}.safetensors"
    model, history = fit([ModelCheckpoint(template)], 3)
    expected = [
        f"{epoch + 1:02d}-{value:.2f}.safetensors" for epoch, value in enumerate(history.history["accuracy"])
    ]
    assert names(tmp_path / "deep") == sorted(expected)
    last = nnx.load(tmp_path / "deep" / expected[-1])
    assert all(np.array_equal(a, b) for a, b in zip(last.get_weights(), model.get_weights(), strict=True))
    assert last.epoch == 3


def test_only_the_best(tmp_path):
    values = [5.0, 6, 4, 4, 3.5, 9, 9, 9]
    fit([Told(x=values), ModelCheckpoint(tmp_path / "{epoch}", "x", save_best_only=True)])
    assert names(tmp_path) == ["1", "3", "5"]
    fit([Told(x=values), ModelCheckpoint(tmp_path / "max{epoch}", "x", save_best_only=True, mode="max")])
    assert {"max1", "max2", "max6"} == set(names(tmp_path)) - {"1", "3", "5"}
    fit(
        [
            Told(x=values),
            ModelCheckpoint(tmp_path / "t{epoch}", "x", save_best_only=True, initial_value_threshold=3.7),
        ]
    )
    assert [name for name in names(tmp_path) if name.startswith("t")] == ["t5"]


def test_weights_alone(tmp_path):
    model, _ = fit([ModelCheckpoint(tmp_path / "w", save_weights_only=True)], 2)
    other = compiled()
    other.build((5,))
    other.load_weights(tmp_path / "w")
    assert all(np.array_equal(a, b) for a, b in zip(other.get_weights(), model.get_weights(), strict=True))


def test_every_so_many_steps_and_gone_on_from(tmp_path):
    x, y = data()
    model, history = fit([ModelCheckpoint(tmp_path / "{epoch}.{batch}", save_freq=3)], 4)
    assert names(tmp_path) == ["1.3", "2.1", "2.4", "3.2", "3.5", "4.3"]  # steps 3, 6, ... of five an epoch
    for name in names(tmp_path):
        resumed = nnx.load(tmp_path / name)
        again = resumed.fit(x, y, batch_size=8, epochs=4, verbose=0, resume=True)
        assert again.history == history.history
        assert all(
            np.array_equal(a, b) for a, b in zip(resumed.get_weights(), model.get_weights(), strict=True)
        )


def test_it_saves_after_other_callbacks_whatever_their_order(tmp_path):
    x, y = data()
    values = [3.0, 2, 1, 1.5, 1.4, 1.3, 1.2, 0.5]

    def callbacks():
        return [
            ModelCheckpoint(tmp_path / "{epoch}", "x", save_best_only=True, mode="max"),
            Told(x=values),
            EarlyStopping("x", patience=3),
        ]

    saver = ModelCheckpoint(tmp_path / "all{epoch}")
    model, history = fit([saver, *callbacks()])
    for epoch in range(1, 6):
        resumed = nnx.load(tmp_path / f"all{epoch}")
        again = resumed.fit(x, y, batch_size=8, epochs=8, verbose=0, resume=True, callbacks=callbacks())
        assert again.history == history.history
        assert all(
            np.array_equal(a, b) for a, b in zip(resumed.get_weights(), model.get_weights(), strict=True)
        )


def test_paths_that_cannot_be(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"argument 'filepath' expected names among epoch, batch, loss, accuracy, "
        r"learning_rate in braces, got .*\{val_loss\}",
    ):
        fit([ModelCheckpoint(tmp_path / "{val_loss}")], 1)
    with pytest.raises(ValueError, match="argument 'monitor' expected one of loss, accuracy, learning_rate"):
        fit([ModelCheckpoint(tmp_path / "m", save_best_only=True)], 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        fit([ModelCheckpoint(tmp_path / "file" / "m")], 1)
    (tmp_path / "folder").mkdir()
    model = compiled()
    with pytest.raises(IsADirectoryError, match="expected a file, and it is a folder"):
        fit([ModelCheckpoint(tmp_path / "folder")], 1, model)
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize("name", ["m", "{epoch}"])
def test_a_folder_that_is_read_only_is_told_before_training(name, tmp_path, monkeypatch):
    access = os.access  # root may write wherever it likes
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and access(path, mode))
    model = compiled()
    with pytest.raises(PermissionError, match="write-protected"):
        fit([ModelCheckpoint(tmp_path / name)], 1, model)
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize(
    "name", ["{}", "{epoch[0]}", "{loss.digits}", "{loss:d}", "{loss", "{confusion_matrix}"]
)
def test_templates_that_cannot_be_filled_in(name, tmp_path):
    with pytest.raises(
        ValueError, match="ModelCheckpoint: argument 'filepath' expected names among epoch, batch, loss"
    ):
        fit([ModelCheckpoint(tmp_path / name)], 1, compiled(metrics=["confusion_matrix"]))


def test_a_full_disk_leaves_the_file_that_there_was(tmp_path):
    """A limit on the size of files stands for the disk: writing fails half way, as it does there."""
    path = tmp_path / "m"
    model, _ = fit([ModelCheckpoint(path)], 1)
    good, limit = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, limit[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            fit([ModelCheckpoint(path)], 1, model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert names(tmp_path) == ["m"]
    assert path.read_bytes() == good


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"save_freq": 0},
            ValueError,
            "ModelCheckpoint: argument 'save_freq' expected an int of at least 1, got 0",
        ),
        ({"save_freq": "batch"}, TypeError, "argument 'save_freq' expected an int"),
        ({"mode": "best"}, ValueError, "argument 'mode'"),
        ({"filepath": ""}, TypeError, "argument 'filepath' expected a path"),
        ({"filepath": 3}, TypeError, "argument 'filepath' expected a path"),
        ({"filepath": b"m"}, TypeError, "argument 'filepath' expected a path"),
        ({"initial_value_threshold": "x"}, TypeError, "argument 'initial_value_threshold' expected a number"),
        ({"initial_value_threshold": np.nan}, ValueError, "argument 'initial_value_threshold'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        ModelCheckpoint(**{"filepath": "m", **arguments})


def test_epochs_alone_want_no_batches(tmp_path):
    from nnx.callbacks import CallbackList

    hooks = ("on_train_batch_begin", "on_train_batch_end")
    assert not CallbackList([ModelCheckpoint(tmp_path / "m")], compiled(), {}).overrides(*hooks)
    assert CallbackList([ModelCheckpoint(tmp_path / "m", save_freq=2)], compiled(), {}).overrides(*hooks)


def test_messages(tmp_path, capsys):
    fit([ModelCheckpoint(tmp_path / "m", verbose=1)], 1)
    assert f"ModelCheckpoint: epoch 1: saved {tmp_path / 'm'}" in capsys.readouterr().out
    fit([Told(x=[2.0, 3.0]), ModelCheckpoint(tmp_path / "m", "x", verbose=1, save_best_only=True)], 2)
    assert "ModelCheckpoint: epoch 2: x is no better than 2, nothing saved" in capsys.readouterr().out
