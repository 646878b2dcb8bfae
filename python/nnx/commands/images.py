"""Labelled images for the command line, from what `--data` names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnx import data, datasets
from nnx._types import NDArray
from nnx.commands.archives import Archive

HELD_OUT = 0.2  # of data that come without a test part


@dataclass
class Images:
    """Images (N, H, W, C) and labels (N,), to train on and held out."""

    x_train: NDArray
    y_train: NDArray
    x_test: NDArray
    y_test: NDArray
    drawn: bool = False  # whether the part held out was drawn by the seed

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1


def load(name: str, seed: int) -> Images:
    """The images that `name` means: "digits", a folder of IDX files or of classes, or a .npz file."""
    if name == "digits":
        return _split(*datasets.load_digits(), seed)
    path = Path(name)
    if path.is_dir():
        try:
            (x_train, y_train), (x_test, y_test) = datasets.load_idx_folder(path)
        except FileNotFoundError as error:
            return _class_folders(path, seed, str(error))
        return _checked(x_train, y_train, x_test, y_test, name)
    if not path.exists():
        raise FileNotFoundError(f"--data: expected 'digits', a folder or a .npz file, and there is no {name}")
    return _load_npz(path, seed)


def _load_npz(path: Path, seed: int) -> Images:
    archive = Archive(path)
    found = archive.names
    four = ("x_train", "y_train", "x_test", "y_test")
    if set(four) <= set(found):
        x_train, y_train, x_test, y_test = archive.read(four)
        return _checked(x_train, y_train, x_test, y_test, str(path))
    names = ("x", "y") if "x" in found else ("x_train", "y_train")
    if not set(names) <= set(found):
        text = ", ".join(found)[:200] or "none"
        raise ValueError(f"{path}: expected arrays x, y or x_train, y_train, x_test, y_test; found {text}")
    x, y = archive.read(names)
    return _split(x, y, seed, str(path))


def load_to_evaluate(name: str, seed: int) -> tuple[NDArray, NDArray, str]:
    """Images, labels and what they are: the part for tests, or, of a .npz file without one, all."""
    if name != "digits" and not Path(name).is_dir() and Path(name).exists():
        archive = Archive(Path(name))
        if {"x", "y"} <= set(archive.names) and "x_test" not in archive.names:
            x, y = archive.read(("x", "y"))
            x = _images(x, name)
            return x, _labels(y, len(x), name), f"all samples of {name}"
    images = load(name, seed)
    part = f"the samples that nnx train --seed {seed} holds out of {name}"
    tests = f"the test samples of {name}"
    return images.x_test, images.y_test, part if images.drawn else tests


def _split(x: NDArray, y: NDArray, seed: int, name: str = "digits") -> Images:
    x, y = _images(x, name), _labels(y, len(x), name)
    train, held_out = data.split(len(x), HELD_OUT, y, seed)
    return Images(x[train], y[train], x[held_out], y[held_out], drawn=True)


def _class_folders(path: Path, seed: int, no_idx: str) -> Images:
    """A folder with a folder of pictures for each class, or with such folders called train and test."""
    folders = any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir())
    if not folders or any(path.glob("*-ubyte*")):
        raise FileNotFoundError(f"{no_idx}, or a folder of pictures for each class")
    train = next((path / name for name in ("train", "training") if (path / name).is_dir()), None)
    test = next(
        (path / name for name in ("test", "testing", "validation", "val") if (path / name).is_dir()), None
    )
    try:
        if train is not None and test is not None:
            to_train = datasets.load_image_folder(train)
            shape = to_train.x.shape[1:3]
            to_test = datasets.load_image_folder(test, shape, class_names=to_train.class_names)
            found = replace(to_train, x_val=to_test.x, y_val=to_test.y)
        else:
            found = datasets.load_image_folder(path, validation_split=HELD_OUT, seed=seed)
    except ImportError as error:
        raise ValueError(str(error)) from None
    except ValueError as error:
        hint = "bring them to one, or load them in Python: nnx.datasets.load_image_folder(path, size)"
        raise ValueError(str(error).replace("give the argument 'size'", hint)) from None
    x_train, y_train = map(np.asarray, found.train)
    x_test, y_test = map(np.asarray, (found.x_val, found.y_val))
    if all((x[..., :1] == x[..., 1:]).all() for x in (x_train, x_test)):  # grey
        x_train, x_test = x_train[..., :1], x_test[..., :1]
    return Images(x_train, y_train, x_test, y_test, drawn=test is None or train is None)


def _checked(x_train: NDArray, y_train: NDArray, x_test: NDArray, y_test: NDArray, name: str) -> Images:
    x_train, x_test = _images(x_train, name), _images(x_test, name)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{name}: expected training and test images of one size, "
            f"got {x_train.shape[1:]} and {x_test.shape[1:]}"
        )
    return Images(x_train, _labels(y_train, len(x_train), name), x_test, _labels(y_test, len(x_test), name))


def _images(x: NDArray, name: str) -> NDArray:
    try:
        x = data.features(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim not in (2, 4) or x.size == 0:
        raise ValueError(f"{name}: expected images (N, H, W, C) or rows (N, features), got shape {x.shape}")
    return x


def _labels(y: NDArray, samples: int, name: str) -> NDArray:
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (samples,):
        raise ValueError(f"{name}: expected a label for each of {samples} images, got shape {y.shape}")
    try:
        return data.labels(data.as_array(y, "y"), 1 << 16, "labels")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
