"""The many spellings of a modality, and lesionlab's one."""

import re
from collections.abc import Iterable, Sequence

from lesionlab.core.case import Modality

SPELLINGS: dict[Modality, tuple[str, ...]] = {
    "flair": ("flair", "t2flair", "t2f", "darkfluid"),
    "t1": ("t1", "t1w", "t1n", "mprage", "mprage1", "spgr"),
    "t1ce": ("t1ce", "t1c", "t1gd", "t1wgd", "t1post", "t1wce", "t1wpost", "cet1", "cet1w"),
    "t2": ("t2", "t2w"),
    "pd": ("pd", "pdw"),
    "dwi": ("dwi", "trace", "b1000"),
    "adc": ("adc",),
    "swi": ("swi",),
    "ct": ("ct",),
    "red": ("red", "r"),
    "green": ("green", "g"),
    "blue": ("blue", "b"),
    "grey": ("grey", "gray", "greyscale", "grayscale"),
}
"""Modality -> how files, tables and lists spell it, in lower case, letters and digits only."""

_KNOWN = {spelling: modality for modality, spellings in SPELLINGS.items() for spelling in spellings}


def modality_named(word: str) -> Modality:
    """Return lesionlab's name of a modality; an unknown one keeps its own, in lower case with underscores."""
    plain = re.sub(r"[^a-z0-9]", "", word.lower())
    return _KNOWN.get(plain) or re.sub(r"\W+", "_", word.lower()).strip("_") or "image"


def modality_in(text: str) -> Modality | None:
    """Return the last modality among the words of a file's name, or None where no word is one."""
    words = re.split(r"[^a-z0-9]+", text.lower())
    known = [_KNOWN[word] for word in words if len(word) > 1 and word in _KNOWN]
    return known[-1] if known else None


def distinct(names: Iterable[Modality]) -> tuple[Modality, ...]:
    """Return the names, those that occur more than once numbered from 0."""
    ordered: Sequence[Modality] = list(names)
    return tuple(
        name if ordered.count(name) == 1 else f"{name}_{ordered[:position].count(name)}"
        for position, name in enumerate(ordered)
    )
