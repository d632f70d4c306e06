"""Progress of long work: a bar on a terminal, plain lines in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
_SECONDS_BETWEEN_LINES = 10.0


class Tracker:
    """Shows how far one piece of work has come; a context manager.

    Args:
        what: What is being done, in the reader's words ("training", "predicting").
        total: How many steps there are.
        done: How many were finished before, when work is resumed.
        is_shown: False for one of several processes that do the same work.
    """

    def __init__(self, what: str, *, total: int, done: int = 0, is_shown: bool = True) -> None:
        self._what = what
        self._total = total
        self._done = done
        self._is_shown = is_shown
        self._started, self._done_before = time.monotonic(), done
        self._logged_at = self._started
        self._bar = _bar() if is_shown and sys.stderr.isatty() else None
        self._task = self._bar.add_task(what, total=total, completed=done, detail="") if self._bar else None

    def __enter__(self) -> "Tracker":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, detail: str = "") -> None:
        """Count one step as done; `detail` is shown beside the bar, or at the end of the line."""
        self._done += 1
        if self._bar and self._task is not None:
            self._bar.update(self._task, advance=1, detail=detail)
            return
        is_due = time.monotonic() - self._logged_at > _SECONDS_BETWEEN_LINES
        if self._is_shown and (is_due or self._done == self._total):
            logger.info("%s: %d of %d%s %s", self._what, self._done, self._total, self._time_left(), detail)
            self._logged_at = time.monotonic()

    def _time_left(self) -> str:
        """Return how long the rest will take at the pace so far; nothing at the end."""
        share_s = (time.monotonic() - self._started) / (self._done - self._done_before)
        left_s = round(share_s * (self._total - self._done))
        return f", {timedelta(seconds=left_s)} left," if left_s else ""


def track(items: Iterable[Item], *, what: str, total: int) -> Iterator[Item]:
    """Yield `items` and show how many of `total` are done."""
    with Tracker(what, total=total) as tracker:
        for item in items:
            yield item
            tracker.advance()


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[detail]}"), console=Console(stderr=True))
