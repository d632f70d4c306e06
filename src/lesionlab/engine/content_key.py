"""A short name for the bytes of files and the settings they are used with."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 2**22


def content_key(files: Iterable[Path], *, settings: Any) -> str:
    """Return 16 hexadecimal digits that differ when any byte or setting does.

    Args:
        files: Read in this order; a missing one adds nothing, it is reported with advice by whoever needs it.
        settings: Anything that JSON can hold.
    """
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8)
    for path in files:
        if path.exists():
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
    return digest.hexdigest()
