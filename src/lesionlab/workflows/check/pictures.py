"""Rules about how a dataset's pictures and their masks are stored."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import ImageError
from lesionlab.core.image_formats import ending_of, is_picture
from lesionlab.engine.pictures import read_white
from lesionlab.workflows.check.finding import Finding, Severity

UNUSUAL_MASKS = (".gif", ".webp")
"""Formats of masks that many programs do not look for, and that often store something else than what was drawn."""

NAMED = 4


def judge_number_ranges(cases: Sequence[Case]) -> Iterator[Finding]:
    """Find pictures whose numbers reach so differently far that they are not read on one scale."""
    files = dict.fromkeys(path for case in cases for path in case.images.values() if is_picture(path))
    whites: dict[float, list[Path]] = {}
    for path in files:
        try:
            white = read_white(path)
        except ImageError:
            continue  # which is a finding of its case
        if white is not None:
            whites.setdefault(white, []).append(path)
    if len(whites) > 1:
        told = [f"{white:g} in {len(paths)} ({_named(paths)})" for white, paths in sorted(whites.items())]
        yield _finding(
            "number-range",
            files,
            severity="warning",
            wanted="pictures of one number range",
            found=f"white taken to be {' and '.join(told)}",
            next_step="save all in one range: a dark picture of 16 bits may be taken for one of 12 or 8",
        )


def judge_mask_formats(cases: Sequence[Case]) -> Iterator[Finding]:
    """Note masks in formats that many programs do not look for."""
    masks = (path for case in cases for path in (case.label, *case.further_labels) if path is not None)
    unusual = [path for path in dict.fromkeys(masks) if ending_of(path) in UNUSUAL_MASKS]
    if unusual:
        endings = " and ".join(dict.fromkeys(ending_of(path) for path in unusual))
        yield _finding(
            "mask-format",
            unusual,
            severity="note",
            wanted="masks in PNG",
            found=f"{len(unusual)} masks in {endings}: {_named(unusual)}",
            next_step="nothing for lesionlab, which reads them; other programs may find no mask",
        )


def _finding(
    rule: str, files: Iterable[Path], *, severity: Severity, wanted: str, found: str, next_step: str
) -> Finding:
    where = str(next(iter(files)).parent)
    return Finding(rule=rule, severity=severity, case="", where=where, wanted=wanted, found=found, next_step=next_step)


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:NAMED]) + (", ..." if len(paths) > NAMED else "")
