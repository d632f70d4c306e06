"""Content keys: short digests of the bytes of files and of the settings that they are used with."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from lesionlab.core.image_formats import partners_of, spacing_file_of


def content_key(files: Iterable[Path], *, settings: Any) -> str:
    """Return 16 hexadecimal digits that differ when any byte, the order of the files or a setting does.

    Args:
        files: Files or folders, as `file_digest` reads them.
        settings: What `key_of` can read.
    """
    return key_of([settings, [file_digest(file) for file in files]])


def key_of(content: Any) -> str:
    """Return 16 hexadecimal digits of anything that JSON can hold; also of sets, dataclasses and paths.

    The order of a mapping counts: regions, modalities and classes have an order.
    """
    return hashlib.blake2b(json.dumps(content, default=_plain).encode(), digest_size=8).hexdigest()


def file_digest(path: Path) -> str | None:
    """Return the digest of a file's bytes, or of all regular files in and below a folder, whatever they are called.

    The voxels of a detached header belong to it, and so does the file that says how far a TIFF's voxels are apart.

    None where it cannot be read: that is reported, with advice, by whoever needs the file. Special files (pipes,
    sockets, devices) are never opened: reading one may not come to an end.
    """
    if path.is_dir():
        return key_of(sorted(digest for file in _files_below(path) if (digest := _digest(file)) is not None))
    further = _further_files(path)
    return key_of([_digest(path), *map(_digest, further)]) if further else _digest(path)


def _further_files(path: Path) -> list[Path]:
    beside = spacing_file_of(path)
    with contextlib.suppress(OSError):  # the header itself cannot be read
        return [*partners_of(path), *([beside] if beside else [])]
    return []


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _digest(path: Path) -> str | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()
    except OSError:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a setting of type {type(value).__name__}")
