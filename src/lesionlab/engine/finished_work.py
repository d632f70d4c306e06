"""Which cases of a long piece of work are done: a JSON file beside what was written."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError, field_validator

from lesionlab.core.storage import write_bytes_atomically

logger = logging.getLogger(__name__)


class Finished(BaseModel):
    """One case: the key of all that went into it, and its files relative to the folder."""

    key: str
    files: tuple[str, ...]

    @field_validator("files")
    @classmethod
    def _lie_within(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse paths out of the folder: forgetting a case must not remove anything else."""
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
            raise ValueError("a file outside the folder")
        return files


_ENTRIES = TypeAdapter(dict[str, Finished])


class FinishedWork:
    """The finished cases of one folder; the file is written anew after each.

    A damaged file is reported as a warning, and all work counts as not done.

    Args:
        path: Of the JSON file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries = _read(path)

    @property
    def cases(self) -> tuple[str, ...]:
        """Ids of the cases that were ever finished."""
        return tuple(self._entries)

    def is_done(self, case_id: str, *, key: str) -> bool:
        """Return whether the case was finished from the same input, and all its files are still there."""
        entry = self._entries.get(case_id)
        return entry is not None and entry.key == key and all(path.exists() for path in self.files(case_id))

    def files(self, case_id: str) -> tuple[Path, ...]:
        """Return the files of a finished case."""
        return tuple(self.path.parent / name for name in self._entries[case_id].files)

    def forget(self, case_id: str) -> None:
        """Remove the files of a case, if it was ever finished: what it is made from has changed."""
        for path in self.files(case_id) if case_id in self._entries else ():
            path.unlink(missing_ok=True)
        self._entries.pop(case_id, None)

    def add(self, case_id: str, *, key: str, files: Sequence[Path]) -> None:
        """Record a case as finished.

        Raises:
            StorageError: The record could not be written.
        """
        names = tuple(path.relative_to(self.path.parent).as_posix() for path in files)
        self._entries[case_id] = Finished(key=key, files=names)
        write_bytes_atomically(self.path, _ENTRIES.dump_json(self._entries, indent=1))


def _read(path: Path) -> dict[str, Finished]:
    if not path.exists():
        return {}
    try:
        return _ENTRIES.validate_json(path.read_bytes())
    except ValidationError:
        logger.warning("%s is damaged; all its work is done again", path)
        return {}
