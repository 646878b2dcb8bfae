""".npy and .npz files from anywhere: what they claim is looked at before anything is read."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnx._types import NDArray

_HEADER = 10_000  # bytes, at most
_SMALL = 1 << 26  # bytes
_RATIO = 500  # of unpacked to packed: more is no data


def read_npy(path: Path) -> NDArray:
    """The array of a .npy file.

    Raises:
        ValueError: for anything else; it names the file.
        OSError: where it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return _array(stream, path.stat().st_size)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 (the parsers of headers raise all kinds)
        raise ValueError(f"{path}: expected a .npy file of real numbers: {_line(error)}") from None


class Archive:
    """A .npz file; arrays are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb"):
            pass  # OSError where it is not there
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            raise ValueError(f"{path}: expected a .npz file, and it is none: {_line(error)}") from None
        self._entries = {entry.filename.removesuffix(".npy"): entry for entry in entries}

    @property
    def names(self) -> list[str]:
        """The names of the arrays."""
        return list(self._entries)

    def read(self, names: Sequence[str]) -> list[NDArray]:
        """Arrays by name.

        Raises:
            ValueError: for what is damaged, packed beyond belief, larger than memory, or not of real numbers.
        """
        size = sum(self._entries[name].file_size for name in names)
        memory = _memory()
        if size > memory:
            raise ValueError(f"{self.path}: its arrays would take {size} bytes of {memory} bytes of memory")
        try:
            with zipfile.ZipFile(self.path) as archive:
                return [self._member(archive, name) for name in names]
        except (OSError, MemoryError) as error:
            raise ValueError(f"{self.path}: cannot be read: {_line(error)}") from None

    def _member(self, archive: zipfile.ZipFile, name: str) -> NDArray:
        entry = self._entries[name]
        try:
            if entry.flag_bits & 1:
                raise ValueError("it is encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("it is packed in a way that NumPy does not use")
            if entry.file_size > _SMALL and entry.file_size > _RATIO * entry.compress_size:
                raise ValueError(f"{entry.compress_size} bytes claim to hold {entry.file_size}")
            with archive.open(entry) as stream:
                return _array(stream, entry.file_size)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            raise ValueError(
                f"{self.path}: expected a .npz file of plain arrays, array {name[:40]!r}: {_line(error)}"
            ) from None


def _array(stream: IO[bytes], size: int) -> NDArray:
    """The array of `size` bytes with its header."""
    version = np.lib.format.read_magic(stream)
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"expected format 1.0 or 2.0, got {version}")
    if version == (2, 0):
        length = int.from_bytes(stream.read(4), "little")
        if length > _HEADER:
            raise ValueError(f"expected a header of at most {_HEADER} bytes, got {length}")
        stream.seek(-4, os.SEEK_CUR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        shape, fortran, dtype = readers[version](stream, max_header_size=_HEADER)
    if dtype.kind not in "fiub":
        raise ValueError(f"expected real numbers, got dtype {dtype}")
    left = size - stream.tell()
    claimed = math.prod(shape) * dtype.itemsize
    if any(extent < 0 for extent in shape) or claimed != left:
        raise ValueError(f"its header claims shape {shape} of {dtype}, and {left} bytes follow")
    content = stream.read(left)
    if len(content) < left or stream.read(1):
        raise ValueError(f"expected {left} bytes, got {len(content)} or more")
    array: NDArray = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array


def _line(error: BaseException) -> str:
    """An error's message, or its name, in one line."""
    return " ".join((str(error) or type(error).__name__).split())[:200]


def _memory() -> int:
    """Bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 62
