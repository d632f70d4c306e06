"""A short name for the bytes of files and the settings they are used with."""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def content_key(files: Iterable[Path], *, settings: Any) -> str:
    """Return 16 hexadecimal digits that differ when any byte or setting does.

    Args:
        files: Read in this order, those of a folder by their names; one that cannot be read adds nothing, it is
            reported with advice by whoever needs it.
        settings: Anything that JSON can hold.
    """
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8)
    for path in (one for file in files for one in (sorted(file.iterdir()) if file.is_dir() else [file])):
        with contextlib.suppress(OSError), path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
