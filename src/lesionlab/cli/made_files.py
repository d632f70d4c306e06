"""How every command that makes files ends: by naming them, and what failed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType


def name_files(files: Iterable[Path], *, failures: Mapping[str, str] = MappingProxyType({})) -> int:
    """Print the files that a command made, then why cases failed, by id; 1 when one is not there, or one failed."""
    missing = 0
    for file in files:
        missing += not file.exists()
        print(file if file.exists() else f"missing: {file}")
    for name, reason in failures.items():
        print(f"failed: {name}: {reason}")
    return 1 if missing or failures else 0
