"""Lengths of time as people write them on a command line."""

import re

from lesionlab.core.errors import OptionError

_WRITTEN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_SECONDS = (86400, 3600, 60, 1)


def read_seconds(text: str) -> float:
    """Return the seconds that "90s", "45m", "12h", "1d6h" or "1h30m" stands for; a number alone is seconds.

    Raises:
        OptionError: It is no length of time.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if not text.strip() or found is None:
        raise OptionError(
            "a length of time", found=repr(text), where="--max-time", next_step="write it as 45m, 12h or 1h30m"
        )
    return float(sum(int(part or 0) * seconds for part, seconds in zip(found.groups(), _SECONDS, strict=True)))
