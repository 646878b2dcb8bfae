"""The file that a model is kept in: one .safetensors file, with what is no array as JSON in its metadata.

format: "nnx"
version: of the format, counted from 1
kind: "model" or "weights"
nnx: the JSON
checksum: the SHA-256 of the file, taken with 64 zeros in its place
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx._types import NDArray
from nnx.saving import files

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
_NO_CHECKSUM = "0" * 64
_PIECE = 1 << 24  # bytes


class FileError(ValueError):
    """A file that is not what was expected."""


@dataclass
class Contents:
    """What a file holds."""

    kind: str  # "model", "weights", or "foreign": a .safetensors file that is not ours
    tensors: dict[str, NDArray]
    about: dict[str, Any]


def write(path: str | Path, kind: str, tensors: dict[str, NDArray], about: dict[str, Any]) -> None:
    """Writes a file, whole or not at all."""
    import hashlib  # when they are needed: nnx is there sooner

    from safetensors.numpy import save as serialize

    files.writable(path)  # before the work
    metadata = {
        "format": "nnx",
        "version": str(VERSION),
        "kind": kind,
        "nnx": json.dumps(about, allow_nan=False, separators=(",", ":")),
        "checksum": _NO_CHECKSUM,
    }
    content = memoryview(serialize(tensors))
    length = int.from_bytes(content[:8], "little")
    # The metadata in an order of its own: the same model makes the same bytes.
    header = {"__metadata__": metadata, **json.loads(bytes(content[8 : 8 + length]))}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    start, arrays = len(text).to_bytes(8, "little") + text, content[8 + length :]
    digest = hashlib.sha256(start)
    digest.update(arrays)
    place = _place_of_checksum(start)
    start = start[:place] + digest.hexdigest().encode() + start[place + len(_NO_CHECKSUM) :]
    files.write_atomically(path, [start, arrays])


def read(path: str | Path) -> Contents:
    """Reads a file.

    Raises:
        FileError: for a file that is truncated, damaged, not ours or newer than this nnx; it names the file.
        OSError: where it cannot be read.
    """
    try:
        from pathlib import Path  # when it is needed: nnx is there sooner

        return _read(Path(path))
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def _read(path: Path) -> Contents:
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as stream:
        size = path.stat().st_size
        length = int.from_bytes(stream.read(8), "little")
        if size < 10 or length > size - 8:
            raise FileError(f"expected a .safetensors file, and it is none, or truncated ({size} bytes)")
        header = stream.read(length)
    entries = _json(header)
    ends = [entry.get("data_offsets", [0])[-1] for entry in entries.values() if isinstance(entry, dict)]
    data = size - 8 - length
    if any(isinstance(end, int) and end > data for end in ends):
        raise FileError(f"the file is truncated: {data} bytes of arrays, and its header tells of more")
    metadata = _metadata(entries)
    ours = metadata.get("format") == "nnx"
    if ours:
        _check_version(metadata)
        _check_sum(path, header, metadata)
    try:
        with safe_open(str(path), framework="numpy") as archive:
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"expected a .safetensors file that NumPy can hold: {error}") from None
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "fiub":
            raise FileError(f"expected arrays of real numbers, got {name!r} of dtype {tensor.dtype}")
    if not ours:
        return Contents("foreign", tensors, {})
    about = _json(metadata.get("nnx", ""))
    return Contents(str(metadata.get("kind")), tensors, about)


def _metadata(entries: dict[str, Any]) -> dict[str, str]:
    about = entries.get("__metadata__", {})
    if not isinstance(about, dict) or not all(isinstance(value, str) for value in about.values()):
        raise FileError("expected a .safetensors file, and its metadata is damaged")
    return about


def _json(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"expected a .safetensors file, and its header is damaged ({error})") from None
    if not isinstance(value, dict):
        raise FileError("expected a .safetensors file, and its header is damaged")
    return value


def _check_version(metadata: dict[str, str]) -> None:
    version = metadata.get("version", "")
    if not version.isdecimal() or len(version) > 9 or int(version) < 1:
        raise FileError(f"expected a format version, got {version[:20]!r}")
    if int(version) > VERSION:
        raise FileError(
            f"was written by a newer nnx: its format is version {version}, and this one reads up to {VERSION}"
        )


def _place_of_checksum(start: bytes) -> int:
    """Where the checksum's digits begin; `start`: the first eight bytes and the header."""
    key = start.rfind(b'"checksum":"')
    place = key + len(b'"checksum":"')
    if key < 0 or start[place + 64 : place + 65] != b'"':
        raise FileError("expected a checksum in the metadata")
    return place


def _check_sum(path: Path, header: bytes, metadata: dict[str, str]) -> None:
    import hashlib
    import mmap

    place = _place_of_checksum(b"-" * 8 + header)
    digest = hashlib.sha256()
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start, end in ((0, place), (place + 64, len(content))):
            for piece in _pieces(start, end):
                digest.update(content[piece])
            if start == 0:
                digest.update(_NO_CHECKSUM.encode())
    if digest.hexdigest() != metadata.get("checksum"):
        raise FileError("the file is damaged: its checksum does not match its contents")


def _pieces(start: int, end: int) -> Iterator[slice]:
    for at in range(start, end, _PIECE):
        yield slice(at, min(end, at + _PIECE))


def plain(array: NDArray) -> NDArray:
    """An array as the file can hold it."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
