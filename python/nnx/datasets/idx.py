"""IDX files, the format of MNIST and its relatives.

A file is two zero bytes, a type code, the number of axes, each axis's extent (big-endian uint32), and the
elements, big-endian, in C order (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


PathLike: TypeAlias = str | Path
Pairs: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK = 1 << 20
_LIMIT = 1 << 36  # bytes; a header that claims more is not believed


def read_idx(path: PathLike) -> npt.NDArray[Any]:
    """The array of an IDX file, gzipped or not, in the machine's byte order.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where it is no IDX file, is cut short, or goes on after its last element.
    """
    with open(path, "rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            if not zipped:
                return _read(raw, path)
            with gzip.open(raw) as stream:
                return _read(stream, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file: {error}") from None


def _read(stream: _Stream, path: PathLike) -> npt.NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
        raise ValueError(f"{path}: expected an IDX file, got one that begins with bytes {magic.hex(' ')}")
    dtype, rank = np.dtype(_DTYPES[magic[2]]), magic[3]
    header = stream.read(4 * rank)
    if rank > 8 or len(header) < 4 * rank:
        raise ValueError(f"{path}: expected an IDX header with the extents of {rank} axes (at most 8)")
    shape = struct.unpack(f">{rank}I", header)
    size = math.prod(shape) * dtype.itemsize
    if size > _LIMIT:
        raise ValueError(f"{path}: expected at most {_LIMIT} bytes of elements, the header claims {size}")
    # Chunk by chunk: no more memory is taken than the file fills, whatever its header claims.
    content = bytearray()
    while len(content) < size:
        chunk = stream.read(min(_CHUNK, size - len(content)))
        if not chunk:
            raise ValueError(f"{path}: expected {size} bytes for shape {shape}, got {len(content)}")
        content += chunk
    if stream.read(1):
        raise ValueError(f"{path}: expected to end after {size} bytes for shape {shape}, but goes on")
    array = np.frombuffer(content, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def load_idx_folder(folder: PathLike) -> tuple[Pairs, Pairs]:
    """((x_train, y_train), (x_test, y_test)) of a folder named like MNIST or Fashion-MNIST.

    The files are {train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte, gzipped (.gz) or not,
    also with a dot before "idx". Images get a channel axis: (N, H, W, 1).

    Raises:
        FileNotFoundError: where the folder or a file is missing.
        ValueError: where a file is damaged, or images and labels differ in number.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    return _pair(root, "train"), _pair(root, "t10k")


def _pair(root: Path, part: str) -> Pairs:
    images, labels = read_idx(_find(root, f"{part}-images", 3)), read_idx(_find(root, f"{part}-labels", 1))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(
            f"{root}: expected {part} images (N, H, W) and labels (N,), got {images.shape} and {labels.shape}"
        )
    return images[..., None], labels


def _find(root: Path, stem: str, rank: int) -> Path:
    for separator in "-.":
        for suffix in ("", ".gz"):
            path = root / f"{stem}{separator}idx{rank}-ubyte{suffix}"
            if path.is_file():
                return path
    raise FileNotFoundError(f"{root}: expected a file {stem}-idx{rank}-ubyte or {stem}-idx{rank}-ubyte.gz")
