"""Judging by a file's entry in its folder whether it can be opened, before anything hangs on it."""

import stat
from pathlib import Path

from lesionlab.core.errors import ImageError

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}

_POINTERS = {b"/annex/objects/": "datalad get", b"version https://git-lfs": "git lfs pull --include"}
"""How the text begins that stands in a file's place until its content is fetched, and what fetches it."""

_LARGEST_POINTER = 2**15


def check_regular(path: Path) -> None:
    """Refuse what is no regular file with a content of its own.

    Raises:
        ImageError: It is missing, a link that leads nowhere or whose content was not fetched, a pipe, a device, a
            socket or a folder.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise _unreachable(path, error) from error
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise ImageError("a regular file", found=kind, where=path, next_step="put the image itself there")
    if 0 < status.st_size <= _LARGEST_POINTER:
        _check_fetched(path)


def _check_fetched(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise _unreachable(path, error) from error
    for mark, command in _POINTERS.items():
        if head.startswith(mark):
            raise _not_fetched(path, f"{command} {path}")


def _unreachable(path: Path, error: OSError) -> ImageError:
    if path.is_symlink() and not path.exists():
        target = path.readlink()
        if "annex" in target.parts and "objects" in target.parts:
            return _not_fetched(path, f"datalad get {path}")
        found = f"a link to {target}, which does not exist"
        return ImageError("a readable file", found=found, where=path, next_step="correct the link")
    found = str(error.strerror or error)
    return ImageError("a readable file", found=found, where=path, next_step="check the path and rights")


def _not_fetched(path: Path, command: str) -> ImageError:
    found = "a placeholder whose content has not been fetched"
    return ImageError("the content of the file", found=found, where=path, next_step=command)
