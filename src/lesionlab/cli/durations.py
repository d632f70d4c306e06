"""Lengths of time as people write them on a command line."""

import re

from lesionlab.core.errors import OptionError

_WRITTEN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS = (86400, 3600, 60, 1)


def read_seconds(text: str) -> float:
    """Return the seconds that "90s", "45m", "12h", "1d6h" or "1h30m" stands for.

    Raises:
        OptionError: It is no length of time, none at all, or a number without a unit.
    """
    written = _WRITTEN.fullmatch(text.strip())
    numbers = written.groups() if written else [0] * len(_SECONDS)
    length_s = float(sum(int(number or 0) * seconds for number, seconds in zip(numbers, _SECONDS, strict=True)))
    if not length_s:
        raise OptionError(
            "a length of time in days (d), hours (h), minutes (m) or seconds (s)",
            found=repr(text),
            where="--max-time",
            next_step="write it as 45m, 12h or 1h30m",
        )
    return length_s


def read_limit(max_time: str | None) -> float | None:
    """Return the seconds of --max-time, if it was given."""
    return None if max_time is None else read_seconds(max_time)
