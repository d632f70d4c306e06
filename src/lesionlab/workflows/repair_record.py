"""Which cases of a repaired copy are finished, and what was changed in them: the file ``repairs.json``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from lesionlab.core.errors import StorageError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.storage import write_text_atomically
from lesionlab.workflows.check import Finding

RECORD_FILE = "repairs.json"


class RecordedChange(BaseModel):
    """One file that a repair changed.

    Attributes:
        case: The id of its case.
        file: Relative to the dataset, and to its copy.
        what: What was done, in words.
    """

    model_config = ConfigDict(frozen=True)

    case: str
    file: str
    what: str

    @field_validator("file")
    @classmethod
    def _lies_within(cls, file: str) -> str:
        """Refuse a path out of the folder: forgetting a case must not remove anything else."""
        if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
            raise ValueError("a file outside the folder")
        return file


class _ExcludedCase(BaseModel):
    """A case that the copy does not hold."""

    case: str
    reason: str


class _Content(BaseModel):
    """The file; `keys` are those of the finished cases, and what a check of the copy finds is there at the end."""

    format: Literal[2] = 2
    data: str
    keys: dict[str, str] = {}
    changes: tuple[RecordedChange, ...] = ()
    left_out: tuple[_ExcludedCase, ...] = ()
    findings_of_the_copy: tuple[dict[str, Any], ...] = ()


_FILE = JsonFile(
    schema=_Content, error=StorageError, wanted="a record of repairs", next_step="nothing; all cases are repaired again"
)


class RepairRecord:
    """The finished cases of a repaired copy; the file is written anew after each.

    Args:
        path: Of the file; it need not exist. With a damaged one, no case counts as finished.
        data: LAYOUT:FOLDER of the dataset.
        case_ids: Of the dataset, in its order; what the file says of others is dropped.
    """

    def __init__(self, path: Path, *, data: str, case_ids: Sequence[str]) -> None:
        earlier = _FILE.read_if_sound(path) or _Content(data=data)
        self._path = path
        self._data = data
        self._case_ids = tuple(case_ids)
        self._keys = {case_id: key for case_id, key in earlier.keys.items() if case_id in set(case_ids)}
        self._changes: dict[str, tuple[RecordedChange, ...]] = {
            case_id: tuple(change for change in earlier.changes if change.case == case_id) for case_id in self._keys
        }

    @property
    def changes(self) -> tuple[RecordedChange, ...]:
        """Every change of a finished case, in the order of the dataset."""
        return tuple(change for case_id in self._case_ids for change in self._changes.get(case_id, ()))

    def is_done(self, case_id: str, *, key: str) -> bool:
        """Return whether the case was repaired from the same content, and all its changed files are still there."""
        return self._keys.get(case_id) == key and all(file.is_file() for file in self._files(case_id))

    def forget(self, case_id: str) -> None:
        """Remove a case and its changed files from the copy, if it was ever finished.

        Raises:
            StorageError: The record could not be written.
        """
        if case_id in self._keys:
            for file in self._files(case_id):
                file.unlink(missing_ok=True)
            del self._keys[case_id], self._changes[case_id]
            self.write()

    def add(self, case_id: str, result: Sequence[RecordedChange], *, key: str) -> None:
        """Record a case as finished.

        Raises:
            StorageError: The record could not be written.
        """
        self._keys[case_id], self._changes[case_id] = key, tuple(result)
        self.write()

    def write(self, *, left_out: Mapping[str, str] | None = None, findings: Sequence[Finding] = ()) -> None:
        """Write the file.

        Args:
            left_out: Case id -> why the copy does not hold it.
            findings: What a check of the copy says.

        Raises:
            StorageError: It could not be written.
        """
        excluded = (left_out or {}).items()
        content = _Content(
            data=self._data,
            keys={case_id: self._keys[case_id] for case_id in self._case_ids if case_id in self._keys},
            changes=self.changes,
            left_out=tuple(_ExcludedCase(case=case_id, reason=reason) for case_id, reason in excluded),
            findings_of_the_copy=tuple(asdict(finding) for finding in findings),
        )
        write_text_atomically(self._path, content.model_dump_json(indent=1) + "\n")

    def _files(self, case_id: str) -> Iterator[Path]:
        return (self._path.parent / change.file for change in self._changes[case_id])
