"""Dates of acquisition in the tables of a BIDS dataset."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lesionlab.layouts.tables import read_table


def visit_of(session: Path) -> str:
    """Return when a session was acquired, as ISO 8601 tells dates; empty where nobody says, or not the date.

    That is its ``acq_time`` in the subject's ``sub-<X>_sessions.tsv``, else the earliest in its own ``scans.tsv``.
    Times of day without a date, and ``n/a``, say nothing. Times with a zone are brought to UTC.

    Args:
        session: Its folder, such as ``sub-12/ses-2``; that of a subject without sessions has no visit.

    Raises:
        LayoutError: One of the files is no table.
    """
    name, subject = session.name, session.parent
    if not name.startswith("ses-"):
        return ""
    of_subject = _rows(subject / f"{subject.name}_sessions.tsv")
    own = [row for row in of_subject if row.get("session_id", "").removeprefix("ses-") == name.removeprefix("ses-")]
    return _earliest(own) or _earliest(_rows(session / f"{subject.name}_{name}_scans.tsv"))


def _rows(path: Path) -> list[dict[str, str]]:
    return read_table(path) if path.is_file() else []


def _earliest(rows: Iterable[dict[str, str]]) -> str:
    times = [time for row in rows if (time := _time(row.get("acq_time", ""))) is not None]
    return min(times).isoformat().removesuffix("T00:00:00") if times else ""


def _time(cell: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
