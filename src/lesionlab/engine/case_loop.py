"""The loop over cases: a case that fails does not stop the others, and finished ones are skipped on a resume."""

import errno
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from lesionlab.core.case import Case
from lesionlab.core.errors import CasesError, LesionlabError, StorageError
from lesionlab.core.progress import track

logger = logging.getLogger(__name__)

Result = TypeVar("Result", contravariant=True)
Outcome = TypeVar("Outcome")

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
    work_on = partial(_work_unless_done, record=record, key=key, work=work, files_of=files_of)
    for case in track(cases, what=what, total=len(cases)):
        failure = attempt(work_on, case)
        if failure is not None:
            failures[case.id] = failure.reason
    return failures


def work_on_every_case(cases: Sequence[Case], *, what: str, work: Callable[[Case], Outcome]) -> tuple[Outcome, ...]:
    """Return the result of every case, in their order, for work that needs all of them.

    Args:
        cases: What to work through, in this order.
        what: What is being done, in the reader's words ("tuning").
        work: Does one case.

    Raises:
        CasesError: At least one failed; all were tried, and each failure is named with its reason.
        StorageError: A file could not be written whole.
    """
    return results_of([attempt(work, case) for case in track(cases, what=what, total=len(cases))], what=what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case that failed.

    Attributes:
        case_id: Of the case.
        reason: Why, on one line.
    """

    case_id: str
    reason: str


def attempt(work: Callable[..., Outcome], case: Case, *arguments: Any) -> Outcome | Failure:
    """Return the result of one case, or why it failed.

    Args:
        work: Does one case; pickled where another process shall call it.
        case: Its first argument.
        *arguments: Its others.

    Raises:
        StorageError: A file could not be written whole, or the disk is full.
    """
    try:
        return work(case, *arguments)
    except StorageError:
        raise
    except Exception as error:
        _stop_on_a_full_disk(error, case)
        failure = Failure(case_id=case.id, reason=reason_of(error))
        logger.error("case %s: %s", case.id, failure.reason)
        logger.debug("case %s failed", case.id, exc_info=error)
        return failure


def results_of(outcomes: Sequence[Outcome | Failure], *, what: str) -> tuple[Outcome, ...]:
    """Return the results of cases, all of which are needed.

    Args:
        outcomes: As `attempt` returns them.
        what: What was being done, in the reader's words.

    Raises:
        CasesError: At least one failed.
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failures:
        reasons = "; ".join(f"case {failure.case_id}: {failure.reason}" for failure in failures)
        raise CasesError(
            "cases that can all be used",
            found=f"{len(failures)} of {len(outcomes)} that cannot: {reasons}",
            where=what,
            next_step="repair these cases (see lesionlab check --fix) or take them out of the dataset, then run again",
        )
    return tuple(outcome for outcome in outcomes if not isinstance(outcome, Failure))


def reason_of(error: Exception) -> str:
    """Return in one line why a case failed."""
    if isinstance(error, LesionlabError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"unexpected {type(error).__name__}" + (f": {lines[0]}" if lines else "")


def _work_unless_done(
    case: Case,
    *,
    record: Record[Result],
    key: Callable[[Case], str],
    work: Callable[[Case], Result],
    files_of: Callable[[Case], Iterable[Path]],
) -> None:
    case_key = key(case)
    if record.is_done(case.id, key=case_key):
        return
    record.forget(case.id)
    _remove(files_of(case))
    try:
        record.add(case.id, work(case), key=case_key)
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
