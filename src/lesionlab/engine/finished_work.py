"""Which cases of a long piece of work are finished: a JSON file beside what was written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, RootModel, field_validator

from lesionlab.core.content_key import file_digest
from lesionlab.core.errors import StorageError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.storage import write_text_atomically


class Finished(BaseModel):
    """One case.

    Attributes:
        key: Of all that went into it.
        files: Relative to the folder.
        digests: Of the files as they were written, by the same names.
        made_by: Key of the checkpoint that made it, or an empty string.
        used: Which file became which modality, what was not found and what was ignored, for people to read.
    """

    key: str
    files: tuple[str, ...]
    digests: dict[str, str | None] = {}
    made_by: str = ""
    used: str = ""

    @field_validator("files")
    @classmethod
    def _lie_within(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse paths out of the folder: forgetting a case must not remove anything else."""
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
            raise ValueError("a file outside the folder")
        return files


class _Entries(RootModel[dict[str, Finished]]):
    """The file: the finished cases by id."""


_FILE = JsonFile(
    schema=_Entries,
    error=StorageError,
    wanted="a record of finished cases",
    next_step="nothing; all its work is done again",
)


class FinishedWork:
    """The finished cases of one folder; the file is written anew after each.

    A damaged file is reported as a warning, and all work counts as not done.

    Args:
        path: Of the JSON file; it need not exist.
        made_by: Key of the checkpoint that makes what is added, or an empty string.
        used: As in `Finished`, by case.
    """

    def __init__(self, path: Path, *, made_by: str = "", used: Mapping[str, str] = MappingProxyType({})) -> None:
        self.path = path
        self._made_by = made_by
        self._used = used
        self._entries = read_finished(path)

    @property
    def cases(self) -> tuple[str, ...]:
        """Ids of the cases that were ever finished."""
        return tuple(self._entries)

    def is_done(self, case_id: str, *, key: str) -> bool:
        """Return whether the case was finished from the same input, and all its files are still there."""
        entry = self._entries.get(case_id)
        return entry is not None and entry.key == key and all(path.is_file() for path in self.files(case_id))

    def files(self, case_id: str) -> tuple[Path, ...]:
        """Return the files of a finished case."""
        return tuple(self.path.parent / name for name in self._entries[case_id].files)

    def forget(self, case_id: str) -> None:
        """Remove a case and its files, if it was ever finished: what it is made from has changed.

        Raises:
            StorageError: The record could not be written.
        """
        if case_id in self._entries:
            for path in self.files(case_id):
                path.unlink(missing_ok=True)
            del self._entries[case_id]
            self._write()

    def add(self, case_id: str, files: Sequence[Path], *, key: str) -> None:
        """Record a case as finished.

        Raises:
            StorageError: The record could not be written.
        """
        digests = {path.relative_to(self.path.parent).as_posix(): file_digest(path) for path in files}
        self._entries[case_id] = Finished(
            key=key, files=tuple(digests), digests=digests, made_by=self._made_by, used=self._used.get(case_id, "")
        )
        self._write()

    def _write(self) -> None:
        write_text_atomically(self.path, _Entries(self._entries).model_dump_json(indent=1))


def read_finished(path: Path) -> dict[str, Finished]:
    """Return the finished cases of a record by id; none where the file is absent or, with a warning, damaged."""
    entries = _FILE.read_if_sound(path)
    return {} if entries is None else entries.root
