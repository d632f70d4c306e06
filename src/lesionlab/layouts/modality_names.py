"""The many spellings of a modality, and lesionlab's one."""

import re
from collections.abc import Iterable, Sequence

from lesionlab.core.case import Modality

SPELLINGS: dict[Modality, tuple[str, ...]] = {
    "flair": ("flair", "t2flair", "t2wflair", "flairt2", "t2f", "darkfluid", "t2darkfluid"),
    "t1": (
        *("t1", "t1w", "t1wi", "t1n", "t1pre", "t1wpre", "t1precontrast", "t1nativ", "t1native", "t1nocontrast"),
        *("t1noncontrast", "t1unenhanced", "mprage", "mprage1", "t1mprage", "spgr", "t1spgr", "bravo"),
    ),
    "t1ce": (
        *(
            "t1ce",
            "t1c",
            "t1wc",
            "t1wce",
            "t1gd",
            "t1wgd",
            "t1gad",
            "t1gado",
            "t1km",
            "t1post",
            "t1wpost",
            "cet1",
            "cet1w",
        ),
        *("t1postcontrast", "t1wpostcontrast", "t1postgd", "t1postgad", "t1contrastenhanced", "gdt1", "gdt1w"),
    ),
    "t2": ("t2", "t2w", "t2wi", "t2tse", "t2fse"),
    "pd": ("pd", "pdw", "pdwi", "protondensity"),
    "dwi": ("dwi", "trace", "tracew", "b1000", "dwib1000", "dwitrace"),
    "adc": ("adc", "adcmap", "dwiadc"),
    "swi": ("swi",),
    "ct": ("ct", "ncct", "nect"),
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
    """Return the one modality among the words of a file's name, or None where there is none, or several.

    Words that name it together count as one (``t1_post``, ``t2-flair``), and ``space-T1w`` says only where it lies.
    """
    words = re.findall(r"[a-z0-9]+", re.sub(r"space-[a-z0-9]+", " ", text.lower()))
    named = set()
    while words:
        length = next((n for n in (3, 2, 1) if "".join(words[:n]) in _KNOWN and len("".join(words[:n])) > 1), 0)
        if length:
            named.add(_KNOWN["".join(words[:length])])
        words = words[max(length, 1) :]
    return named.pop() if len(named) == 1 else None


def distinct(names: Iterable[Modality]) -> tuple[Modality, ...]:
    """Return the names, those that occur more than once numbered from 0."""
    ordered: Sequence[Modality] = list(names)
    return tuple(
        name if ordered.count(name) == 1 else f"{name}_{ordered[:position].count(name)}"
        for position, name in enumerate(ordered)
    )
