"""Samples for `nnx predict`: arrays and pictures as a model takes them."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from nnx import data
from nnx._types import NDArray, Shape
from nnx.commands.archives import Archive, read_npy


def read(path: Path, shape: Shape) -> NDArray:
    """The samples (N, *shape) in a file: .npy, .npz, or a picture, which is brought to the size.

    Raises:
        ValueError: where the file is damaged, or holds samples of another shape; it names the file.
        OSError: where it cannot be read.
    """
    if path.suffix == ".npy":
        return _fitted(read_npy(path), shape, path)
    if path.suffix == ".npz":
        return _fitted(_from_archive(path), shape, path)
    return _picture(path, shape)[None]


def _from_archive(path: Path) -> NDArray:
    archive = Archive(path)
    names = archive.names
    name = next((name for name in ("x", "x_test") if name in names), names[0] if len(names) == 1 else None)
    if name is None:
        raise ValueError(
            f"{path}: expected an array x, or x_test, or a single one; found {', '.join(names)[:200]}"
        )
    return archive.read([name])[0]


def _fitted(x: NDArray, shape: Shape, path: Path) -> NDArray:
    """One sample or several, images of one channel also without its axis, as (N, *shape)."""
    try:
        array = data.features(x if x.ndim else x[None])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    single = [shape, shape[:-1]] if len(shape) == 3 and shape[-1] == 1 else [shape]
    for one in single:
        if array.shape == one:
            return array.reshape(1, *shape)
        if array.shape[1:] == one:
            return array.reshape(len(array), *shape)
    expected = ", ".join(map(str, shape))
    raise ValueError(
        f"{path}: expected samples of shape ({expected}), one or (N, {expected}), got {array.shape}"
    )


def _picture(path: Path, shape: Shape) -> NDArray:
    """A picture (H, W, C) of values 0 to 255."""
    try:
        image_module: Any = importlib.import_module("PIL.Image")
    except ImportError:
        raise ValueError(
            f"{path}: pictures are read with Pillow, which is not installed (pip install pillow); "
            ".npy and .npz files need nothing"
        ) from None
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    if len(shape) != 3 or shape[-1] not in modes:
        raise ValueError(f"{path}: the model takes samples of shape {shape}, and no pictures")
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("error")  # a picture of too many pixels
        try:
            picture = image_module.open(stream).convert(modes[shape[-1]])
            picture = picture.resize((shape[1], shape[0]), image_module.Resampling.BILINEAR)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            raise ValueError(f"{path}: expected a .npy, .npz or picture file: {error}") from None
    return np.asarray(picture, dtype=np.uint8).reshape(shape)
