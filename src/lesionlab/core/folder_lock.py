"""Folder locks: one command at a time may write into an output folder."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from lesionlab.core.errors import FolderInUseError, StorageError

LOCK_FILE = ".lesionlab.lock"
"""Is there while a command writes into the folder."""

HOLDER_FILE = ".lesionlab.holder"
"""Takes the lock's part on file systems that have no locks."""

_descriptors: set[int] = set()
"""Of the locks that this process holds."""


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the only right to write into a folder, which is made where it is missing.

    The lock is `flock`'s: it ends with its process, however that ends, and processes that were forked from it do not
    keep it. On file systems without `flock` a file names the holder instead; it is taken over when its process is gone
    from the same machine, and has to be removed by hand when another machine stopped without warning.

    Readers need no lock: every file in an output folder is either whole or absent.

    Raises:
        FolderInUseError: Another command writes into the folder; its machine, process and start are named.
        StorageError: The folder cannot be made or written to.
    """
    is_new = not folder.exists()
    try:
        descriptor, path = _acquire(folder)
    except OSError as error:
        raise StorageError(
            "a folder to write into",
            found=error.strerror or str(error),
            where=folder,
            next_step="free disk space or choose a folder you may write to, then run the command again",
        ) from error
    holder = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == holder:
            _release(descriptor, path)
            if is_new:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # only if nothing was written into it


def has_files(folder: Path) -> bool:
    """Return whether a folder holds anything beside its lock."""
    return folder.is_dir() and any(path.name not in (LOCK_FILE, HOLDER_FILE) for path in folder.iterdir())


def _acquire(folder: Path) -> tuple[int, Path]:
    """Return the descriptor of the locked file, and the file."""
    path = folder / LOCK_FILE
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # its last holder has just removed the folder, which was empty
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _in_use(folder, path, "wait until it ends, stop it, or choose another folder") from error
        except OSError:  # no locks on this file system
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return _acquire_by_name(folder)
        if _is_at(descriptor, path):
            _write_holder(descriptor)
            return descriptor, path
        os.close(descriptor)  # its last holder has just removed the file


def _acquire_by_name(folder: Path) -> tuple[int, Path]:
    """Make the file that names the holder, once the one before is gone; return its descriptor, and the file."""
    path = folder / HOLDER_FILE
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError as error:
            if not _is_left_behind(_read_holder(path)):
                advice = f"wait until it ends, choose another folder, or remove {HOLDER_FILE} if the process is gone"
                raise _in_use(folder, path, advice) from error
            path.unlink(missing_ok=True)
            continue
        _write_holder(descriptor)
        return descriptor, path


def _release(descriptor: int, path: Path) -> None:
    path.unlink(missing_ok=True)
    _descriptors.discard(descriptor)
    os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether the open file still is the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write_holder(descriptor: int) -> None:
    holder = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
    }
    _descriptors.add(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    except OSError:
        _descriptors.discard(descriptor)
        os.close(descriptor)
        raise


def _read_holder(path: Path) -> dict[str, Any]:
    """Return who holds a lock; nothing where the holder is only just writing it."""
    try:
        holder = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _is_left_behind(holder: dict[str, Any]) -> bool:
    """Return whether the holder was a process of this machine that is no more."""
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(holder["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return False


def _in_use(folder: Path, path: Path, next_step: str) -> FolderInUseError:
    holder = _read_holder(path)
    named = f"process {holder.get('process', '?')} on {holder.get('host', '?')}, since {holder.get('since', '?')}"
    return FolderInUseError(
        "a folder that no other command writes into", found=named, where=folder, next_step=next_step
    )


def _let_go_in_child() -> None:
    """Close the locks in a forked process: a worker that outlives its parent must not hold the folder."""
    for descriptor in _descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
