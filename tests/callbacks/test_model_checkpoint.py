import os

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
    with pytest.raises(IsADirectoryError, match="expected a file, and it is a folder"):
        fit([ModelCheckpoint(tmp_path / "folder")], 1)
    if os.geteuid() != 0:
        (tmp_path / "folder").chmod(0o500)
        with pytest.raises(PermissionError, match="write-protected"):
            fit([ModelCheckpoint(tmp_path / "folder" / "m")], 1)


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
