"""Folders of images, one for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from nnx import seeds
from nnx._checks import integer, warn
from nnx._checks import path as checked_path
from nnx._types import NDArray
from nnx.datasets.dataset import Dataset, split_rows
from nnx.datasets.pictures import CHANNELS, INTERPOLATIONS, SUFFIXES, pillow, read_picture

_HERE = "load_image_folder"
_PARTS = {
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "eval",
}  # of a data set, no classes
_NAMED = 5  # files, in a message


def load_image_folder(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    validation_split: float = 0.0,
    color_mode: Literal["rgb", "grayscale", "rgba"] = "rgb",
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear",
    crop_to_aspect_ratio: bool = False,
    errors: Literal["raise", "skip"] = "raise",
) -> Dataset:
    """The images of a folder that has a folder for each class, as arrays.

    Classes and files come sorted by name, so labels are the same on every machine. Files are looked for in
    folders within a class's, too; those that are hidden, or no pictures by their names' ends (.png, .jpg, .bmp,
    .gif, .tif, .webp, .ppm, ...), are passed over.

    Args:
        path: the folder.
        size: (height, width), or a number for both, that images are brought to; None where they have one size.
        validation_split: the share of images to hold out, drawn at random, each class in proportion.
        color_mode: "rgb", "grayscale" or "rgba": 3, 1 or 4 channels.
        seed: of that draw.
        class_names: the classes to load, in the order of their labels; None for all folders.
        interpolation: how images are resized.
        crop_to_aspect_ratio: cuts the middle out of images of other proportions, which are distorted otherwise.
        errors: what to do about files that cannot be read: "raise", or "skip" them with a warning.

    Returns:
        A Dataset: x (N, H, W, C) uint8 of values 0 to 255, y (N,) int64, class_names, and where images were held
        out x_val and y_val.

    Raises:
        FileNotFoundError: where there is no such folder or class.
        ValueError: where classes have no images, or images cannot be read or differ in size; it names the files.
        ImportError: without Pillow.
    """
    root = Path(checked_path(_HERE, "path", path))
    wanted = _size(size)
    for argument, value, known in (
        ("color_mode", color_mode, tuple(CHANNELS)),
        ("interpolation", interpolation, INTERPOLATIONS),
        ("errors", errors, ("raise", "skip")),
    ):
        if value not in known:
            raise ValueError(
                f"{_HERE}: argument '{argument}' expected one of {', '.join(known)}, got {value!r}"
            )
    seed = seeds.check(seed)
    pillow(_HERE)
    names = _classes(root, class_names)
    by_class = [_files(root / name) for name in names]
    empty = [name for name, files in zip(names, by_class, strict=True) if not files]
    if empty:
        raise ValueError(
            f"{root}: expected pictures in each class's folder, and there are none in {', '.join(empty)}"
        )
    files = [file for of_class in by_class for file in of_class]
    y = np.repeat(np.arange(len(names), dtype=np.int64), [len(of_class) for of_class in by_class])
    pictures = _Pictures(root, wanted, color_mode, interpolation, bool(crop_to_aspect_ratio))
    train, held_out = split_rows(_HERE, len(files), validation_split, y, seed)
    x, kept = pictures.read([files[row] for row in train])
    x_val, kept_val = (None, None) if held_out is None else pictures.read([files[row] for row in held_out])
    pictures.tell(errors == "skip" and len(x) > 0)
    return Dataset(
        x,
        y[train][kept],
        x_val,
        None if held_out is None else y[held_out][kept_val],
        class_names=tuple(names),
    )


class _Pictures:
    """Reads pictures into one array, and notes those that cannot be."""

    def __init__(
        self, root: Path, size: tuple[int, int] | None, color_mode: str, interpolation: str, crop: bool
    ) -> None:
        self.root, self.wanted, self.color_mode = root, size, color_mode
        self.size = size  # once a picture is there, that of the first one
        self.how = interpolation, crop
        self.damaged: list[str] = []

    def read(self, files: list[Path]) -> tuple[NDArray, NDArray]:
        """The pictures (N, H, W, C), and which of the files they are of."""
        x = np.empty((0, *(self.size or (0, 0)), CHANNELS[self.color_mode]), np.uint8)
        kept = np.ones(len(files), bool)
        for number, file in enumerate(files):
            try:
                picture = read_picture(file, self.color_mode, self.wanted, *self.how)
            except (OSError, ValueError) as error:
                self.damaged.append(f"{file.relative_to(self.root).as_posix()} ({error})")
                kept[number] = False
                continue
            if self.size is None:
                self.size = picture.shape[:2]
            if picture.shape[:2] != self.size:
                raise ValueError(
                    f"{file}: expected pictures of one size, {self.size} as those before it, got "
                    f"{picture.shape[:2]}: give the argument 'size'"
                )
            if not len(x):
                x = np.empty((len(files), *picture.shape), np.uint8)
            x[number] = picture
        return (x if kept.all() else x[kept] if len(x) else x), kept

    def tell(self, skipped: bool) -> None:
        """ValueError, or a warning, with the names of damaged files."""
        if not self.damaged:
            return
        more = f" and {len(self.damaged) - _NAMED} more" if len(self.damaged) > _NAMED else ""
        text = f"{len(self.damaged)} files that cannot be read: {', '.join(self.damaged[:_NAMED])}{more}"
        if not skipped:
            raise ValueError(f"{self.root}: {text}; errors='skip' leaves them out")
        warn(f"{_HERE}: {self.root}: left out {text}")


def _size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if isinstance(size, (tuple, list)):
        if len(size) != 2:
            raise ValueError(f"{_HERE}: argument 'size' expected (height, width), got {size!r}")
        return integer(_HERE, "size", size[0]), integer(_HERE, "size", size[1])
    return (integer(_HERE, "size", size),) * 2


def _classes(root: Path, wanted: Sequence[str] | None) -> list[str]:
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    found = sorted(
        entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if wanted is not None:
        if isinstance(wanted, str) or not all(isinstance(name, str) for name in wanted):
            raise TypeError(f"{_HERE}: argument 'class_names' expected a list of names, got {wanted!r}")
        missing = [name for name in wanted if name not in found]
        if missing:
            raise FileNotFoundError(
                f"{root}: expected folders named as in class_names, and there is no {', '.join(missing)}"
            )
        if not wanted or len(set(wanted)) < len(wanted):
            raise ValueError(f"{_HERE}: argument 'class_names' expected names, each once, got {list(wanted)}")
        return list(wanted)
    if not found:
        raise ValueError(f"{root}: expected a folder of pictures for each class, and there are no folders")
    if {name.lower() for name in found} <= _PARTS:
        raise ValueError(
            f"{root}: expected a folder for each class, and {', '.join(found)} are parts of a data set: load "
            f"{root / found[0]} and the like, or give class_names"
        )
    return found


def _files(folder: Path) -> list[Path]:
    """The pictures in a folder and those within it, sorted by their paths."""
    found = []
    for inner, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(inner, name)
            for name in names
            if not name.startswith(".") and name.lower().endswith(SUFFIXES)
        ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
