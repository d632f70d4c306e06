"""The resumable loop over cases: finished ones are skipped, and a case that fails does not stop the others."""

import errno
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from lesionlab.core.case import Case
from lesionlab.core.errors import LesionlabError, StorageError
from lesionlab.core.progress import track

logger = logging.getLogger(__name__)

Result = TypeVar("Result", contravariant=True)

_FULL = (errno.ENOSPC, errno.EDQUOT)


@runtime_checkable
class Record(Protocol[Result]):
    """Which cases are finished, and with which result; it outlives the process."""

    def is_done(self, case_id: str, *, key: str) -> bool:
        """Return whether the case was finished from the same content, and its result is still there."""

    def forget(self, case_id: str) -> None:
        """Remove the case and its files, if it was ever finished."""

    def add(self, case_id: str, result: Result, *, key: str) -> None:
        """Record the case as finished."""


def work_through_cases(
    cases: Sequence[Case],
    *,
    what: str,
    record: Record[Result],
    key: Callable[[Case], str],
    work: Callable[[Case], Result],
    files_of: Callable[[Case], Iterable[Path]],
) -> dict[str, str]:
    """Do the work of every case that is not finished, and return why cases failed, by id.

    A case whose content has changed is forgotten, and its files removed, before it is done again: one that fails now
    leaves nothing of an earlier run. Neither does one that fails or is interrupted half way. Whatever goes wrong in a
    case is that case's failure; only an interruption and a disk that is full end the loop.

    Args:
        cases: What to work through, in this order.
        what: What is being done, in the reader's words ("predicting").
        record: Of finished cases.
        key: A digest of all that the result of a case depends on.
        work: Does one case.
        files_of: Every file that the work may write for a case and that `record` may not know of.

    Raises:
        StorageError: A file could not be written whole.
    """
    failures: dict[str, str] = {}
    for case in track(cases, what=what, total=len(cases)):
        try:
            case_key = key(case)
            if not record.is_done(case.id, key=case_key):
                _do_again(case, record=record, key=case_key, work=work, files_of=files_of)
        except StorageError:
            raise
        except Exception as error:
            _stop_on_a_full_disk(error, case)
            failures[case.id] = reason_of(error)
            logger.error("case %s: %s", case.id, failures[case.id])
            logger.debug("case %s failed", case.id, exc_info=error)
    return failures


def reason_of(error: Exception) -> str:
    """Return in one line why a case failed."""
    if isinstance(error, LesionlabError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"unexpected {type(error).__name__}" + (f": {lines[0]}" if lines else "")


def _do_again(
    case: Case,
    *,
    record: Record[Result],
    key: str,
    work: Callable[[Case], Result],
    files_of: Callable[[Case], Iterable[Path]],
) -> None:
    record.forget(case.id)
    _remove(files_of(case))
    try:
        record.add(case.id, work(case), key=key)
    except BaseException:
        _remove(files_of(case))
        raise


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _stop_on_a_full_disk(error: Exception, case: Case) -> None:
    if isinstance(error, OSError) and error.errno in _FULL:
        raise StorageError(
            "room for files", found=str(error), where=f"case {case.id}", next_step="free disk space, then run again"
        ) from error
