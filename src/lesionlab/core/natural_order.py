"""The order in which people number files, cases and visits."""

import re


def natural_key(text: str) -> tuple[tuple[str | int, ...], str]:
    """Return a key that sorts ``case_2`` before ``case_10``."""
    parts = re.split(r"([0-9]+)", text)
    return tuple(int(part) if part.isdigit() else part for part in parts), text
