"""Files that are whole or not there at all."""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_writing: set[str] = set()  # temporary files of this process
_OLD = 24 * 3600.0  # seconds; a temporary file of that age belongs to nobody


def write_atomically(path: str | Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Writes a temporary file beside `path`, then puts it in its place.

    Whatever happens meanwhile, `path` holds the old content or the new. An existing file keeps its
    permissions, a link keeps leading where it did, and what a process that was killed has left is cleared
    away.

    Raises:
        FileNotFoundError: where the folder is missing.
        OSError: IsADirectoryError, PermissionError, a full disk.
    """
    target = writable(path)
    with _temporary_beside(target) as temporary:
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
        )
        with os.fdopen(descriptor, "wb") as stream:
            if target.exists():
                os.chmod(temporary, target.stat().st_mode & 0o7777)
            for part in [content] if isinstance(content, bytes) else content:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    _sync_folder(target.parent)


def writable(path: str | Path) -> Path:
    """The file that is to be written, behind any link; OSError where that cannot be."""
    from pathlib import Path  # when it is needed: nnx is there sooner

    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {target.parent} does not exist")
    if target.is_dir():
        raise IsADirectoryError(f"{path}: expected a file, and it is a folder")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{path}: the file is write-protected")
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"{path}: the folder {target.parent} is write-protected")
    return target


@contextlib.contextmanager
def _temporary_beside(target: Path) -> Iterator[Path]:
    """A name for a temporary file, which is gone in the end."""
    import secrets  # with sockets and hashes, which need not be loaded before
    import socket

    prefix, host = f".{target.name[:60]}.", f"{zlib.crc32(socket.gethostname().encode()):08x}"
    _clear_away(target.parent, prefix, host)
    temporary = target.parent / f"{prefix}{host}-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    _writing.add(temporary.name)
    try:
        yield temporary
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    finally:
        _writing.discard(temporary.name)


def _clear_away(folder: Path, prefix: str, host: str) -> None:
    """Removes temporary files whose processes are no more."""
    for entry in os.scandir(folder):
        name = entry.name
        if not (name.startswith(prefix) and name.endswith(".tmp")) or name in _writing:
            continue
        parts = name[len(prefix) : -len(".tmp")].split("-")
        with contextlib.suppress(OSError, ValueError):
            dead = len(parts) == 3 and parts[0] == host and not _lives(int(parts[1]))
            if dead or time.time() - entry.stat().st_mtime > _OLD:
                os.unlink(entry.path)


def _lives(process: int) -> bool:
    if process == os.getpid() or os.name != "posix":
        return process != os.getpid()  # this one's are known
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
