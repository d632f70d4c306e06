"""How every verb that makes files ends: by naming them."""

from collections.abc import Iterable
from pathlib import Path


def name_files(files: Iterable[Path]) -> int:
    """Print the files that a verb made; 1 when one of them is not there."""
    missing = 0
    for file in files:
        missing += not file.exists()
        print(file if file.exists() else f"missing: {file}")
    return min(1, missing)
