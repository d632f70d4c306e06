"""Files that are either whole or absent."""

import contextlib
import os
import tempfile
import threading
from pathlib import Path

from lesionlab.core.errors import StorageError

_asking_umask = threading.Lock()
"""Held while the umask, which can only be read by setting it, is another."""


def write_text_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8 so that a reader never meets half a file.

    Raises:
        StorageError: The file could not be written; whatever lay under `path` before is unchanged.
    """
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that a reader never meets half a file; missing parent folders are made.

    Raises:
        StorageError: The file could not be written; whatever lay under `path` before is unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_beside_and_rename(path, data)
    except OSError as error:
        raise StorageError(
            "to write a file whole",
            found=error.strerror or str(error),
            where=path,
            next_step="free disk space or choose a folder you may write to, then run the command again",
        ) from error


def _write_beside_and_rename(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if temporary.read_bytes() != data:
            raise OSError("what was read back differs from what was written")
        temporary.chmod(_permissions(path))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _permissions(path: Path) -> int:
    """Keep an existing file's permissions; a new file gets the usual ones (mkstemp's are private to the owner)."""
    if path.exists():
        return path.stat().st_mode & 0o777
    with _asking_umask:
        mask = os.umask(0)
        os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, on file systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
