"""Samples for `nnx predict`: arrays and pictures as a model takes them."""

from __future__ import annotations

from pathlib import Path

from nnx import data
from nnx._types import NDArray, Shape
from nnx.commands.archives import Archive, read_npy
from nnx.datasets.pictures import CHANNELS, pillow, read_picture


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
    modes = {channels: mode for mode, channels in CHANNELS.items()}
    try:
        pillow(str(path))
    except ImportError as error:
        raise ValueError(f"{error}; .npy and .npz files need nothing") from None
    if len(shape) != 3 or shape[-1] not in modes:
        raise ValueError(f"{path}: the model takes samples of shape {shape}, and no pictures")
    try:
        return read_picture(path, modes[shape[-1]], (shape[0], shape[1]))
    except ValueError as error:
        message = str(error).removeprefix("expected a picture: ")
        raise ValueError(f"{path}: expected a .npy, .npz or picture file: {message}") from None
