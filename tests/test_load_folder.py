"""Folders of images, one for each class."""

import os
import sys
import warnings

import nnx
import numpy as np
import pytest
from nnx.cli import main

image_module = pytest.importorskip("PIL.Image")
load = nnx.datasets.load_image_folder


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image_module.fromarray(np.asarray(array)).save(path, **options)


@pytest.fixture
def folder(tmp_path, rng):
    """Three classes of 8, 12 and 4 pictures of 6 x 5, in files made in no order."""
    pictures = {}
    for name, count in (("dog", 12), ("cat", 8), ("Emu", 4)):
        for number in rng.permutation(count):
            array = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
            inner = "more/" if number % 3 == 0 else ""
            write(tmp_path / name / f"{inner}{number:02d}.png", array)
            pictures[name, f"{inner}{number:02d}.png"] = array
    (tmp_path / "notes.txt").write_text("beside the classes")
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "cat" / ".hidden.png").write_text("hidden")
    (tmp_path / ".cache").mkdir()
    return tmp_path, pictures


def test_classes_and_files_come_sorted(folder):
    path, pictures = folder
    found = load(path)
    assert found.class_names == ("Emu", "cat", "dog")
    assert found.x.dtype == np.uint8
    assert found.y.dtype == np.int64
    assert found.validation is None
    wanted = sorted(pictures)
    np.testing.assert_array_equal(found.x, [pictures[key] for key in wanted])
    np.testing.assert_array_equal(found.y, [found.class_names.index(name) for name, _ in wanted])
    assert found.train[0] is found.x
    assert "uint8 (24, 6, 5, 3)" in repr(found)
    assert "Emu, cat, dog" in repr(found)


def test_a_share_of_each_class_is_held_out(folder):
    path, pictures = folder
    found, again = load(str(path), validation_split=0.25), load(path, validation_split=0.25)
    other = load(path, validation_split=0.25, seed=1)
    np.testing.assert_array_equal(np.bincount(found.y_val), [1, 2, 3])
    np.testing.assert_array_equal(np.bincount(found.y), [3, 6, 9])
    np.testing.assert_array_equal(found.x_val, again.x_val)
    assert not np.array_equal(found.x_val, other.x_val)
    both = {array.tobytes() for array in (*found.x, *found.x_val)}
    assert both == {array.tobytes() for array in pictures.values()}
    for x, y in (found.train, found.validation):
        for picture, label in zip(x, y, strict=True):
            name = next(name for (name, _), array in pictures.items() if np.array_equal(array, picture))
            assert name == found.class_names[label]


def test_what_is_loaded_trains(folder):
    path, _ = folder
    found = load(path, size=8, validation_split=0.25)
    model = nnx.Sequential(nnx.Flatten(), nnx.Dense(3))
    model.compile("sgd", "cross_entropy", ["accuracy"], seed=1)
    history = model.fit(*found.train, validation_data=found.validation, verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()


def test_sizes_and_colours(tmp_path):
    ramp = np.repeat(np.arange(0, 240, 10, dtype=np.uint8)[:, None], 12, axis=1)  # 24 x 12
    write(tmp_path / "a/0.png", np.stack([ramp, ramp // 2, 255 - ramp], axis=2))
    assert load(tmp_path).x.shape == (1, 24, 12, 3)
    assert load(tmp_path, size=7).x.shape == (1, 7, 7, 3)
    assert load(tmp_path, size=(12, 6)).x.shape == (1, 12, 6, 3)
    grey, rgba = load(tmp_path, color_mode="grayscale").x, load(tmp_path, color_mode="rgba").x
    assert grey.shape == (1, 24, 12, 1)
    luma = 0.299 * ramp + 0.587 * (ramp // 2) + 0.114 * (255 - ramp.astype(float))
    assert np.abs(grey[0, ..., 0] - luma).max() <= 1
    assert (rgba[..., 3] == 255).all()
    nearest = load(tmp_path, size=(12, 6), interpolation="nearest").x[0]
    assert set(nearest[..., 0].ravel()) <= set(ramp.ravel())
    cropped = load(tmp_path, size=12, crop_to_aspect_ratio=True).x[0, :, :, 0]
    np.testing.assert_array_equal(cropped, ramp[6:18])  # the middle, not resized


def test_files_of_other_kinds(tmp_path):
    """16 bits are brought to 8, photos set upright, palettes and transparent colours looked up."""
    deep = (np.arange(16, dtype=np.uint16).reshape(4, 4) * 4096).astype(np.uint16)
    write(tmp_path / "a/0.png", deep)
    np.testing.assert_array_equal(load(tmp_path, color_mode="grayscale").x[0, ..., 0], deep >> 8)
    flat = np.arange(16, dtype=np.uint8).reshape(4, 4)
    exif = image_module.Exif()
    exif[0x0112] = 3  # upside down
    write(tmp_path / "b/0.png", flat, exif=exif)
    found = load(tmp_path, color_mode="grayscale", class_names=["b"])
    np.testing.assert_array_equal(found.x[0, ..., 0], flat[::-1, ::-1])
    palette = image_module.fromarray(flat * 16).convert("P")
    (tmp_path / "c").mkdir()
    palette.save(tmp_path / "c/0.png", transparency=bytes(range(16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load(tmp_path, class_names=["c"])
    np.testing.assert_array_equal(found.x[0, ..., 1], flat * 16)


def test_damaged_files_are_named(folder):
    path, _ = folder
    whole = (path / "dog/01.png").read_bytes()
    (path / "dog/01.png").write_bytes(whole[: len(whole) // 2])
    (path / "cat/02.png").write_text("no picture")
    (path / "cat/04.png").write_bytes(b"")
    with pytest.raises(ValueError, match="3 files that cannot be read") as caught:
        load(path, validation_split=0.25)
    for name in ("dog/01.png", "cat/02.png", "cat/04.png"):
        assert name in str(caught.value)
    with pytest.warns(UserWarning, match=r"left out 3 files.*cat/02.png") as said:
        found = load(path, errors="skip")
    assert said[0].filename == __file__
    assert len(found.x) == len(found.y) == 21
    np.testing.assert_array_equal(np.bincount(found.y), [4, 6, 11])
    for file in path.rglob("*.png"):
        file.write_text("no picture")
    with pytest.raises(ValueError, match=r"24 files .* and 19 more"):
        load(path, errors="skip")


def test_folders_that_are_no_classes(folder, tmp_path):
    path, _ = folder
    for given, exception, message in (
        ({"path": path / "nowhere"}, FileNotFoundError, "no such folder"),
        ({"path": path / "dog" / "more"}, ValueError, "there are no folders"),
        ({"class_names": ["dog", "cow"]}, FileNotFoundError, "no cow"),
        ({"class_names": ["dog", "dog"]}, ValueError, "each once"),
        ({"class_names": "dog"}, TypeError, "a list of names"),
        ({"size": 0}, ValueError, "argument 'size' expected an int of at least 1"),
        ({"size": (3, 4, 3)}, ValueError, r"argument 'size' expected \(height, width\)"),
        ({"size": 2.5}, TypeError, "argument 'size' expected an int"),
        ({"color_mode": "RGB"}, ValueError, "argument 'color_mode' expected one of grayscale, rgb, rgba"),
        ({"errors": "ignore"}, ValueError, "argument 'errors'"),
        ({"interpolation": "area"}, ValueError, "argument 'interpolation'"),
        ({"validation_split": 1.0}, ValueError, "argument 'validation_split'"),
        ({"validation_split": -0.1}, ValueError, "argument 'validation_split'"),
        ({"validation_split": 0.01}, ValueError, "leaves samples on both sides"),
        ({"seed": -1}, ValueError, "argument 'seed'"),
        ({"path": 3}, TypeError, "argument 'path' expected a path"),
    ):
        with pytest.raises(exception, match=message):
            load(**{"path": path, **given})
    np.testing.assert_array_equal(np.bincount(load(path, class_names=["dog", "cat"]).y), [12, 8])
    (path / "empty").mkdir()
    with pytest.raises(ValueError, match="there are none in empty"):
        load(path)
    os.rename(path / "dog", path / "train")
    os.rename(path / "cat", path / "test")
    (path / "empty").rmdir()
    os.rename(path / "Emu", tmp_path.parent / "emu")
    with pytest.raises(ValueError, match="test, train are parts of a data set"):
        load(path)
    write(path / "test/odd.png", np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(ValueError, match=r"odd.png: expected pictures of one size, \(6, 5\).*'size'"):
        load(path, class_names=["test"])


def test_without_pillow(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(
        ImportError, match=r"load_image_folder: pictures are read with Pillow.*pip install pillow"
    ):
        load(folder[0])


def test_nnx_train_takes_such_a_folder(folder, tmp_path, capsys):
    path, _ = folder
    options = ["--model", "mlp", "--epochs", "1", "--out", str(tmp_path.parent / "out")]
    assert main(["train", "--data", str(path), *options]) == 0
    assert "20 samples to train on, 4 held out, 3 classes" in capsys.readouterr().out
    model = str(tmp_path.parent / "out/model.safetensors")
    assert main(["evaluate", model, "--data", str(path)]) == 0
    assert "4 samples: the samples that nnx train --seed 0 holds out" in capsys.readouterr().out
    grey = tmp_path / "grey"
    for part, names in (("train", ("a", "b")), ("test", ("b", "a"))):
        for name in names:
            for number in range(3):
                write(grey / part / name / f"{number}.png", np.full((6, 6), 40 * number, np.uint8))
    assert main(["train", "--data", str(grey), *options]) == 0
    assert "6 samples to train on, 6 held out, 2 classes" in capsys.readouterr().out
    assert nnx.load(model).input_shape == (6, 6, 1)
    write(grey / "test/a/odd.png", np.zeros((7, 6), np.uint8))
    (tmp_path / "bare").mkdir()
    for given, message in (
        (grey / "test", "odd.png: expected pictures of one size"),
        (tmp_path / "bare", "a folder of pictures for each class"),
    ):
        assert main(["train", "--data", str(given), *options]) == 2
        assert message in capsys.readouterr().err
