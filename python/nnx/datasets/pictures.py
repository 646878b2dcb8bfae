"""Pictures from files, through Pillow (install `nnx-native[images]`)."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from nnx._types import NDArray

MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def pillow(where: str) -> Any:
    """The module PIL.Image; ImportError says what to install."""
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        raise ImportError(
            f"{where}: pictures are read with Pillow, which is not installed (pip install pillow)"
        ) from None


def read_picture(
    path: Path,
    color_mode: str,
    size: tuple[int, int] | None = None,
    interpolation: str = "bilinear",
    crop: bool = False,
) -> NDArray:
    """A picture, upright as its EXIF data say, as values 0 to 255: (H, W, C) uint8.

    Args:
        path: the file.
        color_mode: "grayscale", "rgb" or "rgba".
        size: (height, width) that it is brought to; None leaves it.
        interpolation: "nearest", "bilinear", "bicubic" or "lanczos".
        crop: cuts the middle out, so that proportions stay.

    Raises:
        ValueError: where it is no picture, or damaged, or has too many pixels; the text does not name the file.
        OSError: where it cannot be opened.
    """
    module = pillow("read_picture")
    operations = importlib.import_module("PIL.ImageOps")
    with path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", module.DecompressionBombWarning)
        try:
            with module.open(stream) as opened:
                picture = _eight_bits(module, operations.exif_transpose(opened))
            if "transparency" in picture.info:  # of palettes and colours that mean it
                picture = picture.convert("RGBA")
            picture = picture.convert(MODES[color_mode])
            if size is not None and (picture.height, picture.width) != size:
                target, method = (size[1], size[0]), module.Resampling[interpolation.upper()]
                picture = operations.fit(picture, target, method) if crop else picture.resize(target, method)
            array = np.asarray(picture, dtype=np.uint8)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  Pillow's readers raise what their formats bring
            raise ValueError(f"expected a picture: {str(error) or type(error).__name__}") from None
    return array.reshape(*array.shape[:2], CHANNELS[color_mode])


def _eight_bits(module: Any, picture: Any) -> Any:
    """Pictures of 16 bits to a pixel, which Pillow would clip at 255, in 8."""
    if picture.mode == "F":
        raise ValueError("pictures of floating-point values have no range that is known")
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture).astype(np.int64)
    return module.fromarray((values.clip(0, 65535) >> 8).astype(np.uint8))
